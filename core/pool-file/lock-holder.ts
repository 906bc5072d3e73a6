/**
 * Finds the holder of a file's lock, as far as Linux shows it: /proc/locks lists each lock with its
 * process and the file's device and inode.
 */
import { readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`; device numbers are hexadecimal (proc(5)). */
const LOCK = /^\d+: FLOCK\s+\S+\s+\S+\s+(\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s/;

/**
 * @returns a text such as `process 4711 (node)`; undefined if the system does not show it, or if
 *   that process has ended and left the lock to others
 */
export async function holderOfLock(file: FileHandle): Promise<string | undefined> {
  const { dev, ino } = await file.stat({ bigint: true });
  // As in glibc's gnu_dev_major and gnu_dev_minor.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const text = await readFile('/proc/locks', 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [, pid = '', heldMajor = '', heldMinor = '', inode = ''] = LOCK.exec(line) ?? [];
    if (inode !== String(ino)) continue;
    if (BigInt(`0x${heldMajor}`) !== major || BigInt(`0x${heldMinor}`) !== minor) continue;
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    if (name !== '') return `process ${pid} (${name})`;
  }
  return undefined;
}
