/**
 * Makes folders. Not by Node's `mkdir` with `recursive`: where the system says ENOENT of a name below a folder that is there, as it
 * does in /proc and /dev/fd, that tries again for ever, on a thread that nothing can end.
 */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from './errors.js';

/**
 * Makes a folder and those above it that are missing.
 * @returns the topmost that was made; nothing if all were there
 * @throws errors of the system
 */
export async function makeFolders(folder: string): Promise<string | undefined> {
  const missing: string[] = [];
  let above = path.resolve(folder);
  while (!(await isThere(above))) {
    missing.unshift(above);
    above = path.dirname(above);
  }
  let first: string | undefined;
  for (const one of missing) if (await makeOneFolder(one)) first ??= one;
  return first;
}

/** @returns whether it was made; somebody else may have done so meanwhile */
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
    // The root is always there.
    return path.dirname(folder) === folder;
  }
}
