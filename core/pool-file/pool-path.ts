/**
 * The location of a pool's file: the intended path, its folder, what may be there, and what its
 * file system means for a pool.
 */
import type { StatsBase } from 'node:fs';
import { readlink, realpath, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import { makeFolders, makeOneFolder, unmakeFolders } from '../base/folders.js';
import type { Logger } from '../base/logging.js';
import { syncFolder } from './publish.js';

/** Name of the pool in a directory, as in Warabi. */
export const POOL_NAME = 'pool.pmem';
/** As in Linux (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * File systems that copy on every write (statfs(2), `f_type`). XFS does so only with shared blocks,
 * such as those of a copy made by `cp`; these are unshared when the pool is opened.
 */
const COPY_ON_WRITE = new Map([
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xca451a4e, 'bcachefs'],
]);

export interface PoolPath {
  /** As configured. */
  path: string;
  /** Base folder of a relative path. */
  baseDirectory: string;
  /**
   * Whether the path is that of a directory if nothing exists there yet. It also is if it ends in a
   * slash.
   */
  isDirectory: boolean;
}

/**
 * The pool's file: the path itself, or pool.pmem in the directory that it names. If that is a
 * symbolic link, the file that the link names, whether or not it exists: replacing it, creating
 * files beside it and deleting it must happen where the pool is.
 */
export async function fileOf(poolPath: PoolPath): Promise<string> {
  const named = namedBy(poolPath);
  const there = await stat(named).catch(() => undefined);
  if (there?.isDirectory() === true) return followLinks(path.join(named, POOL_NAME));
  // Something that cannot hold a pool is refused under the given name.
  if (there !== undefined && !there.isFile()) return named;
  const isDirectory = there === undefined && (poolPath.isDirectory || poolPath.path.endsWith('/'));
  const file = await followLinks(named);
  return isDirectory ? path.join(file, POOL_NAME) : file;
}

/** The name of a pool's file in messages: with the configured path, if a link leads from there. */
export function nameOf(poolPath: PoolPath, file: string): string {
  return isByLink(poolPath, file) ? `${file} (to which ${namedBy(poolPath)} leads)` : file;
}

/** The path, including links, by which the next start finds an existing pool's file. */
export async function entryOf(poolPath: PoolPath): Promise<string> {
  const named = namedBy(poolPath);
  const there = await stat(named).catch(() => undefined);
  return there?.isDirectory() === true ? path.join(named, POOL_NAME) : named;
}

function namedBy(poolPath: PoolPath): string {
  return path.resolve(poolPath.baseDirectory, poolPath.path);
}

function isByLink(poolPath: PoolPath, file: string): boolean {
  const named = namedBy(poolPath);
  return file !== named && file !== path.join(named, POOL_NAME);
}

/** Resolves a name. A chain of links that is too long stays as it is, so that the system reports it. */
async function followLinks(name: string): Promise<string> {
  let file = name;
  for (let links = 0; links < MAX_LINKS; links++) {
    const link = await readlink(file).catch(() => undefined);
    if (link === undefined) return file;
    // Do not remove `..` here: after a link to a folder it does not lead back to the link's folder.
    const target = path.isAbsolute(link) ? link : `${path.dirname(file)}/${link}`;
    const folder = await realpath(path.dirname(target)).catch(() => undefined);
    file = folder === undefined ? path.resolve(target) : path.join(folder, path.basename(target));
  }
  return name;
}

/**
 * Creates the folder of a new pool. Below the configuration's folder it creates everything that is
 * missing. Elsewhere it creates only the directory that holds nothing but the pool: it must not
 * create a folder in place of a file system that is not mounted.
 * @returns the topmost folder that was created, if any
 * @throws START_FAILED
 */
export async function makeFolder(poolPath: PoolPath, file: string): Promise<string | undefined> {
  const folder = path.dirname(file);
  const isOwn = folder === namedBy(poolPath);
  let first: string | undefined;
  try {
    if (isByLink(poolPath, file)) await stat(folder);
    else if (!path.isAbsolute(poolPath.path)) first = await makeFolders(folder);
    else if (isOwn) first = (await makeOneFolder(folder)) ? folder : undefined;
    else await stat(folder);
    await makeDurable(folder, first);
    return first;
  } catch (cause) {
    await unmakeFolders(folder, first);
    const isMissing = systemCodeOf(cause) === 'ENOENT';
    const why = isMissing
      ? `${messageOf(cause)}; make its folder, or mount the file system`
      : withCure(cause);
    throw new BedrockError('START_FAILED', `no pool can be made at ${file}: ${why}`, {
      details: { path: file },
      cause,
    });
  }
}

/**
 * Makes the names of new folders durable: without one of them the pool is as lost as without its
 * own name. @param first the topmost of them
 */
async function makeDurable(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made))
    // If this is not supported, nothing more can be done.
    await syncFolder(path.dirname(made));
}

/** @throws START_FAILED if it is not a regular file */
export function checkKind(file: string, there: StatsBase<number | bigint>): void {
  if (there.isFile()) return;
  const kind = kindOf(there);
  const message =
    kind === 'a character device' && /^dax\d/.test(path.basename(file))
      ? `${file} is Device DAX, which cannot hold files; make its namespace an fsdax one (ndctl create-namespace -m fsdax), ` +
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

/** Warns if allocated space is not guaranteed. */
export async function warnOfFileSystem(
  file: string,
  logger: Logger,
  typeOf: (path: string) => Promise<{ type: number }> = statfs,
): Promise<void> {
  const { type } = await typeOf(file);
  // Signed if the system's word has 32 bits.
  const name = COPY_ON_WRITE.get(type >>> 0);
  if (name === undefined) return;
  logger.warning(
    `${file} is on ${name}, which copies on every write: allocated space is not guaranteed there, so a full disk refuses writes to ` +
      'regions that exist, and erases, and loses what is stored through views of them; prefer ext4 or xfs, or keep space free',
  );
}
