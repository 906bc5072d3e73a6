/** `bedrock doctor` on machines that are made up, on configurations, and on daemons. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Diagnosis, ok } from '../../core/contract/diagnosis.js';
import { runChecks } from '../../core/doctor/checks.js';
import { diagnose, type DiagnoseOptions } from '../../core/doctor/diagnose.js';
import { bootstrap, connect } from '../../core/index.js';
import { codeOf, ONE_STORE, startDaemon } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { FakeSystem, limits } from './fake-system.js';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'bedrock-doctor-'));
  cleanUps.push(() => rm(made, { recursive: true }));
  return made;
}

async function system(differences: Record<string, string | undefined> = {}): Promise<FakeSystem> {
  const made = await FakeSystem.make(differences);
  cleanUps.push(() => made.remove());
  return made;
}

interface Differences extends Partial<Omit<DiagnoseOptions, 'facts'>> {
  facts?: Partial<DiagnoseOptions['facts']>;
}

async function examine({ root }: FakeSystem, { facts, ...options }: Differences = {}): Promise<Diagnosis[]> {
  return diagnose(
    {
      systemRoot: root,
      searchPath: path.join(root, 'bin'),
      facts: {
        ...{ nodeVersion: 'v22.1.0', platform: 'linux', architecture: 'x64', user: 1000 },
        ...{ now: Date.UTC(2026, 0, 1), temporaryFolder: root },
        ...facts,
      },
      ...options,
    },
    new AbortController().signal,
  );
}

/** Of the addon, which is that of this machine. */
const OF_THIS_MACHINE = ['native addon', 'libpmem'];

function faultsOf(findings: readonly Diagnosis[]): string[] {
  return findings
    .filter(({ check, state }) => state !== 'ok' && !OF_THIS_MACHINE.includes(check))
    .map(({ check, state }) => `${state} ${check}`);
}

describe('the machine', () => {
  it('is well where nothing is wrong', async () => {
    const findings = await examine(await system());
    expect(findings.filter(({ state, check }) => state !== 'ok' && !OF_THIS_MACHINE.includes(check))).toEqual(
      [],
    );
    const shown = findings.map(({ check, found }) => `${check}: ${found}`);
    expect(shown).toContain('flush instruction: clwb');
    expect(shown).toContain('dax mounts: /dev/pmem0 at /mnt/pmem 0 (ext4), dax=always');
    expect(shown).toContain('namespaces: namespace0.0 is memory, aligned to 2097152 bytes');
  });

  it('is also examined where nothing is shown', async () => {
    const made = await system();
    await rm(path.join(made.root, 'proc'), { recursive: true });
    await rm(path.join(made.root, 'sys'), { recursive: true });
    const faults = faultsOf(await examine(made));
    expect(faults).toEqual([
      'warning kernel',
      'warning flush instruction',
      'warning memory',
      'warning huge pages',
      'warning limits',
    ]);
  });

  const MOUNT = '40 21 259:1 / /mnt rw - ext4 /dev/pmem0 rw\n';
  const GROUP = '/sys/fs/cgroup/system.slice/bedrock.service';
  const CASES: Record<
    string,
    [files: Record<string, string | undefined>, faults: string[], more?: Differences]
  > = {
    'an old Node.js': [{}, ['problem node'], { facts: { nodeVersion: 'v20.18.9' } }],
    'another system': [{}, ['problem system'], { facts: { platform: 'darwin' } }],
    'another processor': [{}, ['warning system'], { facts: { architecture: 'riscv64' } }],
    'an old kernel': [{ '/proc/sys/kernel/osrelease': '4.14.1' }, ['warning kernel']],
    'slow flushes': [{ '/proc/cpuinfo': 'flags : clflush' }, ['warning flush instruction']],
    'little memory': [
      { '/proc/meminfo': 'MemTotal: 900000 kB\nMemAvailable: 9000 kB\n' },
      ['warning memory'],
    ],
    'no huge pages': [{ '/sys/kernel/mm/transparent_hugepage/enabled': undefined }, ['warning huge pages']],
    'huge pages that nobody uses': [
      { '/proc/meminfo': 'MemAvailable: 8000000 kB\nHugePages_Total: 8\nHugePages_Free: 8\n' },
      ['warning huge pages'],
    ],
    root: [{}, ['warning user'], { facts: { user: 0 } }],
    'a clock that is wrong': [{}, ['problem clock'], { facts: { now: 0 } }],
    'a clock that nobody keeps': [{ '/run/chrony/chronyd.pid': undefined }, ['warning clock']],
    'a clock that is slow': [
      { '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'hpet' },
      ['warning clock source'],
    ],
    'no temporary folder': [{}, ['warning temporary files'], { facts: { temporaryFolder: '/nowhere' } }],
    'few files': [{ '/proc/self/limits': limits({ 'open files': '1024' }) }, ['warning open files']],
    'almost no files': [{ '/proc/self/limits': limits({ 'open files': '64' }) }, ['problem open files']],
    'little address space': [
      { '/proc/self/limits': limits({ 'address space': '4294967296' }) },
      ['warning address space'],
    ],
    'short files': [{ '/proc/self/limits': limits({ 'file size': '1048576' }) }, ['warning file size']],
    'a small group': [{ [`${GROUP}/memory.max`]: '67108864' }, ['warning control groups']],
    'a small group above': [
      { '/sys/fs/cgroup/system.slice/memory.high': '67108864' },
      ['warning control groups'],
    ],
    'few threads': [{ [`${GROUP}/pids.max`]: '20' }, ['warning control groups']],
    'half a processor': [{ [`${GROUP}/cpu.max`]: '50000 100000' }, ['warning control groups']],
    'a mount without dax': [{ '/proc/self/mountinfo': MOUNT }, ['problem dax mounts']],
    'a sector device': [{ '/proc/self/mountinfo': MOUNT.replace('pmem0', 'pmem0s') }, ['warning dax mounts']],
    'a dax mount that is read-only': [
      { '/proc/self/mountinfo': MOUNT.replace(' rw - ', ' ro - ').replace(' rw\n', ' rw,dax\n') },
      ['warning dax mounts'],
    ],
    'a raw namespace': [{ '/sys/bus/nd/devices/namespace0.0/mode': 'raw' }, ['warning namespaces']],
    'small pages': [{ '/sys/bus/nd/devices/pfn0.1/align': '4096' }, ['warning namespaces']],
    'a partition between pages': [{ '/sys/class/block/pmem0p1/start': '34' }, ['warning partitions']],
    'a DIMM that ends': [
      { '/bin/ndctl': `#!/bin/sh\necho '[{"dev":"nmem0","health":{"health_state":"critical"}}]'\n` },
      ['problem ndctl'],
    ],
    'a power failure': [
      {
        '/bin/ndctl': `#!/bin/sh\necho '{"dev":"nmem0","health":{"health_state":"ok","shutdown_state":"dirty"}}'\n`,
      },
      ['warning ndctl'],
    ],
    'tools that fail': [
      { '/bin/ndctl': '#!/bin/sh\nexit 3\n', '/bin/daxctl': '#!/bin/sh\necho nonsense\n' },
      ['warning ndctl', 'warning daxctl'],
    ],
  };
  it.each(Object.entries(CASES))('tells of %s, and what to do', async (_, [files, faults, more]) => {
    const findings = await examine(await system(files), more);
    expect(faultsOf(findings)).toEqual(faults);
    for (const { state, cure } of findings) if (state !== 'ok') expect(cure).toEqual(expect.any(String));
  });
});

describe('a check', () => {
  it('that hangs or fails is a problem, and holds up no other', async () => {
    let isAborted = false;
    const findings = await runChecks(
      [
        {
          name: 'hangs',
          run: (signal) => {
            signal.addEventListener('abort', () => (isAborted = true));
            return new Promise(() => undefined);
          },
        },
        { name: 'fails', run: () => Promise.reject(new Error('for a reason')) },
        {
          name: 'throws',
          run: () => {
            throw new Error('at once');
          },
        },
        { name: 'well', run: () => [ok('well', 'it is')] },
      ],
      20,
    );
    expect(findings.map(({ check, state }) => `${state} ${check}`)).toEqual([
      'problem hangs',
      'problem fails',
      'problem throws',
      'ok well',
    ]);
    expect(isAborted).toBe(true);
  });
});

describe('a configuration', () => {
  async function examineConfig(config: object, differences?: Record<string, string>): Promise<Diagnosis[]> {
    const home = await folder();
    const file = path.join(home, 'bedrock.json');
    await writeFile(file, JSON.stringify(config));
    const findings = await examine(await system(differences), { config: file });
    expect((await readdir(home)).filter((name) => name !== 'bedrock.json')).toEqual([]);
    return findings;
  }
  const store = (config: object, type = 'file'): object => ({
    providers: [{ name: 'store', type: 'warabi', config: { target: { type, config } } }],
  });

  it('is well, and nothing of it is made', async () => {
    const config = { path: 'store.pool', create_if_missing_with_size: 2 ** 23 };
    const findings = await examineConfig({
      margo: { mercury: { address: 'http://127.0.0.1:0' } },
      ...store(config),
    });
    expect(faultsOf(findings)).toEqual([]);
    const shown = findings.filter(({ check }) => check.startsWith('store: '));
    expect(shown.map(({ check }) => check)).toEqual(['store: pool', 'store: file system', 'store: space']);
  });

  it('has all its faults told, each a problem', async () => {
    const findings = await examineConfig({ providers: [{ type: 'warabe' }], margo: { nonsense: 1 } });
    expect(faultsOf(findings)).toEqual(['problem configuration', 'problem configuration']);
    expect(faultsOf(await examine(await system(), { config: '/nowhere.json' }))).toEqual([
      'problem configuration',
    ]);
  });

  const ON = (type: string, options = 'rw'): Record<string, string> => ({
    '/proc/self/mountinfo': `21 1 8:1 / / ${options} - ${type} /dev/sda1 ${options}\n`,
  });
  const MADE = { path: 'store.pool', create_if_missing_with_size: 2 ** 23 };
  const CASES: Record<string, [config: object, faults: string[], files?: Record<string, string>]> = {
    'a pool that is not there': [store({ path: 'store.pool' }), ['problem store: pool']],
    'a pool that has no room': [
      store({ ...MADE, create_if_missing_with_size: 2 ** 52 }),
      ['problem store: space'],
    ],
    'a path that is a device': [store({ path: '/dev/null' }), ['problem store: pool']],
    'a file system in memory': [store(MADE), ['warning store: file system'], ON('tmpfs')],
    'a file system that copies': [store(MADE), ['warning store: file system'], ON('btrfs')],
    'a file system of a program': [store(MADE), ['warning store: file system'], ON('fuse.sshfs')],
    'a file system that is read-only': [store(MADE), ['problem store: file system'], ON('ext4', 'ro')],
    'pmem without dax': [store(MADE, 'pmem'), ['warning store: persistent memory'], ON('ext4')],
    'pmem that must be': [
      store({ ...MADE, require_pmem: true }, 'pmem'),
      ['problem store: persistent memory'],
      ON('ext4'),
    ],
    'pmem that is': [store(MADE, 'pmem'), [], ON('ext4', 'rw,dax')],
    'files that are not there': [
      {
        bedrock: {
          ...{ log: { file: '/nowhere/x.log' }, audit: { file: '/nowhere/audit.log' } },
          ...{ tls: { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' }, auth: { tokens: '/nowhere/t' } },
        },
      },
      ['problem log', 'problem audit log', 'problem tokens', 'problem tls', 'problem tls'],
    ],
  };
  it.each(Object.entries(CASES))('has told of it: %s', async (_, [config, faults, files]) => {
    const own = { margo: { mercury: { address: 'http://127.0.0.1:0' } } };
    expect(faultsOf(await examineConfig({ ...own, ...config }, files))).toEqual(faults);
  });

  it('has who holds its pool and its port told, and its pool stays as it is', async () => {
    const home = await folder();
    const target = {
      type: 'file',
      config: { path: path.join(home, 'a.pool'), create_if_missing_with_size: 2 ** 23 },
    };
    const providers = [{ name: 'store', type: 'warabi', config: { target } }];
    const daemon = await bootstrap({ providers }, { address: 'http://127.0.0.1:0', logLevel: 'off' });
    cleanUps.push(() => daemon.close());
    const before = await stat(path.join(home, 'a.pool'));
    const file = path.join(home, 'bedrock.json');
    await writeFile(file, JSON.stringify({ margo: { mercury: { address: daemon.address } }, providers }));
    const findings = await examine(await system(), { config: file });
    const held = findings.filter(({ state, cure }) => state === 'warning' && cure?.startsWith('nothing, if'));
    expect(held.map(({ check }) => check)).toEqual(['address', 'store: lock']);
    for (const { found } of held) expect(found).toContain(`process ${process.pid}`);
    expect((await stat(path.join(home, 'a.pool'))).mtimeMs).toBe(before.mtimeMs);
  });

  it('has the checks of the backends of its libraries told, which are not trusted', async () => {
    const home = await folder();
    const library = (type: string, body: string): string => `{
      kind: 'backend', apiVersion: 1, type: '${type}', schema: { type: 'object' }, create() {},
      capabilities: { persistent: false, mappable: false, growable: false, importable: false, snapshots: false },
      diagnose: async (config, context) => { ${body} },
    }`;
    await writeFile(
      path.join(home, 'library.mjs'),
      `export default [${library('well', "return [{ check: 'server', state: 'warning', found: config.a + context.providerName, cure: 'do' }];")},
        ${library('wrong', 'return 7;')}, ${library('broken', "throw new Error('unreachable');")}]`,
    );
    const entry = (name: string): object => ({
      ...{ name, type: 'warabi', config: { target: { type: name, config: { a: 'of ' } } } },
    });
    const file = path.join(home, 'bedrock.json');
    const providers = ['well', 'wrong', 'broken'].map(entry);
    const margo = { mercury: { address: 'http://127.0.0.1:0' } };
    await writeFile(file, JSON.stringify({ margo, libraries: ['./library.mjs'], providers }));
    const findings = await examine(await system(), { config: file });
    expect(findings.slice(-3)).toEqual([
      { check: 'well: server', state: 'warning', found: 'of well', cure: 'do' },
      { check: 'wrong', state: 'problem', found: expect.stringContaining('no list') },
      { check: 'broken', state: 'problem', found: expect.stringContaining('unreachable') },
    ]);
  });
});

describe('a daemon', () => {
  it.each(['http', 'resp'])('that is well, over %s', async (protocol) => {
    const { daemon } = await startDaemon({
      ...ONE_STORE,
      bedrock: { resp: { address: '127.0.0.1:0' } },
    });
    cleanUps.push(() => daemon.close());
    const { resp } = daemon.config.bedrock ?? {};
    const url = protocol === 'http' ? (daemon.address ?? '') : `resp://${resp?.address ?? ''}`;
    const service = await connect(url);
    cleanUps.push(() => service.close());
    const findings = await examine(await system(), { connect: () => Promise.resolve(service) });
    expect(faultsOf(findings)).toEqual([]);
    expect(findings.slice(-4).map(({ check }) => check)).toEqual(['daemon', 'readiness', 'store', 'clocks']);
  });
});

describe('bedrock doctor', () => {
  it('prints a line for each check, and exits with 1 if one is a problem', async () => {
    const { root } = await system();
    const well = await runHere(['doctor', '--system-root', root]);
    expect({ status: well.status, stderr: well.stderr }).toEqual({ status: 0, stderr: '' });
    for (const line of well.stdout.trimEnd().split('\n').slice(0, -1))
      expect(line).toMatch(/^(ok {6}|warning) [^:]+: .+$/);
    expect(well.stdout).toMatch(/\n\d+ checks: 0 problems, \d+ warnings?\n$/);
    const bad = await runHere(['doctor', '--system-root', root, '-a', 'http://127.0.0.1:1', '--json']);
    expect({ status: bad.status, stderr: bad.stderr }).toEqual({ status: 1, stderr: '' });
    const { problems, checks } = JSON.parse(bad.stdout) as { problems: number; checks: Diagnosis[] };
    expect(problems).toBe(1);
    expect(checks.at(-1)).toMatchObject({ check: 'daemon', state: 'problem' });
  });

  it('is used wrongly with 2', async () => {
    const ended = await runHere(['doctor', 'now']);
    expect([ended.status, codeOf(ended)]).toEqual([2, 'INVALID_ARGUMENT']);
  });
});
