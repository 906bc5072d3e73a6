/**
 * Replaces the contents of a file as a whole: fill a temporary file next to it -> fsync ->
 * rename -> fsync of the folder. Readers see the old contents or the new ones, also after a crash.
 * A link stays: the file that it leads to is replaced.
 */
import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** @throws errors of the system; the file is as it was then */
export async function replaceFile(file: string, text: string): Promise<void> {
  const destination = await realpath(file);
  const { mode } = await stat(destination);
  const folder = path.dirname(destination);
  const temporary = path.join(folder, `.${path.basename(destination)}.${randomBytes(6).toString('hex')}`);
  // Users who may not read the file must not read this one either.
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.chmod(mode & 0o777);
    await handle.sync();
    await handle.close();
    await rename(temporary, destination);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  const entry = await open(folder);
  try {
    await entry.sync();
  } finally {
    await entry.close();
  }
}
