/** A folder with /proc and /sys of a machine that there is not: what the checks read, and nothing else. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A machine on which nothing is wrong: contents by path. */
export const GOOD: Readonly<Record<string, string>> = {
  '/proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
  '/proc/cpuinfo': 'processor\t: 0\nflags\t\t: fpu sse2 clflush clflushopt clwb\n',
  '/proc/meminfo': 'MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\nHugePages_Total: 0\nHugePages_Free: 0\n',
  '/proc/self/limits': limits({}),
  '/proc/self/cgroup': '0::/system.slice/bedrock.service\n',
  '/proc/self/mountinfo':
    '21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n' +
    '30 21 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n' +
    '40 21 259:1 / /mnt/pmem\\0400 rw,relatime - ext4 /dev/pmem0 rw,dax=always\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpu memory pids\n',
  '/sys/fs/cgroup/system.slice/memory.max': 'max\n',
  '/sys/fs/cgroup/system.slice/bedrock.service/memory.max': '8589934592\n',
  '/sys/fs/cgroup/system.slice/bedrock.service/pids.max': '4915\n',
  '/sys/fs/cgroup/system.slice/bedrock.service/pids.current': '12\n',
  '/sys/fs/cgroup/system.slice/bedrock.service/cpu.max': 'max 100000\n',
  '/sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc\n',
  '/sys/bus/nd/devices/namespace0.0/mode': 'memory\n',
  '/sys/bus/nd/devices/namespace0.0/size': '1073741824\n',
  '/sys/bus/nd/devices/namespace0.0/holder': 'pfn0.1\n',
  '/sys/bus/nd/devices/pfn0.1/align': '2097152\n',
  '/run/chrony/chronyd.pid': '4711\n',
};

/** /proc/self/limits, with what differs from that of a good machine. */
export function limits(soft: Record<string, string>): string {
  const rows = {
    'open files': '1048576',
    'address space': 'unlimited',
    'file size': 'unlimited',
    'locked memory': '8388608',
    ...soft,
  };
  const lines = Object.entries(rows).map(
    ([name, value]) => `Max ${name.padEnd(22)}${value.padEnd(21)}${value.padEnd(21)}units`,
  );
  return ['Limit                     Soft Limit           Hard Limit           Units', ...lines].join('\n');
}

export class FakeSystem {
  private constructor(readonly root: string) {}

  /** @param differences from `GOOD`; undefined removes a file */
  static async make(differences: Record<string, string | undefined> = {}): Promise<FakeSystem> {
    const system = new FakeSystem(await mkdtemp(path.join(tmpdir(), 'bedrock-system-')));
    for (const [file, text] of Object.entries({ ...GOOD, ...differences })) {
      if (text === undefined) continue;
      const place = path.join(system.root, file);
      await mkdir(path.dirname(place), { recursive: true });
      await writeFile(place, text, { mode: file.startsWith('/bin/') ? 0o755 : 0o644 });
    }
    return system;
  }

  remove(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}
