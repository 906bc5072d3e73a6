/**
 * Checks a pool that a configuration names, for `bedrock doctor`: its file and folder, the rights
 * to them, who holds it, its file system, and the space there. It opens an existing file for
 * reading, and changes nothing.
 */
import { constants } from 'node:fs';
import { access, open, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, systemCodeOf } from '../base/errors.js';
import { isDax, type Mount, mountOf, mountsBelow } from '../base/mounts.js';
import { withCure } from '../base/system-cure.js';
import { type Diagnosis, type DiagnosisContext, ok, problem, warning } from '../contract/diagnosis.js';
import { holderOfLock } from './lock-holder.js';
import { checkKind, fileOf } from './pool-path.js';
import { missingBytes, type PoolSettings } from './pool-settings.js';

/** The types of file systems, as in statfs and mountinfo, and what each means for a pool. */
const FILE_SYSTEMS: Readonly<Record<string, readonly [found: string, cure: string]>> = {
  tmpfs: [
    'memory: its contents end with the machine',
    'choose a file system on a disk, unless that is meant',
  ],
  ramfs: [
    'memory: its contents end with the machine',
    'choose a file system on a disk, unless that is meant',
  ],
  btrfs: [
    'copies on every write: a full disk refuses writes to regions that exist',
    'prefer ext4 or xfs, or keep space free',
  ],
  zfs: [
    'copies on every write: a full disk refuses writes to regions that exist',
    'prefer ext4 or xfs, or keep space free',
  ],
  bcachefs: [
    'copies on every write: a full disk refuses writes to regions that exist',
    'prefer ext4 or xfs, or keep space free',
  ],
  nfs: ['of another machine: when that one stops, so does the daemon', 'prefer a local file system'],
  nfs4: ['of another machine: when that one stops, so does the daemon', 'prefer a local file system'],
  cifs: ['of another machine, and locks do not hold everywhere', 'prefer a local file system'],
  vfat: ['without files of 4 GiB and more, and without space that is allocated', 'prefer ext4 or xfs'],
};

export async function diagnosePool(
  type: string,
  settings: PoolSettings,
  { baseDirectory, systemRoot }: DiagnosisContext,
): Promise<Diagnosis[]> {
  const poolPath = { path: settings.path, isDirectory: settings.size !== undefined, baseDirectory };
  const file = await fileOf(poolPath);
  const there = await stat(file).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  });
  if (there === undefined) return diagnoseMissing(file, settings, type, systemRoot);
  try {
    checkKind(file, there);
  } catch (error) {
    return [problem('pool', messageOf(error))];
  }
  const findings: Diagnosis[] = [await diagnoseRights(file, settings)];
  findings.push(...(await diagnoseHolder(file)));
  findings.push(...diagnoseFileSystem(file, settings, type, systemRoot));
  const { max_size: maxBytes = 0 } = settings;
  findings.push(
    await diagnoseSpace(path.dirname(file), Math.max(0, maxBytes - there.blocks * 512), 'to grow', warning),
  );
  return findings;
}

async function diagnoseMissing(
  file: string,
  settings: PoolSettings,
  type: string,
  systemRoot: string,
): Promise<Diagnosis[]> {
  const bytes = settings.read_only === true ? undefined : missingBytes(settings);
  if (bytes === undefined)
    return [
      problem(
        'pool',
        `${file} does not exist, and the settings do not let one be made`,
        'correct "path", mount its file system, or set "create_if_missing_with_size"',
      ),
    ];
  const folder = await nearestFolder(path.dirname(file));
  const findings: Diagnosis[] = [];
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    findings.push(ok('pool', `${file} does not exist yet, and can be made`));
  } catch (error) {
    findings.push(problem('pool', `${file} cannot be made: ${messageOf(error)}`, cureOf(error)));
  }
  findings.push(...diagnoseFileSystem(file, settings, type, systemRoot));
  findings.push(await diagnoseSpace(folder, bytes, 'for the new pool', problem));
  return findings;
}

/** The folder, or the nearest one above that exists. */
async function nearestFolder(folder: string): Promise<string> {
  for (let place = folder; ; place = path.dirname(place)) {
    const there = await stat(place).catch(() => undefined);
    if (there?.isDirectory() === true || place === path.dirname(place)) return place;
  }
}

async function diagnoseRights(
  file: string,
  { read_only: isReadOnly = false }: PoolSettings,
): Promise<Diagnosis> {
  try {
    await access(file, isReadOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
    return ok('pool', `${file}, which can be ${isReadOnly ? 'read' : 'read and written'}`);
  } catch (error) {
    return problem('pool', messageOf(error), cureOf(error));
  }
}

async function diagnoseHolder(file: string): Promise<Diagnosis[]> {
  let handle;
  try {
    // Not blocking: something else may have taken the file's place.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // The rights are already a finding.
    return [];
  }
  try {
    const holder = await holderOfLock(handle);
    if (holder === undefined) return [ok('lock', 'no process is seen that holds it')];
    return [
      warning(
        'lock',
        `${holder} holds it`,
        'nothing, if that is the daemon with this configuration; otherwise stop it, or give another path',
      ),
    ];
  } finally {
    await handle.close();
  }
}

function diagnoseFileSystem(
  file: string,
  { read_only: isReadOnly = false, require_pmem: requiresPmem = false }: PoolSettings,
  type: string,
  systemRoot: string,
): Diagnosis[] {
  const check = 'file system';
  const mount: Mount | undefined = mountOf(file, mountsBelow(systemRoot));
  if (mount === undefined) return [];
  const shown = `${mount.type} at ${mount.folder}`;
  if (mount.options.includes('ro') && !isReadOnly)
    return [
      problem(
        check,
        `${shown} is mounted read-only`,
        `mount -o remount,rw ${mount.folder}, or set "read_only"`,
      ),
    ];
  const known = FILE_SYSTEMS[mount.type] ?? (mount.type.startsWith('fuse') ? FUSE : undefined);
  const findings: Diagnosis[] = [
    known === undefined
      ? ok(check, isDax(mount) ? `${shown}, DAX` : shown)
      : warning(check, `${shown} is ${known[0]}`.replace('is copies', 'copies'), known[1]),
  ];
  if (type === 'pmem' && !isDax(mount))
    findings.push(
      (requiresPmem ? problem : warning)(
        'persistent memory',
        `${mount.folder} is mounted without dax: writes become durable by msync, not by flushes of the processor`,
        'give a path on persistent memory (mount -o dax), or use the type file, which is faster here',
      ),
    );
  return findings;
}

const FUSE: readonly [string, string] = [
  'served by a program: locks and durability are as good as that one',
  'prefer a local file system',
];

async function diagnoseSpace(
  folder: string,
  neededBytes: number,
  what: string,
  lack: typeof warning,
): Promise<Diagnosis> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${free} bytes free, ${neededBytes} needed ${what}`;
  if (free >= neededBytes) return ok('space', found);
  return lack('space', found, 'make room, or give a smaller size or another path');
}

/** The advice alone. */
function cureOf(error: unknown): string {
  const message = messageOf(error);
  const advised = withCure(error);
  return advised === message ? 'correct the path' : advised.slice(message.length + 2);
}
