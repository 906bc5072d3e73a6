/** The mounted file systems, as the kernel lists them: proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface Mount {
  /** The folder of the file system that is mounted. */
  readonly root: string;
  readonly folder: string;
  readonly type: string;
  readonly source: string;
  /** Of the mount, and of the file system. */
  readonly options: readonly string[];
}

/**
 * @param systemRoot folder that contains /proc
 * @returns in the order of their mounting; none if the system does not show them
 */
export function mountsBelow(systemRoot: string): Mount[] {
  let text: string;
  try {
    text = readFileSync(path.join(systemRoot, '/proc/self/mountinfo'), 'latin1');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line): Mount[] => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [, , , root = '', folder = '', own = ''] = before.split(' ').map(unescaped);
    const [type = '', source = '', shared = ''] = after.split(' ').map(unescaped);
    return [{ root, folder, type, source, options: [...own.split(','), ...shared.split(',')] }];
  });
}

/** The mount that a path is on. Later mounts cover earlier ones. */
export function mountOf(file: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const isOn = file === mount.folder || file.startsWith(mount.folder === '/' ? '/' : `${mount.folder}/`);
    if (isOn && mount.folder.length >= (found?.folder.length ?? 0)) found = mount;
  }
  return found;
}

/**
 * Whether files of it can be mapped without the page cache: `dax`, `dax=always`; with `dax=inode`
 * each file says it itself.
 */
export function isDax({ options }: Mount): boolean {
  return options.some((option) => option === 'dax' || option === 'dax=always' || option === 'dax=inode');
}

/** Spaces appear as \040. The kernel's bytes are UTF-8. */
function unescaped(text: string): string {
  const bytes = text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
