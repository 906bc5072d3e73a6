/**
 * Finds the holders of a file's lock, as far as Linux shows them: /proc/locks has the inode and the
 * process of every lock (proc(5)).
 */
import { fstatSync, readFileSync } from 'node:fs';

/** A process that holds a lock on a file. */
export interface LockHolder {
  /** Its process id, as /proc/locks has it. */
  readonly pid: number;
  /** The name of the process, if it can be read. */
  readonly command?: string;
}

/** The holders of flock(2) locks on an open file; empty if unknown. */
export function lockHolders(fd: number): LockHolder[] {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    const wanted = `${device(dev)}:${ino.toString()}`;
    // "2: FLOCK  ADVISORY  WRITE 4711 fd:01:131090 0 EOF"; a waiting one has "->" after its number.
    const pids = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, kind, , , , file]) => kind === 'FLOCK' && file === wanted)
      .map(([, , , , pid]) => Number(pid));
    // A holder in another namespace has the number 0 here.
    return [...new Set(pids)].filter((pid) => pid > 0).map(describe);
  } catch {
    return [];
  }
}

/** As in /proc/locks: major and minor number, each with at least two hexadecimal digits. */
function device(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':');
}

function describe(pid: number): LockHolder {
  try {
    return { pid, command: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() };
  } catch {
    return { pid };
  }
}
