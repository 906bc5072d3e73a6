/**
 * Checks of persistent memory: the addon and libpmem, namespaces and their alignment, mounts, and,
 * with `ndctl` and `daxctl`, the health of the devices. A machine without any has no problem.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { addonState } from '../../native/load.js';
import { messageOf } from '../base/errors.js';
import { isDax, mountsBelow } from '../base/mounts.js';
import { type Diagnosis, ok, problem, warning } from '../contract/diagnosis.js';
import type { Check } from './checks.js';
import type { Machine } from './machine.js';

/** The size of a huge page: a mapping that begins elsewhere has small pages. */
const HUGE_PAGE_BYTES = 2 ** 21;
const SECTOR_BYTES = 512;
const MAX_OUTPUT_BYTES = 2 ** 22;

/** @param searchPath as PATH */
export function pmemChecks(machine: Machine, searchPath: string): Check[] {
  return [
    { name: 'native addon', run: () => addon() },
    { name: 'namespaces', run: () => namespaces(machine) },
    { name: 'dax mounts', run: () => mounts(machine) },
    { name: 'ndctl', run: (signal) => health(searchPath, signal) },
    { name: 'daxctl', run: (signal) => deviceDax(searchPath, signal) },
  ];
}

function addon(): Diagnosis[] {
  const { path: file, attributes, reason } = addonState();
  if (attributes === undefined)
    return [
      warning(
        'native addon',
        reason ?? 'it does not load',
        'npx bedrock native build; without it there is no pmem backend, and pools lock by other means',
      ),
    ];
  const { libpmem, libpmemPath, libpmemReason } = attributes;
  return [
    ok('native addon', file),
    libpmem === null
      ? warning(
          'libpmem',
          `it is not used (${libpmemReason}): mappings become durable by msync`,
          'on persistent memory, install it (Debian: apt-get install libpmem1) and start the daemon again',
        )
      : ok('libpmem', `${libpmem}, ${libpmemPath}`),
  ];
}

function namespaces(machine: Machine): Diagnosis[] {
  const bus = '/sys/bus/nd/devices';
  const devices = machine.list(bus);
  const found = devices.filter(
    (name) => /^namespace\d/.test(name) && Number(machine.read(`${bus}/${name}/size`) ?? 0) > 0,
  );
  if (found.length === 0) return [ok('namespaces', 'no persistent memory')];
  const aligned = found.map((name): Diagnosis => {
    const mode = machine.read(`${bus}/${name}/mode`) ?? 'unknown';
    if (mode !== 'fsdax' && mode !== 'memory')
      return warning(
        'namespaces',
        `${name} has the mode ${mode}, whose files cannot be mapped directly`,
        `if nothing on it is needed: ndctl create-namespace -f -e ${name} -m fsdax`,
      );
    // The pfn device of the namespace knows the alignment.
    const holder = machine.read(`${bus}/${name}/holder`);
    const align = holder === undefined ? undefined : machine.read(`${bus}/${holder}/align`);
    if (align !== undefined && Number(align) % HUGE_PAGE_BYTES !== 0)
      return warning(
        'namespaces',
        `${name} is aligned to ${align} bytes: its mappings have small pages`,
        `if nothing on it is needed: ndctl create-namespace -f -e ${name} -m fsdax -a 2M`,
      );
    return ok('namespaces', `${name} is ${mode}${align === undefined ? '' : `, aligned to ${align} bytes`}`);
  });
  return [...aligned, ...partitions(machine)];
}

function partitions(machine: Machine): Diagnosis[] {
  const block = '/sys/class/block';
  return machine
    .list(block)
    .filter((name) => /^pmem[\d.]+p\d+$/.test(name))
    .map((name): Diagnosis => {
      const start = Number(machine.read(`${block}/${name}/start`) ?? 0) * SECTOR_BYTES;
      if (start % HUGE_PAGE_BYTES === 0) return ok('partitions', `${name} begins at a multiple of 2 MiB`);
      return warning(
        'partitions',
        `${name} begins at byte ${start}, no multiple of 2 MiB: mappings have small pages`,
        'create the partition again with such a beginning (parted -a none, unit MiB), or use the device without partitions',
      );
    });
}

function mounts(machine: Machine): Diagnosis[] {
  const findings = mountsBelow(machine.root).flatMap((mount): Diagnosis[] => {
    const { source, folder, type, options } = mount;
    const isOnPmem = /^\/dev\/pmem[\d.]+(?:s|p\d+)?$/.test(source);
    if (!isOnPmem && !isDax(mount)) return [];
    const where = `${source} at ${folder} (${type})`;
    if (/^\/dev\/pmem[\d.]+s/.test(source))
      return [
        warning(
          'dax mounts',
          `${where} is a sector device, without DAX`,
          'if nothing on it is needed, make its namespace an fsdax one (ndctl create-namespace -m fsdax)',
        ),
      ];
    if (!isDax(mount))
      return [
        problem(
          'dax mounts',
          `${where} is mounted without dax: its files go through the page cache`,
          `umount ${folder}; mount -o dax ${source} ${folder}; and put dax into /etc/fstab`,
        ),
      ];
    if (options.includes('ro'))
      return [warning('dax mounts', `${where} is mounted read-only`, `mount -o remount,rw ${folder}`)];
    const how = options.find((option) => option === 'dax' || option.startsWith('dax='));
    return [ok('dax mounts', `${where}, ${how ?? 'dax'}`)];
  });
  return findings.length > 0 ? findings : [ok('dax mounts', 'none')];
}

interface Dimm {
  dev?: string;
  health?: { health_state?: string; shutdown_state?: string; shutdown_count?: number };
}

async function health(searchPath: string, signal: AbortSignal): Promise<Diagnosis[]> {
  const listed = await listWith('ndctl', ['list', '-DH'], searchPath, signal);
  if (!Array.isArray(listed)) return [listed];
  const findings = listed.flatMap(({ dev = 'a DIMM', health: state }: Dimm): Diagnosis[] => {
    if (state === undefined) return [];
    const { health_state: word = 'unknown', shutdown_state: shutdown } = state;
    if (word !== 'ok')
      return [
        problem('ndctl', `${dev} has the health state ${word}`, 'save what is on it, and have it replaced'),
      ];
    if (shutdown !== undefined && shutdown !== 'clean')
      return [
        warning(
          'ndctl',
          `${dev} was shut down ${shutdown}: what was under way then may be lost`,
          'check the pools on it: bedrock pool check',
        ),
      ];
    return [ok('ndctl', `${dev} is well`)];
  });
  return findings.length > 0 ? findings : [ok('ndctl', 'it knows of no DIMM')];
}

async function deviceDax(searchPath: string, signal: AbortSignal): Promise<Diagnosis[]> {
  const listed = await listWith('daxctl', ['list'], searchPath, signal);
  if (!Array.isArray(listed)) return [listed];
  const findings = listed.map(
    ({ chardev = 'a device', mode = 'devdax' }: { chardev?: string; mode?: string }) =>
      ok('daxctl', `${chardev} is ${mode}; a pool needs a file system, on an fsdax namespace`),
  );
  return findings.length > 0 ? findings : [ok('daxctl', 'no Device DAX')];
}

/** The list that such a tool prints as JSON; a finding if it is missing, or fails. */
async function listWith(
  tool: string,
  args: readonly string[],
  searchPath: string,
  signal: AbortSignal,
): Promise<object[] | Diagnosis> {
  const file = await commandIn(tool, searchPath);
  if (file === undefined) return ok(tool, 'not installed; only persistent memory needs it');
  try {
    const text = await outputOf(file, args, signal);
    const listed: unknown = text.trim() === '' ? [] : JSON.parse(text);
    return (Array.isArray(listed) ? listed : [listed]).filter(
      (each): each is object => typeof each === 'object' && each !== null,
    );
  } catch (error) {
    return warning(
      tool,
      `${tool} ${args.join(' ')} failed: ${messageOf(error).split('\n')[0] ?? ''}`,
      `see what it says when you run it`,
    );
  }
}

function outputOf(file: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { signal, killSignal: 'SIGKILL' as const, maxBuffer: MAX_OUTPUT_BYTES };
    const child = execFile(file, args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(error.message, { cause: error }));
    });
    child.stdin?.end();
  });
}

async function commandIn(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue;
    const file = path.join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}
