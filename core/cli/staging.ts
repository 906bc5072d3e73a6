/**
 * Names under which files and folders are made before they get their own: if a command ends early,
 * for any reason, the requested name is not taken by a part, and the next attempt succeeds. What is
 * left then goes by such a name, and can be removed.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';

const STAGED = /^\.bedrock-[0-9a-f]{12}\.part$/;

/** A name in a folder that nothing has yet. */
export function stagedIn(folder: string): string {
  return path.join(folder, `.bedrock-${randomBytes(6).toString('hex')}.part`);
}

/** Whether a name in a folder is one of these. */
export function isStaged(name: string): boolean {
  return STAGED.test(name);
}
