/**
 * The memory limits of control groups, and how much of them is in use: cgroup v2 and v1, the
 * process's own group and all its parents, as any of them may be full.
 *
 * The kernel generates these files from memory, so reading them never waits for a disk. A group's
 * use includes page cache, which the kernel reclaims before it kills a process. So part of it does
 * not count: all inactive page cache, and half of the active, as the files that the process works
 * with should stay cached.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A limit on memory, which may be shared with other processes, and its use. */
export interface MemoryLimit {
  /** Its name in messages. */
  readonly name: string;
  readonly limitBytes: number;
  /** Memory in use that cannot be reclaimed without ending a process. */
  readonly usedBytes: number;
  /** Whether memory counts as used when it is allocated, not when it is first written. */
  readonly countsUntouched?: true;
}

/** In v1 the kernel expresses "no limit" as the largest number of pages; no machine has an exbibyte. */
const NONE_FROM = 2 ** 60;

interface Mount {
  readonly version: 1 | 2;
  /** The group at the mount point; it is not the root group in a container without a cgroup namespace. */
  readonly group: string;
  readonly folder: string;
}

export class ControlGroups {
  #mounts: readonly Mount[] | undefined;

  /** @param root the folder that contains /proc and /sys */
  constructor(private readonly root: string) {}

  /** The present limits. The process may have been moved, and the files may change. */
  limits(): MemoryLimit[] {
    this.#mounts ??= mountsOf(readText(this.root, '/proc/self/mountinfo') ?? '');
    const membership = (readText(this.root, '/proc/self/cgroup') ?? '').split('\n');
    return this.#mounts.flatMap((mount) => this.#limitsOf(mount, membership));
  }

  #limitsOf(mount: Mount, membership: readonly string[]): MemoryLimit[] {
    const own = groupOf(membership, mount.version);
    if (own === undefined) return [];
    const limits: MemoryLimit[] = [];
    let below = within(own, mount.group);
    for (let isOwn = true; ; isOwn = false) {
      const folder = path.posix.join(mount.folder, below);
      const file = (name: string): string | undefined => readText(this.root, `${folder}/${name}`);
      const group = path.posix.join(mount.group, below);
      limits.push(...(mount.version === 2 ? limitsOfV2(group, file) : limitsOfV1(group, file, isOwn)));
      if (below === '/') return limits;
      below = path.posix.dirname(below);
    }
  }
}

type ReadFile = (name: string) => string | undefined;

function limitsOfV2(group: string, file: ReadFile): MemoryLimit[] {
  // Above memory.high the kernel slows the group down until it almost stops.
  const [max, high] = [bytesIn(file('memory.max')), bytesIn(file('memory.high'))];
  const limitBytes = Math.min(max, high);
  if (limitBytes === Infinity) return [];
  const inUse = bytesIn(file('memory.current'));
  if (inUse === Infinity) return [];
  const usedBytes = inUse - reclaimable(file('memory.stat') ?? '', '');
  return [{ name: nameOf(group, high < max ? 'memory.high' : 'memory.max'), limitBytes, usedBytes }];
}

/** @param isOwn whether it is the process's own group; use of child groups is included if it says so */
function limitsOfV1(group: string, file: ReadFile, isOwn: boolean): MemoryLimit[] {
  const limits: MemoryLimit[] = [];
  // The second limits memory plus swap.
  for (const kind of ['memory', 'memory.memsw']) {
    const limitBytes = bytesIn(file(`${kind}.limit_in_bytes`));
    const inUse = bytesIn(file(`${kind}.usage_in_bytes`));
    if (limitBytes === Infinity || inUse === Infinity) continue;
    if (!isOwn && file('memory.use_hierarchy')?.trim() === '0') continue;
    const usedBytes = inUse - reclaimable(file('memory.stat') ?? '', 'total_');
    limits.push({ name: nameOf(group, `${kind}.limit_in_bytes`), limitBytes, usedBytes });
  }
  return limits;
}

function nameOf(group: string, file: string): string {
  return `the control group ${group} (${file})`;
}

/** Bytes of page cache that the kernel can reclaim. */
function reclaimable(stat: string, prefix: string): number {
  return figureIn(stat, `${prefix}inactive_file`) + figureIn(stat, `${prefix}active_file`) / 2;
}

/** The number in a line `name number`; 0 if there is none. */
function figureIn(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1)) || 0;
}

/** Infinity if it sets no limit, does not exist, or cannot be read. */
function bytesIn(text: string | undefined): number {
  const bytes = Number(text?.trim() ?? 'max');
  return bytes < NONE_FROM ? bytes : Infinity;
}

/** The process's group, from the lines `hierarchy:controllers:group`. */
function groupOf(membership: readonly string[], version: 1 | 2): string | undefined {
  for (const line of membership) {
    const [hierarchy, controllers = '', ...rest] = line.split(':');
    const isOfIt =
      version === 2 ? hierarchy === '0' && controllers === '' : controllers.split(',').includes('memory');
    if (isOfIt) return rest.join(':') || '/';
  }
  return undefined;
}

/**
 * Path of a group relative to the one at a mount point; the mount point itself if it is not below
 * it, which can appear so in a container.
 */
function within(group: string, top: string): string {
  if (group.startsWith('/..')) return '/';
  if (top === '/') return group;
  return group.startsWith(`${top}/`) ? group.slice(top.length) : '/';
}

/** Mount points of memory groups: see proc_pid_mountinfo(5). */
function mountsOf(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , group = '', folder = ''] = before.split(' ').map(unescaped);
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') return [{ version: 2, group, folder }];
    const isOfMemory = type === 'cgroup' && options.split(',').includes('memory');
    return isOfMemory ? [{ version: 1, group, folder }] : [];
  });
}

/** Spaces appear as \040. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** A file of the kernel; undefined if it does not exist or cannot be read. */
export function readText(root: string, file: string): string | undefined {
  try {
    return readFileSync(path.join(root, file), 'latin1');
  } catch {
    return undefined;
  }
}
