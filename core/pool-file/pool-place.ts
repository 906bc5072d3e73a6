/**
 * Where a pool's file lies: the path that is meant, the folder it is in, what may stand there, and what its file system means for it.
 */
import { constants, type StatsBase } from 'node:fs';
import { open, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import { makeFolders, makeOneFolder } from '../folders.js';
import type { Logger } from '../logging.js';

/** Name of the pool in a directory, as Warabi has it. */
export const POOL_NAME = 'pool.pmem';

/** File systems that write everything to a new place (statfs(2), `f_type`). XFS does so with shared blocks only, which pools have none of. */
const COPY_ON_WRITE = new Map([
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xca451a4e, 'bcachefs'],
]);

export interface PoolPlace {
  /** As configured. */
  path: string;
  /** Folder that a relative path counts from. */
  baseDirectory: string;
  /** Whether the path is that of a directory if nothing is there yet; it is also if it ends in a slash. */
  isDirectory: boolean;
}

/** The pool's file: the path itself, or pool.pmem in the directory that it names. */
export async function placeOf(place: PoolPlace): Promise<string> {
  const named = path.resolve(place.baseDirectory, place.path);
  return (await holdsPool(place, named)) ? path.join(named, POOL_NAME) : named;
}

async function holdsPool({ path: given, isDirectory }: PoolPlace, named: string): Promise<boolean> {
  const there = await stat(named).catch(() => undefined);
  return there === undefined ? isDirectory || given.endsWith('/') : there.isDirectory();
}

/**
 * Makes the folder of a pool that is to be made. Below the folder of the configuration all that is missing; elsewhere only the
 * directory that holds nothing but the pool: a mount point whose file system is not mounted must not be filled in its place.
 * @throws START_FAILED
 */
export async function makeFolder(place: PoolPlace, file: string): Promise<void> {
  const folder = path.dirname(file);
  const isOwn = folder === path.resolve(place.baseDirectory, place.path);
  try {
    if (!path.isAbsolute(place.path)) await makeDurable(folder, await makeFolders(folder));
    else if (isOwn) await makeDurable(folder, (await makeOneFolder(folder)) ? folder : undefined);
    else await stat(folder);
  } catch (cause) {
    const cure = systemCodeOf(cause) === 'ENOENT' ? '; make its folder, or mount the file system' : '';
    throw new BedrockError('START_FAILED', `no pool can be made at ${file}: ${messageOf(cause)}${cure}`, {
      details: { path: file },
      cause,
    });
  }
}

/** Makes the names of new folders durable: a pool is as lost without one of them as without its own. @param first the topmost of them */
async function makeDurable(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made))
    await syncFolder(path.dirname(made)).catch((error: unknown) => {
      // Whoever may make folders there, but not look into it, cannot ask for more.
      if (systemCodeOf(error) !== 'EACCES') throw error;
    });
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** @throws START_FAILED for what is no regular file */
export function checkKind(file: string, there: StatsBase<number | bigint>): void {
  if (there.isFile()) return;
  const kind = kindOf(there);
  const message =
    kind === 'a character device' && /^dax\d/.test(path.basename(file))
      ? `${file} is Device DAX, which can hold no file; make its namespace an fsdax one (ndctl create-namespace -m fsdax), ` +
        'mount a file system on it with -o dax, and give a path there'
      : `${file} is ${kind}, and a pool is a regular file; give the path of one, or of a directory`;
  throw new BedrockError('START_FAILED', message, { details: { path: file, absent: true } });
}

function kindOf(there: StatsBase<number | bigint>): string {
  if (there.isCharacterDevice()) return 'a character device';
  if (there.isBlockDevice()) return 'a block device';
  if (there.isFIFO()) return 'a FIFO';
  return there.isSocket() ? 'a socket' : 'a directory';
}

/** Says so where space that was allocated is no promise. */
export async function warnOfFileSystem(
  file: string,
  logger: Logger,
  typeOf: (path: string) => Promise<{ type: number }> = statfs,
): Promise<void> {
  const { type } = await typeOf(file);
  // Signed where the system's word has 32 bits.
  const name = COPY_ON_WRITE.get(type >>> 0);
  if (name === undefined) return;
  logger.warning(
    `${file} is on ${name}, which copies on every write: allocated space is no promise there, so a full disk fails writes to ` +
      'regions that exist, and ends the process of a mapped pool (SIGBUS); prefer ext4 or xfs, or keep space free',
  );
}
