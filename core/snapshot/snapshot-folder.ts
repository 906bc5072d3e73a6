/**
 * The folder of a snapshot: one operation of this process uses it at a time, its errors get our
 * codes, and its names are made durable.
 */
import { open, realpath } from 'node:fs/promises';
import { BedrockError, invalid, messageOf, systemCodeOf } from '../base/errors.js';

/** Folders that a snapshot is being written to or read from by this process. */
const inUse = new Set<string>();

/** Reserves a folder for one snapshot at a time. @returns what ends the reservation @throws CONFLICT */
export function useFolder(folder: string): () => void {
  if (inUse.has(folder))
    throw new BedrockError('CONFLICT', `another operation is using the folder ${folder}`, {
      details: { path: folder },
    });
  inUse.add(folder);
  return () => inUse.delete(folder);
}

/** Turns a system error about a snapshot's folder into one of our error codes. */
export function folderError(folder: string, error: unknown): unknown {
  const code = systemCodeOf(error);
  if (error instanceof BedrockError || code === undefined) return error;
  const details = { path: folder };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new BedrockError(
      'OUT_OF_SPACE',
      `the file system of ${folder} has no space left for the snapshot`,
      {
        details,
        cause: error,
      },
    );
  if (['EACCES', 'ENOENT', 'EPERM', 'EROFS', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EEXIST'].includes(code))
    return invalid(`no snapshot can be written to ${folder}: ${messageOf(error)}`, { details, cause: error });
  return error;
}

/** The path without symbolic links. A path that does not exist is returned unchanged: its use fails. */
export async function realFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return folder;
  }
}

/** Makes the names in a folder durable, if the file system supports this. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP'].includes(systemCodeOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
