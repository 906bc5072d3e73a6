/**
 * Creates folders. Not with `mkdir` and `recursive`: if the system reports ENOENT for a name in a
 * folder that exists, as in /proc and /dev/fd, Node.js retries forever, on a thread that nothing
 * can end.
 */
import { mkdir, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from './errors.js';

/**
 * Creates a folder and its missing parents. If one cannot be created, the new parents are removed again.
 * @returns the topmost folder that was created; undefined if all existed
 * @throws errors of the system
 */
export async function makeFolders(folder: string): Promise<string | undefined> {
  const missing: string[] = [];
  let above = path.resolve(folder);
  while (!(await isThere(above))) {
    missing.unshift(above);
    above = path.dirname(above);
  }
  const made: string[] = [];
  try {
    for (const one of missing) if (await makeOneFolder(one)) made.push(one);
  } catch (error) {
    await unmakeFolders(made.at(-1) ?? '', made[0]);
    throw error;
  }
  return made[0];
}

/**
 * Removes folders that `makeFolders` created, if they turn out not to be needed. A folder in use
 * stays, and so do its parents.
 * @param folder the lowest
 * @param first  the topmost that was created; without it nothing is removed
 */
export async function unmakeFolders(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  try {
    for (let made = path.resolve(folder); made.length >= first.length; made = path.dirname(made))
      await rmdir(made);
  } catch {
    // The folder is in use.
  }
}

/** @returns whether this call created it; another process may have done so */
export async function makeOneFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

async function isThere(folder: string): Promise<boolean> {
  try {
    await stat(folder);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
    // The root always exists.
    return path.dirname(folder) === folder;
  }
}
