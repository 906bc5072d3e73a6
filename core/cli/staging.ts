/**
 * Temporary names under which files and folders are created before they get their final ones. If a
 * command ends early, for any reason, the final name is still free, and the next attempt succeeds.
 * What is left has such a temporary name, and can be removed.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';

const STAGED = /^\.bedrock-[0-9a-f]{12}\.part$/;

/** A temporary name that is not used in the folder yet. */
export function stagedIn(folder: string): string {
  return path.join(folder, `.bedrock-${randomBytes(6).toString('hex')}.part`);
}

/** Whether a name in a folder is a temporary one. */
export function isStaged(name: string): boolean {
  return STAGED.test(name);
}
