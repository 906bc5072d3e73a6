/**
 * What control groups let the process have of memory, and how much of that is in use: cgroup v2 and v1, the process's own group and
 * all above it, as each of them may be the one that is full.
 *
 * The kernel answers these files from memory, so reading them waits for no disk. Page cache is in a group's use, too; the kernel takes
 * it back before it kills anything, so it does not count: all that was not used of late, and half of the rest, as the files that
 * the process works with should stay.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A bound on memory that others may share, and what of it is taken. */
export interface MemoryLimit {
  /** As a message names it. */
  readonly name: string;
  readonly limitBytes: number;
  /** What is in use and cannot be had back without ending somebody. */
  readonly usedBytes: number;
  /** Whether memory counts as used from when it is asked for, and not from when it is first written. */
  readonly countsUntouched?: true;
}

/** The kernel's "none" of v1 is the largest number of pages; nobody has a machine of an exbibyte. */
const NONE_FROM = 2 ** 60;

interface Mount {
  readonly version: 1 | 2;
  /** The group that is seen at the mount point: not the topmost one in a container that has no namespace for groups. */
  readonly group: string;
  readonly folder: string;
}

export class ControlGroups {
  #mounts: readonly Mount[] | undefined;

  /** @param root the folder that holds /proc and /sys */
  constructor(private readonly root: string) {}

  /** The limits that there are now. The process may have been moved, and the files may change. */
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
  // Beyond memory.high the kernel slows the group down until hardly anything moves.
  const [max, high] = [bytesIn(file('memory.max')), bytesIn(file('memory.high'))];
  const limitBytes = Math.min(max, high);
  if (limitBytes === Infinity) return [];
  const inUse = bytesIn(file('memory.current'));
  if (inUse === Infinity) return [];
  const usedBytes = inUse - reclaimable(file('memory.stat') ?? '', '');
  return [{ name: nameOf(group, high < max ? 'memory.high' : 'memory.max'), limitBytes, usedBytes }];
}

/** @param isOwn whether it is the process's own group; use of the groups below counts if it says so */
function limitsOfV1(group: string, file: ReadFile, isOwn: boolean): MemoryLimit[] {
  const limits: MemoryLimit[] = [];
  // The second is of memory and swap together.
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

/** Bytes of page cache that the kernel can take back. */
function reclaimable(stat: string, prefix: string): number {
  return figureIn(stat, `${prefix}inactive_file`) + figureIn(stat, `${prefix}active_file`) / 2;
}

/** The number of a line `name number`; 0 if there is none. */
function figureIn(text: string, name: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1)) || 0;
}

/** Infinity for what sets no limit, is not there, or cannot be read. */
function bytesIn(text: string | undefined): number {
  const bytes = Number(text?.trim() ?? 'max');
  return bytes < NONE_FROM ? bytes : Infinity;
}

/** The process's group, of the lines `hierarchy:controllers:group`. */
function groupOf(membership: readonly string[], version: 1 | 2): string | undefined {
  for (const line of membership) {
    const [hierarchy, controllers = '', ...rest] = line.split(':');
    const isOfIt =
      version === 2 ? hierarchy === '0' && controllers === '' : controllers.split(',').includes('memory');
    if (isOfIt) return rest.join(':') || '/';
  }
  return undefined;
}

/** Where a group stands below the one at a mount point; the mount point itself if it is not below it, as it seems in a container. */
function within(group: string, top: string): string {
  if (group.startsWith('/..')) return '/';
  if (top === '/') return group;
  return group.startsWith(`${top}/`) ? group.slice(top.length) : '/';
}

/** Where groups of memory are mounted: see proc_pid_mountinfo(5). */
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

/** Blanks stand as \040. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** A file of the kernel's; nothing if there is none, or it is not to be read. */
export function readText(root: string, file: string): string | undefined {
  try {
    return readFileSync(path.join(root, file), 'latin1');
  } catch {
    return undefined;
  }
}
