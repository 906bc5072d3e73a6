/**
 * The control groups that a process is in, cgroup v2 and the memory groups of v1: its own and all
 * their parents, as any of them may be the one that is full.
 *
 * The kernel makes these files from memory, so reading them waits for no disk.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Mount, mountsBelow } from './mounts.js';

export interface ControlGroup {
  readonly version: 1 | 2;
  /** Its path from the root of the hierarchy. */
  readonly name: string;
  /** Whether the process is in it, not only in a group below. */
  readonly isOwn: boolean;
  /** @returns the text of one of its files; undefined if it does not exist or cannot be read */
  read(file: string): string | undefined;
}

/**
 * @param systemRoot folder that contains /proc and /sys
 * @param mounts those of the system, if they are known
 * @returns in each hierarchy from the process's own group up; none if the system does not show them
 */
export function controlGroupsBelow(
  systemRoot: string,
  mounts: readonly Mount[] = mountsBelow(systemRoot),
): ControlGroup[] {
  const membership = (readText(systemRoot, '/proc/self/cgroup') ?? '').split('\n');
  return mounts.flatMap((mount) => groupsOf(mount, membership, systemRoot));
}

function groupsOf(mount: Mount, membership: readonly string[], systemRoot: string): ControlGroup[] {
  const version = versionOf(mount);
  if (version === undefined) return [];
  const own = groupOf(membership, version);
  if (own === undefined) return [];
  const groups: ControlGroup[] = [];
  for (let below = within(own, mount.root); ; below = path.posix.dirname(below)) {
    const folder = path.posix.join(mount.folder, below);
    groups.push({
      version,
      name: path.posix.join(mount.root, below),
      isOwn: groups.length === 0,
      read: (file) => readText(systemRoot, `${folder}/${file}`),
    });
    if (below === '/') return groups;
  }
}

function versionOf({ type, options }: Mount): 1 | 2 | undefined {
  if (type === 'cgroup2') return 2;
  return type === 'cgroup' && options.includes('memory') ? 1 : undefined;
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

function readText(systemRoot: string, file: string): string | undefined {
  try {
    return readFileSync(path.join(systemRoot, file), 'latin1');
  } catch {
    return undefined;
  }
}
