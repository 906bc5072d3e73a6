/** Advice for users about errors of the system, for the end of a message. */
import { messageOf, systemCodeOf } from './errors.js';

const RIGHTS = 'give the user of this process the right to it (chown, chmod), or run it as a user who has it';

const CURES: Readonly<Record<string, string>> = {
  EACCES: RIGHTS,
  EPERM: RIGHTS,
  EROFS: 'mount the file system for writing',
  EISDIR: 'give the path of a file',
  ENOTDIR: 'a part of the path is a file; correct the path',
  ENOENT: 'correct the path, or create what is missing',
  ENAMETOOLONG: 'give a shorter path',
  ELOOP: 'its links lead in a circle; correct them, or the path',
  ENOSPC: 'free some space on its file system (df, df -i), or choose another',
  EDQUOT: "the user's quota is used up; free some space, or choose another file system",
  EFBIG: 'raise the limit (ulimit -f), or choose another file system',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: 'the machine has too many open files; end what holds them, or raise fs.file-max',
  EIO: "the device failed; see the kernel's log (dmesg)",
};

/** The message, followed by advice if there is any. */
export function withCure(thrown: unknown): string {
  const cure = CURES[systemCodeOf(thrown) ?? ''];
  return cure === undefined ? messageOf(thrown) : `${messageOf(thrown)}; ${cure}`;
}
