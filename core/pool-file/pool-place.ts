/**
 * Where a pool's file lies: the path that is meant, the folder it is in, what may stand there, and what its file system means for it.
 */
import type { StatsBase } from 'node:fs';
import { readlink, realpath, rmdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import { makeFolders, makeOneFolder } from '../base/folders.js';
import type { Logger } from '../base/logging.js';
import { syncFolder } from './publish.js';

/** Name of the pool in a directory, as Warabi has it. */
export const POOL_NAME = 'pool.pmem';
/** As Linux has it (path_resolution(7)). */
const MAX_LINKS = 40;

/** File systems that write everything to a new place (statfs(2), `f_type`). XFS does so with shared blocks only, as of a pool that `cp` copied;
 * these are unshared when the pool is opened. */
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

/**
 * The pool's file: the path itself, or pool.pmem in the directory that it names. Where that is a symbolic link, the file that the link
 * names, be it there or not: what takes a pool's place, is made beside it or deleted, must be so where the pool is.
 */
export async function placeOf(place: PoolPlace): Promise<string> {
  const named = namedBy(place);
  const there = await stat(named).catch(() => undefined);
  if (there?.isDirectory() === true) return followLinks(path.join(named, POOL_NAME));
  // What can hold no pool is refused under the name that was given.
  if (there !== undefined && !there.isFile()) return named;
  const isDirectory = there === undefined && (place.isDirectory || place.path.endsWith('/'));
  const file = await followLinks(named);
  return isDirectory ? path.join(file, POOL_NAME) : file;
}

/** How to tell of a pool's file: with the path that was configured, if a link has led from there. */
export function nameOf(place: PoolPlace, file: string): string {
  return isByLink(place, file) ? `${file} (to which ${namedBy(place)} leads)` : file;
}

/** The path by which the next start looks for a pool's file that is there, links and all. */
export async function entryOf(place: PoolPlace): Promise<string> {
  const named = namedBy(place);
  const there = await stat(named).catch(() => undefined);
  return there?.isDirectory() === true ? path.join(named, POOL_NAME) : named;
}

function namedBy(place: PoolPlace): string {
  return path.resolve(place.baseDirectory, place.path);
}

function isByLink(place: PoolPlace, file: string): boolean {
  const named = namedBy(place);
  return file !== named && file !== path.join(named, POOL_NAME);
}

/** Where a name leads in the end. A chain that is too long stays where it is, for the system to complain of. */
async function followLinks(name: string): Promise<string> {
  let file = name;
  for (let links = 0; links < MAX_LINKS; links++) {
    const link = await readlink(file).catch(() => undefined);
    if (link === undefined) return file;
    // No `..` is taken away here: behind a link to a folder it does not lead back to where the link stands.
    const target = path.isAbsolute(link) ? link : `${path.dirname(file)}/${link}`;
    const folder = await realpath(path.dirname(target)).catch(() => undefined);
    file = folder === undefined ? path.resolve(target) : path.join(folder, path.basename(target));
  }
  return name;
}

/**
 * Makes the folder of a pool that is to be made. Below the folder of the configuration all that is missing; elsewhere only the
 * directory that holds nothing but the pool: a mount point whose file system is not mounted must not be filled in its place.
 * @returns the topmost folder that was made, if any was
 * @throws START_FAILED
 */
export async function makeFolder(place: PoolPlace, file: string): Promise<string | undefined> {
  const folder = path.dirname(file);
  const isOwn = folder === namedBy(place);
  try {
    let first: string | undefined;
    if (isByLink(place, file)) await stat(folder);
    else if (!path.isAbsolute(place.path)) first = await makeFolders(folder);
    else if (isOwn) first = (await makeOneFolder(folder)) ? folder : undefined;
    else await stat(folder);
    await makeDurable(folder, first);
    return first;
  } catch (cause) {
    const cure = systemCodeOf(cause) === 'ENOENT' ? '; make its folder, or mount the file system' : '';
    throw new BedrockError('START_FAILED', `no pool can be made at ${file}: ${withCure(cause)}${cure}`, {
      details: { path: file },
      cause,
    });
  }
}

/** Makes the names of new folders durable: a pool is as lost without one of them as without its own. @param first the topmost of them */
async function makeDurable(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made))
    // Where that cannot be asked for, there is no more to be had.
    await syncFolder(path.dirname(made));
}

/** Takes folders away that `makeFolder` has made for a pool that was not, if they are empty still. */
export async function unmakeFolder(file: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  try {
    for (let made = path.dirname(file); made.length >= first.length; made = path.dirname(made))
      await rmdir(made);
  } catch {
    // Somebody uses it.
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
    `${file} is on ${name}, which copies on every write: allocated space is no promise there, so a full disk refuses writes to ` +
      'regions that exist, and erases, and loses what is stored through views of them; prefer ext4 or xfs, or keep space free',
  );
}
