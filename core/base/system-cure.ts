/** What a user can do about an error of the system, for the end of a message. */
import { messageOf, systemCodeOf } from './errors.js';

const CURES: Readonly<Record<string, string>> = {
  EACCES: 'let the user of the daemon use it (chown, chmod), or run the daemon as the user who may',
  EPERM: 'let the user of the daemon use it (chown, chmod), or run the daemon as the user who may',
  EROFS: 'mount the file system for writing',
  EISDIR: 'give the path of a file',
  ENOTDIR: 'a part of the path is a file; correct the path',
  ENAMETOOLONG: 'give a shorter path',
};

/** The message, followed by the cure if one is known. */
export function withCure(thrown: unknown): string {
  const cure = CURES[systemCodeOf(thrown) ?? ''];
  return cure === undefined ? messageOf(thrown) : `${messageOf(thrown)}; ${cure}`;
}
