/**
 * Reads what the kernel reports of the machine, below a folder that contains /proc and /sys. The
 * kernel makes these files from memory, so reading them waits for no disk.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export class Machine {
  /** @param root `/`, except in tests */
  constructor(readonly root: string) {}

  /** The text of a file, without space at its ends; undefined if it does not exist or cannot be read. */
  read(file: string): string | undefined {
    try {
      return readFileSync(path.join(this.root, file), 'latin1').trim();
    } catch {
      return undefined;
    }
  }

  /** The names in a folder, in order; none if it does not exist. */
  list(folder: string): string[] {
    try {
      return readdirSync(path.join(this.root, folder)).sort();
    } catch {
      return [];
    }
  }

  /** The number of a line `name: 123 kB` of /proc/meminfo, in bytes; pages are counted as they are. */
  memory(name: string): number | undefined {
    const line = (this.read('/proc/meminfo') ?? '').split('\n').find((each) => each.startsWith(`${name}:`));
    const [, number, unit] = /:\s*(\d+)\s*(kB)?/.exec(line ?? '') ?? [];
    if (number === undefined) return undefined;
    return Number(number) * (unit === 'kB' ? 1024 : 1);
  }
}
