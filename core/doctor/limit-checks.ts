/** Checks of the limits of a process: resource limits (getrlimit(2)) and control groups. */
import { type ControlGroup, controlGroupsBelow } from '../base/control-groups.js';
import { type Diagnosis, ok, problem, warning } from '../contract/diagnosis.js';
import type { Check } from './checks.js';
import { formatSize } from '../base/size-text.js';
import type { Machine } from './machine.js';

/** Each connection takes one; so do pools, logs and libraries. */
const LEAST_FILES = 256;
const GOOD_FILES = 4096;
const LEAST_ADDRESS_SPACE_BYTES = 2 ** 35;
const LEAST_MEMORY_BYTES = 2 ** 28;
/** A daemon has about twenty threads. */
const LEAST_THREADS = 64;

export function limitChecks(machine: Machine): Check[] {
  return [
    { name: 'limits', run: () => resourceLimits(machine) },
    { name: 'control groups', run: () => controlGroups(machine) },
  ];
}

interface Limit {
  /** Infinity for none. */
  readonly soft: number;
  readonly hard: number;
}

/** A row is `Max open files            1024                 524288               files`. */
function limitOf(table: string, name: string): Limit | undefined {
  const line = table.split('\n').find((each) => each.startsWith(`Max ${name} `));
  const [soft, hard] = (line ?? '').slice(`Max ${name} `.length).trim().split(/\s+/);
  if (soft === undefined || hard === undefined) return undefined;
  const numberOf = (text: string): number => (text === 'unlimited' ? Infinity : Number(text));
  return { soft: numberOf(soft), hard: numberOf(hard) };
}

function resourceLimits(machine: Machine): Diagnosis[] {
  const table = machine.read('/proc/self/limits');
  if (table === undefined) return [warning('limits', '/proc/self/limits cannot be read', 'mount /proc')];
  const sizeOf = (bytes: number): string => (bytes === Infinity ? 'unlimited' : formatSize(bytes));
  const findings: Diagnosis[] = [];
  const files = limitOf(table, 'open files');
  if (files !== undefined) {
    // Node.js raises the soft limit of its process to the hard one.
    const most = Math.max(files.soft, files.hard);
    const cure = 'raise it: ulimit -Hn 65536, or LimitNOFILE=65536 in the unit of systemd';
    const found = `${most === Infinity ? 'unlimited' : most}`;
    if (most < LEAST_FILES) findings.push(problem('open files', found, cure));
    else if (most < GOOD_FILES)
      findings.push(warning('open files', `${found}, and each connection takes one`, cure));
    else findings.push(ok('open files', found));
  }
  const space = limitOf(table, 'address space');
  if (space !== undefined)
    findings.push(
      space.soft < LEAST_ADDRESS_SPACE_BYTES
        ? warning(
            'address space',
            `${sizeOf(space.soft)}: Node.js reserves much of it, and pools are mapped into it`,
            'remove the limit: ulimit -v unlimited, or LimitAS=infinity',
          )
        : ok('address space', sizeOf(space.soft)),
    );
  const size = limitOf(table, 'file size');
  if (size !== undefined)
    findings.push(
      size.soft === Infinity
        ? ok('file size', 'unlimited')
        : warning(
            'file size',
            `${sizeOf(size.soft)}: no pool, log or snapshot can be larger`,
            'remove the limit: ulimit -f unlimited, or LimitFSIZE=infinity',
          ),
    );
  const locked = limitOf(table, 'locked memory');
  if (locked !== undefined)
    findings.push(ok('locked memory', `${sizeOf(locked.soft)}; the daemon locks none`));
  return findings;
}

/** Any group above the process's own may be the one that is full. */
function controlGroups(machine: Machine): Diagnosis[] {
  const groups = controlGroupsBelow(machine.root).filter(({ version }) => version === 2);
  if (!groups.some((group) => group.read('cgroup.controllers') !== undefined))
    return [ok('control groups', 'no limits of cgroup v2 are seen')];
  const findings = groups.flatMap(limitsOfGroup);
  return findings.length > 0 ? findings : [ok('control groups', 'they limit nothing too tightly')];
}

function limitsOfGroup(group: ControlGroup): Diagnosis[] {
  const findings: Diagnosis[] = [];
  const numberIn = (name: string): number =>
    Number((group.read(name) ?? 'max').trim().replace('max', 'Infinity'));
  const memory = Math.min(numberIn('memory.max'), numberIn('memory.high'));
  if (memory < LEAST_MEMORY_BYTES)
    findings.push(
      warning(
        'control groups',
        `${group.name} gives ${formatSize(memory)} of memory`,
        `raise memory.max and memory.high (MemoryMax=, MemoryHigh=) to ${formatSize(LEAST_MEMORY_BYTES)} at least`,
      ),
    );
  const threads = numberIn('pids.max') - (Number(group.read('pids.current') ?? 0) || 0);
  if (threads < LEAST_THREADS)
    findings.push(
      warning(
        'control groups',
        `${group.name} has room for ${threads} more threads`,
        `raise pids.max (TasksMax=): a daemon may need ${LEAST_THREADS}`,
      ),
    );
  const [quota = 'max', period = '100000'] = (group.read('cpu.max') ?? 'max').trim().split(' ');
  const cores = quota === 'max' ? Infinity : Number(quota) / Number(period);
  if (cores < 1)
    findings.push(
      warning(
        'control groups',
        `${group.name} gives ${cores.toFixed(2)} of a processor: the daemon is stopped for the rest of each period`,
        'raise cpu.max (CPUQuota=) to one processor at least',
      ),
    );
  return findings;
}
