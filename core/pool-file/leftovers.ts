/**
 * Removes what a killed process has left beside a pool: a file that it was creating, or a folder
 * with an incomplete copy. It may be as large as the pool, and no other code ever names it.
 *
 * Only what is certainly ours, and not in use, is removed:
 * - it has such a name, including 48 random bits, and belongs to our user;
 * - a file contains a pool, a backup of a repair, or zeros, if it was not begun;
 * - a folder contains nothing but such files;
 * - its lock is free, which its creator holds from the first moment to the last; or it is another
 *   name of the open pool.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { FileOperations } from './file-operations.js';

/**
 * For `pool.pmem` it is `pool.pmem.0123456789ab.new`; for a repair's backup
 * `pool.pmem.repair-7.0123456789ab.new`.
 */
const UNFINISHED = /^(?:\.repair-\d+)?\.[0-9a-f]{12}\.new$/;
const COPY_FOLDER = /^\.bedrock-copy-[A-Za-z0-9]{6}$/;
/** The pool in such a folder, and the same unfinished. */
const COPY_FILE = /^pool(?:\.[0-9a-f]{12}\.new)?$/;
const BEGINNINGS = ['BDRKPOOL', '{"format":"bedrock-pool-repair"'];
const LOOKED_AT_BYTES = 4096;

/**
 * Removes leftovers beside the pool of this name, and logs a line for each.
 * @param pool the pool's own file, if it is open
 */
export async function removeLeftovers(
  name: string,
  pool: FileHandle | undefined,
  operations: FileOperations,
  logger: Pick<Logger, 'info'>,
): Promise<void> {
  const folder = path.dirname(name);
  const base = path.basename(name);
  // A folder that cannot be read hides them.
  const entries = await readdir(folder).catch(() => []);
  const own = await pool?.stat({ bigint: true });
  for (const entry of entries) {
    const isFile = entry.startsWith(base) && UNFINISHED.test(entry.slice(base.length));
    if (!isFile && !COPY_FOLDER.test(entry)) continue;
    const leftover = path.join(folder, entry);
    try {
      const bytes = await (isFile
        ? removeFile(leftover, own, operations)
        : removeFolder(leftover, operations));
      if (bytes === undefined) continue;
      logger.info(`removed ${leftover}, ${bytes} bytes on the medium, which a killed process had left`);
    } catch (error) {
      logger.info(`${leftover} looks like what a killed process left, and stays: ${messageOf(error)}`);
    }
  }
}

/** @returns the bytes that it had on the medium; undefined if it stays */
async function removeFile(
  leftover: string,
  own: BigIntStats | undefined,
  operations: FileOperations,
): Promise<number | undefined> {
  return onOurs(leftover, constants.O_RDWR, async (file, there) => {
    if (!there.isFile()) return undefined;
    const isOwn = own?.dev === there.dev && own.ino === there.ino;
    if (!isOwn && !((await isLocked(file, leftover, operations)) && (await beginsLikeOurs(file))))
      return undefined;
    if (!(await isStill(leftover, there))) return undefined;
    await unlink(leftover);
    return there.nlink > 1n ? 0 : bytesOf(there);
  });
}

async function removeFolder(leftover: string, operations: FileOperations): Promise<number | undefined> {
  return onOurs(leftover, constants.O_RDONLY | constants.O_DIRECTORY, async (folder, there) => {
    if (!there.isDirectory() || !(await isLocked(folder, leftover, operations))) return undefined;
    const files = await readdir(leftover);
    if (!files.every((file) => COPY_FILE.test(file))) return undefined;
    let bytes = 0;
    for (const file of files) {
      const removed = await removeFile(path.join(leftover, file), undefined, operations);
      if (removed === undefined) return undefined;
      bytes += removed;
    }
    if (!(await isStill(leftover, there))) return undefined;
    await rm(leftover, { recursive: true });
    return bytes;
  });
}

async function onOurs(
  leftover: string,
  flags: number,
  remove: (file: FileHandle, there: BigIntStats) => Promise<number | undefined>,
): Promise<number | undefined> {
  const before = await lstat(leftover);
  // Opening anything else, for example a FIFO, would have side effects.
  if (!before.isFile() && !before.isDirectory()) return undefined;
  if (before.uid !== process.geteuid?.()) return undefined;
  const file = await open(leftover, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await remove(file, await file.stat({ bigint: true }));
  } finally {
    await file.close();
  }
}

/** Another process is using it, or removing it. */
async function isLocked(file: FileHandle, name: string, operations: FileOperations): Promise<boolean> {
  return operations.lock(file, name, false).then(
    () => true,
    () => false,
  );
}

async function beginsLikeOurs(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(LOOKED_AT_BYTES), 0, LOOKED_AT_BYTES, 0);
  const bytes = buffer.subarray(0, bytesRead);
  return (
    BEGINNINGS.some((text) => bytes.toString('latin1', 0, text.length) === text) ||
    bytes.every((byte) => byte === 0)
  );
}

async function isStill(name: string, { dev, ino }: BigIntStats): Promise<boolean> {
  const named = await lstat(name, { bigint: true }).catch(() => undefined);
  return named?.dev === dev && named.ino === ino;
}

function bytesOf({ blocks }: BigIntStats): number {
  return Number(blocks) * 512;
}
