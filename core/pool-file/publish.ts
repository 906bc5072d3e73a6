/**
 * Gives a complete file its name. Nobody ever finds an incomplete file there.
 *
 * | name | how |
 * |---|---|
 * | must be free | link(2), which fails if it is taken; then the temporary name is removed |
 * | must be free, and the file system has no hard links | under a lock of the folder: check that it is free, rename(2) |
 * | replaces another file | rename(2) |
 *
 * Then the folder is made durable. Some file systems cannot do that, such as those of other systems
 * or over a network; the result says so.
 */
import { constants } from 'node:fs';
import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import type { FileOperations } from './file-operations.js';

/**
 * Errors of link(2) if there are no hard links (vfat, exfat, some in user space and over a
 * network), or too many.
 */
const NO_LINKS = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'];
/** Errors for a folder that cannot be made durable, or cannot be opened for it. EIO is a failure. */
const NO_FOLDER_SYNC = ['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF', 'EACCES', 'EPERM'];
/** Another process may hold a folder's lock for as long as a rename takes. */
const LOCK_TRIES = 200;
const LOCK_WAIT_MS = 10;

/** Whether a link was refused because the file system has none. */
export function lacksLinks(error: unknown): boolean {
  return NO_LINKS.includes(systemCodeOf(error) ?? '');
}

/**
 * Gives the file with the name `temporary` its final name.
 * @param replaces whether it replaces an existing file
 * @returns whether the name is durable; false: the file system cannot make it so
 * @throws EEXIST, errors of the system; the name is then unchanged
 */
export async function publish(
  temporary: string,
  name: string,
  replaces: boolean,
  operations: Pick<FileOperations, 'lock'>,
): Promise<boolean> {
  if (replaces) await rename(temporary, name);
  else await takeFreeName(temporary, name, operations);
  return makeNameDurable(name, replaces);
}

/** The last step. If it fails, a name that was free before is removed again. */
export async function makeNameDurable(name: string, replaces: boolean): Promise<boolean> {
  try {
    return await syncFolder(path.dirname(name));
  } catch (error) {
    if (!replaces) await unlink(name).catch(() => undefined);
    throw error;
  }
}

async function takeFreeName(
  temporary: string,
  name: string,
  operations: Pick<FileOperations, 'lock'>,
): Promise<void> {
  try {
    await link(temporary, name);
  } catch (error) {
    if (!lacksLinks(error)) throw error;
    return renameToFreeName(temporary, name, operations);
  }
  await unlink(temporary);
}

/** All processes that create a pool in this folder use this, as none of them can link. */
async function renameToFreeName(
  temporary: string,
  name: string,
  operations: Pick<FileOperations, 'lock'>,
): Promise<void> {
  const folder = await open(path.dirname(name), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (let tries = 1; ; tries++) {
      try {
        await operations.lock(folder, path.dirname(name), false);
        break;
      } catch (error) {
        // A file system that locks files but not folders does the check without a lock.
        if (!(error instanceof BedrockError) || error.code !== 'POOL_IN_USE') break;
        if (tries === LOCK_TRIES) throw error;
        await delay(LOCK_WAIT_MS);
      }
    }
    const isTaken = await lstat(name).then(
      () => true,
      (error: unknown) => {
        if (systemCodeOf(error) === 'ENOENT') return false;
        throw error;
      },
    );
    if (isTaken) throw Object.assign(new Error(`EEXIST: file already exists, ${name}`), { code: 'EEXIST' });
    await rename(temporary, name);
  } finally {
    await folder.close();
  }
}

/**
 * Makes the names in a folder durable.
 * @returns false if that is not supported
 * @throws errors of the system
 */
export async function syncFolder(folder: string): Promise<boolean> {
  try {
    const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return true;
  } catch (error) {
    if (NO_FOLDER_SYNC.includes(systemCodeOf(error) ?? '')) return false;
    throw error;
  }
}
