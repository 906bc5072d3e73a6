/**
 * Checks of the machine: Node.js, kernel, processor, memory, huge pages, user, clock, the folder
 * for temporary files.
 */
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { messageOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import { type Diagnosis, ok, problem, warning } from '../contract/diagnosis.js';
import type { Check } from './checks.js';
import { formatSize } from '../base/size-text.js';
import type { Machine } from './machine.js';

/** Facts that do not come from files. */
export interface ProcessFacts {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly architecture: string;
  /** Effective user ID; undefined if the system has none. */
  readonly user: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly temporaryFolder: string;
}

/** The oldest Node.js, as in package.json. */
const LEAST_NODE = [20, 19];
/** The oldest kernel whose DAX mappings are durable without a call of the kernel (MAP_SYNC). */
const LEAST_KERNEL = [4, 15];
const LEAST_MEMORY_BYTES = 2 ** 28;
/** `bedrock put` stores the contents of a pipe there. */
const LEAST_TEMPORARY_BYTES = 2 ** 26;
/** A correct clock never shows an earlier time. */
const LEAST_TIME = Date.UTC(2024, 0, 1);

export function systemChecks(machine: Machine, facts: ProcessFacts): Check[] {
  const check = (name: string, run: Check['run']): Check => ({ name, run });
  return [
    check('node', () => [node(facts)]),
    check('system', () => [system(facts)]),
    check('kernel', () => [kernel(machine)]),
    check('flush instruction', () => [flushInstruction(machine)]),
    check('memory', () => [memory(machine)]),
    check('huge pages', () => [hugePages(machine)]),
    check('user', () => [user(facts)]),
    check('clock', () => clock(machine, facts)),
    check('temporary files', async () => [await temporaryFiles(facts)]),
  ];
}

function node({ nodeVersion }: ProcessFacts): Diagnosis {
  if (isAtLeast(nodeVersion, LEAST_NODE)) return ok('node', nodeVersion);
  return problem('node', `${nodeVersion} is too old`, `install Node.js ${LEAST_NODE.join('.')} or later`);
}

function system({ platform, architecture }: ProcessFacts): Diagnosis {
  const found = `${platform} ${architecture}`;
  if (platform !== 'linux')
    return problem('system', found, 'use Linux: pools rely on its locks and mappings');
  if (architecture === 'x64' || architecture === 'arm64') return ok('system', found);
  return warning(
    'system',
    `${found} is not tested`,
    'x64 and arm64 are; run npm test on this one before you rely on it',
  );
}

function kernel(machine: Machine): Diagnosis {
  const release = machine.read('/proc/sys/kernel/osrelease');
  if (release === undefined) return warning('kernel', '/proc does not show its version', 'mount /proc');
  if (isAtLeast(release, LEAST_KERNEL)) return ok('kernel', release);
  return warning(
    'kernel',
    `${release} has no MAP_SYNC: on persistent memory every flush calls the kernel`,
    `use Linux ${LEAST_KERNEL.join('.')} or later`,
  );
}

function flushInstruction(machine: Machine): Diagnosis {
  const check = 'flush instruction';
  const text = machine.read('/proc/cpuinfo') ?? '';
  const flags = new Set((/^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1] ?? '').split(' '));
  const best = ['clwb', 'clflushopt', 'dcpodp', 'dcpop'].find((flag) => flags.has(flag));
  if (best !== undefined) return ok(check, best);
  if (flags.has('clflush') || flags.has('asimd')) {
    const has = flags.has('clflush') ? 'only clflush' : 'no dcpop';
    return warning(
      check,
      `the processor shows ${has}: flushes to persistent memory wait for one another`,
      'on a virtual machine, pass the flags of the host processor through; without persistent memory this does not matter',
    );
  }
  return warning(check, '/proc/cpuinfo shows none', 'only persistent memory needs one');
}

function memory(machine: Machine): Diagnosis {
  const available = machine.memory('MemAvailable');
  if (available === undefined) return warning('memory', '/proc/meminfo does not show it', 'mount /proc');
  const found = `${formatSize(available)} of ${formatSize(machine.memory('MemTotal') ?? available)} available`;
  if (available >= LEAST_MEMORY_BYTES) return ok('memory', found);
  return warning(
    'memory',
    found,
    `end other processes, or add memory: a daemon needs ${formatSize(LEAST_MEMORY_BYTES)}`,
  );
}

/**
 * Mappings of persistent memory use them by themselves, if the kernel has them; reserved ones are
 * lost to everybody else.
 */
function hugePages(machine: Machine): Diagnosis {
  const check = 'huge pages';
  const setting = machine.read('/sys/kernel/mm/transparent_hugepage/enabled');
  const [, chosen] = /\[(\w+)\]/.exec(setting ?? '') ?? [];
  const reserved = machine.memory('HugePages_Total') ?? 0;
  const free = machine.memory('HugePages_Free') ?? 0;
  if (chosen === undefined)
    return warning(
      check,
      'the kernel has no transparent huge pages: mappings of persistent memory use pages of 4 KiB',
      'use a kernel with CONFIG_TRANSPARENT_HUGEPAGE',
    );
  const found = `transparent ones: ${chosen}; ${reserved} reserved`;
  if (reserved === 0 || free === 0) return ok(check, found);
  return warning(
    check,
    `${found}, ${free} of them unused, which nothing here uses`,
    'if no other program needs them: sysctl vm.nr_hugepages=0',
  );
}

function user({ user: id }: ProcessFacts): Diagnosis {
  if (id !== 0) return ok('user', id === undefined ? 'unknown' : `uid ${id}`);
  return warning('user', 'root', 'run the daemon as a user of its own: it needs no right of root');
}

const FAST_CLOCKS = new Set(['tsc', 'arch_sys_counter', 'kvm-clock', 'hyperv_clocksource_tsc_page', 'xen']);
const SYNCHRONIZERS = {
  '/run/systemd/timesync': 'systemd-timesyncd',
  '/run/chrony': 'chrony',
  '/run/chronyd.pid': 'chrony',
  '/run/ntpd.pid': 'ntpd',
};

function clock(machine: Machine, { now }: ProcessFacts): Diagnosis[] {
  const findings: Diagnosis[] = [];
  const shown = new Date(now).toISOString();
  const keepers = Object.entries(SYNCHRONIZERS)
    .filter(([place]) => machine.list(place).length > 0 || machine.read(place) !== undefined)
    .map(([, name]) => name);
  if (now < LEAST_TIME)
    findings.push(
      problem('clock', `${shown} cannot be right`, 'set it (timedatectl), and let a service keep it'),
    );
  else if (keepers.length > 0) findings.push(ok('clock', `${shown}, kept by ${keepers.join(', ')}`));
  else
    findings.push(
      warning(
        'clock',
        `${shown}; no service is seen that keeps it right`,
        'install chrony or systemd-timesyncd, or make sure that the host keeps it: tokens and certificates end by it',
      ),
    );
  const source = machine.read('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  if (source === undefined) return findings;
  findings.push(
    FAST_CLOCKS.has(source)
      ? ok('clock source', source)
      : warning(
          'clock source',
          `${source} is slow to read, and each request reads it`,
          'use tsc, if the processor has a stable one (clocksource=tsc)',
        ),
  );
  return findings;
}

async function temporaryFiles({ temporaryFolder: folder }: ProcessFacts): Promise<Diagnosis> {
  const check = 'temporary files';
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    if (free >= LEAST_TEMPORARY_BYTES) return ok(check, `${folder}, ${formatSize(free)} free`);
    return warning(
      check,
      `${folder} has ${formatSize(free)} free`,
      'make room, or set TMPDIR to another folder',
    );
  } catch (error) {
    return warning(
      check,
      `${folder}: ${messageOf(error)}`,
      withCure(error).replace(`${messageOf(error)}; `, ''),
    );
  }
}

/** @param text begins with a version, such as `v20.19.5` or `6.1.0-18-amd64` */
function isAtLeast(text: string, [least = 0, leastMinor = 0]: readonly number[]): boolean {
  const [, major = 0, minor = 0] = (/^v?(\d+)\.(\d+)/.exec(text) ?? []).map(Number);
  return major > least || (major === least && minor >= leastMinor);
}
