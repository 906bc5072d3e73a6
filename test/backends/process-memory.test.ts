/** What bounds the memory of regions: the files of the kernel that tell it, and how often they are read. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { MemoryLimit } from '../../backends/memory/control-groups.js';
import { MemoryLimits } from '../../backends/memory/memory-limits.js';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { ProcessMemory } from '../../backends/memory/process-memory.js';
import { createLogger } from '../../core/base/logging.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const V1 = 'rw,relatime - cgroup cgroup rw,memory';
const V2 = 'rw,relatime - cgroup2 cgroup2 rw';

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'memory-limits-'));
  files({
    '/proc/meminfo': 'MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n',
    '/proc/self/statm': '100000 30000 10000 1 0 50000 0\n',
    '/proc/self/limits':
      'Limit   Soft Limit   Hard Limit   Units\nMax address space  unlimited  unlimited  bytes\n',
  });
});

afterEach(() => rmSync(root, { recursive: true }));

/** Writes files of a tree that is like the kernel's. */
function files(contents: Record<string, string | number>): void {
  for (const [name, text] of Object.entries(contents)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, String(text));
  }
}

/** What the limits of control groups are. */
function groupLimits(): MemoryLimit[] {
  return new MemoryLimits(root).limits().filter(({ name }) => name.includes('control group'));
}

describe('control groups, version 2', () => {
  test('bound the process by each group from its own up, less what the kernel can take back', () => {
    files({
      '/proc/self/mountinfo': `30 23 0:28 / /sys/fs/cgroup ${V2}\n`,
      '/proc/self/cgroup': '0::/system.slice/bedrock.service\n',
      '/sys/fs/cgroup/system.slice/bedrock.service/memory.max': 400 * MIB,
      '/sys/fs/cgroup/system.slice/bedrock.service/memory.high': 'max',
      '/sys/fs/cgroup/system.slice/bedrock.service/memory.current': 300 * MIB,
      '/sys/fs/cgroup/system.slice/bedrock.service/memory.stat': `anon 5\ninactive_file ${100 * MIB}\nactive_file ${20 * MIB}\n`,
      '/sys/fs/cgroup/system.slice/memory.max': 'max',
      '/sys/fs/cgroup/system.slice/memory.high': GIB,
      '/sys/fs/cgroup/system.slice/memory.current': 900 * MIB,
      '/sys/fs/cgroup/system.slice/memory.stat': 'inactive_file 0\n',
    });
    expect(groupLimits()).toEqual([
      {
        name: 'the control group /system.slice/bedrock.service (memory.max)',
        limitBytes: 400 * MIB,
        usedBytes: 190 * MIB,
      },
      { name: 'the control group /system.slice (memory.high)', limitBytes: GIB, usedBytes: 900 * MIB },
    ]);
  });

  test('go by memory.high where that is less than memory.max', () => {
    files({
      '/proc/self/mountinfo': `30 23 0:28 / /sys/fs/cgroup ${V2}\n`,
      '/proc/self/cgroup': '0::/a\n',
      '/sys/fs/cgroup/a/memory.max': 400 * MIB,
      '/sys/fs/cgroup/a/memory.high': 300 * MIB,
      '/sys/fs/cgroup/a/memory.current': 0,
    });
    expect(groupLimits()).toEqual([
      { name: 'the control group /a (memory.high)', limitBytes: 300 * MIB, usedBytes: 0 },
    ]);
  });

  test.each([
    ['with a namespace of its own', '/', '0::/\n'],
    ['without one', '/docker/0123', '0::/docker/0123\n'],
    ['moved out of its namespace', '/', '0::/../elsewhere\n'],
    ['below a mount that does not show its group', '/docker/0123', '0::/other\n'],
  ])('are found in a container %s', (_title, mounted, membership) => {
    files({
      '/proc/self/mountinfo': `30 23 0:28 ${mounted} /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup rw\n`,
      '/proc/self/cgroup': membership,
      '/sys/fs/cgroup/memory.max': 400 * MIB,
      '/sys/fs/cgroup/memory.current': MIB,
    });
    expect(groupLimits()).toMatchObject([{ limitBytes: 400 * MIB, usedBytes: MIB }]);
  });
});

describe('control groups, version 1', () => {
  test('bound the process by each group from its own up, memory and swap too', () => {
    files({
      '/proc/self/mountinfo': `31 23 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n32 23 0:30 / /sys/fs/cgroup/memory ${V1}\n33 23 0:31 / /sys/fs/cgroup/unified ${V2}\n`,
      '/proc/self/cgroup': '4:cpu:/x\n3:memory,hugetlb:/batch/job\n0::/\n',
      '/sys/fs/cgroup/memory/batch/job/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/batch/job/memory.usage_in_bytes': 200 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.limit_in_bytes': 500 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.usage_in_bytes': 250 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.memsw.limit_in_bytes': 500 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.memsw.usage_in_bytes': 350 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.use_hierarchy': '1\n',
      '/sys/fs/cgroup/memory/batch/memory.stat': `inactive_file 7\ntotal_inactive_file ${50 * MIB}\n`,
    });
    expect(groupLimits()).toEqual([
      {
        name: 'the control group /batch (memory.limit_in_bytes)',
        limitBytes: 500 * MIB,
        usedBytes: 200 * MIB,
      },
      {
        name: 'the control group /batch (memory.memsw.limit_in_bytes)',
        limitBytes: 500 * MIB,
        usedBytes: 300 * MIB,
      },
    ]);
  });

  test('do not count for the groups below where a group says so', () => {
    files({
      '/proc/self/mountinfo': `32 23 0:30 / /sys/fs/cgroup/memory ${V1}\n`,
      '/proc/self/cgroup': '3:memory:/batch/job\n',
      '/sys/fs/cgroup/memory/batch/memory.limit_in_bytes': 500 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.usage_in_bytes': 250 * MIB,
      '/sys/fs/cgroup/memory/batch/memory.use_hierarchy': '0\n',
    });
    expect(groupLimits()).toEqual([]);
  });

  test('are found at a mount point with a blank in its name', () => {
    files({
      '/proc/self/mountinfo': `32 23 0:30 / /sys/my\\040groups ${V1}\n`,
      '/proc/self/cgroup': '3:memory:/\n',
      '/sys/my groups/memory.limit_in_bytes': 500 * MIB,
      '/sys/my groups/memory.usage_in_bytes': MIB,
    });
    expect(groupLimits()).toMatchObject([{ limitBytes: 500 * MIB }]);
  });
});

describe('what else bounds the process', () => {
  test('is what the machine has available', () => {
    expect(new MemoryLimits(root).limits()).toEqual([
      { name: 'the machine', limitBytes: 8 * GIB, usedBytes: 4 * GIB },
    ]);
  });

  test('is ulimit -v and ulimit -d, for which memory counts before it is written', () => {
    const row = (title: string, bytes: number): string =>
      `${title.padEnd(26)}${String(bytes).padEnd(21)}${'unlimited'.padEnd(21)}bytes\n`;
    files({ '/proc/self/limits': row('Max data size', GIB) + row('Max address space', 2 * GIB) });
    expect(new MemoryLimits(root).limits().slice(1)).toEqual([
      {
        name: 'the limit of address space (ulimit -v)',
        limitBytes: 2 * GIB,
        usedBytes: 100_000 * 4096,
        countsUntouched: true,
      },
      {
        name: 'the limit of data (ulimit -d)',
        limitBytes: GIB,
        usedBytes: 50_000 * 4096,
        countsUntouched: true,
      },
    ]);
  });

  test('is the machine alone where there is neither /proc nor /sys', () => {
    rmSync(path.join(root, 'proc'), { recursive: true });
    const [machine, ...others] = new MemoryLimits(root).limits();
    expect(machine?.limitBytes).toBeGreaterThan(machine?.usedBytes as number);
    expect(others).toEqual([]);
  });
});

describe('ProcessMemory', () => {
  /** Limits that a test sets. */
  class Source {
    all: MemoryLimit[] = [{ name: 'a test', limitBytes: GIB, usedBytes: 0 }];
    resident = 100 * MIB;
    engine = 30 * MIB;
    reads = 0;

    limits(): MemoryLimit[] {
      this.reads++;
      return this.all;
    }

    residentBytes(): number {
      return this.resident;
    }

    engineBytes(): number {
      return this.engine;
    }
  }

  /** Waits until what was read is old enough to be read again. */
  async function aged(): Promise<void> {
    const until = performance.now() + 11;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
  }

  test.each([
    [256 * MIB, 64 * MIB],
    [GIB, 128 * MIB],
    [64 * GIB, 512 * MIB],
  ])('of a limit of %i bytes keeps %i for the process', (limitBytes, reserve) => {
    const source = new Source();
    source.all = [{ name: 'a test', limitBytes, usedBytes: 0 }];
    expect(new ProcessMemory(source).roomBytes).toBe(limitBytes - reserve);
  });

  test('has no more room than its tightest limit, and no less than none', () => {
    const source = new Source();
    source.all.push({ name: 'a full one', limitBytes: 300 * MIB, usedBytes: 299 * MIB });
    const memory = new ProcessMemory(source);
    expect(memory.roomBytes).toBe(0);
    expect(memory.hasRoomFor(1)).toBe(false);
    expect(memory.bound).toMatch(/^a full one allows 314572800 bytes, 313524224 are in use and 67108864 /);
  });

  test('counts what regions hold, written or not, and gives it back', async () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    const room = memory.roomBytes;
    memory.note(600 * MIB);
    source.engine += 600 * MIB;
    expect(memory.roomBytes).toBe(room - 600 * MIB);
    await aged();
    // Read again, as this does not fit: nothing of the 600 MiB was written, so the system knows
    // nothing of them.
    expect(memory.hasRoomFor(room - 600 * MIB + 1)).toBe(false);
    expect(source.reads).toBe(2);
    expect(memory.bound).toContain('are promised to regions');
    memory.note(-600 * MIB);
    expect(memory.roomBytes).toBe(room);
  });

  test('does not count twice what was written', async () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    const room = memory.roomBytes;
    memory.note(600 * MIB);
    source.engine += 600 * MIB;
    source.resident += 600 * MIB;
    source.all = [{ name: 'a test', limitBytes: GIB, usedBytes: 600 * MIB }];
    await aged();
    expect(memory.hasRoomFor(room - 600 * MIB)).toBe(true);
    expect(memory.hasRoomFor(room - 600 * MIB + 1)).toBe(false);
  });

  test('takes the growth of the heap and of other buffers for no region', async () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    const room = memory.roomBytes;
    memory.note(600 * MIB);
    source.engine += 700 * MIB;
    source.resident += 100 * MIB;
    source.all = [{ name: 'a test', limitBytes: GIB, usedBytes: 100 * MIB }];
    await aged();
    expect(memory.hasRoomFor(room - 700 * MIB)).toBe(true);
    expect(memory.hasRoomFor(room - 700 * MIB + 1)).toBe(false);
  });

  test('promises nothing of what is not written where memory of buffers that are gone is kept', async () => {
    const source = new Source();
    source.engine += 300 * MIB;
    const memory = new ProcessMemory(source);
    const room = memory.roomBytes;
    memory.note(600 * MIB);
    memory.noteUnwritten(600 * MIB);
    // As much as was written to half of the regions, but it is what malloc(3) has kept.
    source.engine += 600 * MIB - 300 * MIB;
    source.all = [{ name: 'a test', limitBytes: GIB, usedBytes: 0 }];
    await aged();
    expect(memory.hasRoomFor(room - 600 * MIB + 1)).toBe(false);
    expect(memory.hasRoomFor(room - 600 * MIB)).toBe(true);
  });

  test('is told by a target what nobody has written', async () => {
    let unwritten = 0;
    class Noting extends ProcessMemory {
      override noteUnwritten(bytes: number): void {
        unwritten += bytes;
        super.noteUnwritten(bytes);
      }
    }
    const logger = createLogger({ level: 'off', format: 'text' });
    const context = { logger, clock: { now: () => 1 } };
    const target = new MemoryTarget({}, context, new Noting(new Source()));
    await target.open();
    const small = await target.create(100);
    expect(unwritten).toBe(0);
    const [first, second, third] = [
      await target.create(MIB),
      await target.create(MIB),
      await target.create(MIB),
    ];
    expect(unwritten).toBe(3 * MIB);
    await target.write(first, 0, Buffer.alloc(1000));
    expect(unwritten).toBe(3 * MIB - 1000);
    for (let round = 0; round < 3; round++) await target.write(first, 0, Buffer.alloc(MIB));
    expect(unwritten).toBe(2 * MIB);
    target.land(second, 0, 1000)?.release();
    expect(unwritten).toBe(2 * MIB - 1000);
    (await target.map(third)).release();
    (await target.map(small)).release();
    expect(unwritten).toBe(MIB - 1000);
    await target.erase(second);
    await target.erase(first);
    await target.create(MIB);
    expect(unwritten).toBe(MIB);
    await target.close();
    expect(unwritten).toBe(0);
  });

  test('takes what it counts as untouched off no limit that counts it itself', async () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    expect(memory.roomBytes).toBeGreaterThan(0);
    memory.note(600 * MIB);
    source.engine += 600 * MIB;
    source.all = [{ name: 'ulimit', limitBytes: GIB, usedBytes: 600 * MIB, countsUntouched: true }];
    await aged();
    expect(memory.hasRoomFor(GIB)).toBe(false);
    expect(memory.roomBytes).toBe(GIB - 128 * MIB - 600 * MIB);
  });

  test('sees that others have taken memory when an eighth of the room was taken', async () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    const room = memory.roomBytes;
    source.all = [{ name: 'a test', limitBytes: GIB, usedBytes: GIB - 256 * MIB }];
    await aged();
    expect(memory.hasRoomFor(room / 8)).toBe(true);
    expect(source.reads).toBe(1);
    expect(memory.hasRoomFor(room / 8 + 1)).toBe(true);
    expect(source.reads).toBe(2);
    expect(memory.roomBytes).toBe(128 * MIB);
  });

  test('reads nothing for what comes and goes, and not again and again for what does not fit', () => {
    const source = new Source();
    const memory = new ProcessMemory(source);
    for (let round = 0; round < 1000; round++) {
      expect(memory.hasRoomFor(MIB)).toBe(true);
      memory.note(MIB);
      memory.note(-MIB);
    }
    const begun = performance.now();
    for (let round = 0; round < 1000; round++) expect(memory.hasRoomFor(2 * GIB)).toBe(false);
    // Once for each 10 ms, and once for the second that may have ended.
    expect(source.reads).toBeLessThanOrEqual(3 + (performance.now() - begun) / 10);
  });
});
