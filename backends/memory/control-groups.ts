/**
 * The memory limits of the control groups that the process is in, and how much of them is in use.
 *
 * A group's use includes page cache, which the kernel reclaims before it kills a process. So part of
 * it does not count: all inactive page cache, and half of the active, as the files that the process
 * works with should stay cached.
 */
import { type ControlGroup, controlGroupsBelow, type Mount, mountsBelow } from '../../core/index.js';

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

export class ControlGroups {
  #mounts: readonly Mount[] | undefined;

  /** @param root the folder that contains /proc and /sys */
  constructor(private readonly root: string) {}

  /** The present limits. The process may have been moved, and the files may change. */
  limits(): MemoryLimit[] {
    this.#mounts ??= mountsBelow(this.root);
    return controlGroupsBelow(this.root, this.#mounts).flatMap((group) =>
      group.version === 2 ? limitsOfV2(group) : limitsOfV1(group),
    );
  }
}

function limitsOfV2(group: ControlGroup): MemoryLimit[] {
  // Above memory.high the kernel slows the group down until it almost stops.
  const [max, high] = [bytesIn(group.read('memory.max')), bytesIn(group.read('memory.high'))];
  const limitBytes = Math.min(max, high);
  if (limitBytes === Infinity) return [];
  const inUse = bytesIn(group.read('memory.current'));
  if (inUse === Infinity) return [];
  const usedBytes = inUse - reclaimable(group.read('memory.stat') ?? '', '');
  return [{ name: nameOf(group.name, high < max ? 'memory.high' : 'memory.max'), limitBytes, usedBytes }];
}

/** The use of child groups is included if the group says so. */
function limitsOfV1(group: ControlGroup): MemoryLimit[] {
  const limits: MemoryLimit[] = [];
  // The second limits memory plus swap.
  for (const kind of ['memory', 'memory.memsw']) {
    const limitBytes = bytesIn(group.read(`${kind}.limit_in_bytes`));
    const inUse = bytesIn(group.read(`${kind}.usage_in_bytes`));
    if (limitBytes === Infinity || inUse === Infinity) continue;
    if (!group.isOwn && group.read('memory.use_hierarchy')?.trim() === '0') continue;
    const usedBytes = inUse - reclaimable(group.read('memory.stat') ?? '', 'total_');
    limits.push({ name: nameOf(group.name, `${kind}.limit_in_bytes`), limitBytes, usedBytes });
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
