/** `bedrock start` as a user runs it: where the configuration comes from, where it listens, what it writes, how it exits. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { access, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap } from '../../core/index.js';
import {
  MAIN,
  bedrock,
  inShell,
  killAll,
  type BedrockProcess,
  type Exit,
} from '../fixtures/bedrock-process.js';
import { codeOf, runShell } from '../fixtures/run-command.js';
import { runHere, startHere, type DaemonHere } from '../fixtures/run-here.js';
import { sampled, sampledEntries } from '../fixtures/thoroughness.js';

const store = { type: 'warabi', name: 'store', config: { target: { type: 'memory', config: {} } } };
const FREE_PORT = 'http://127.0.0.1:0';
/** Of no network that there is. */
const ELSEWHERE = {
  'margo.mercury.address': 'http://192.0.2.1:1',
  bedrock: { insecure: true },
  providers: [store],
};

let home: string;
let file: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-cli-')));
  file = await put('bedrock.json', { 'margo.mercury.address': FREE_PORT, providers: [store] });
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true });
});

async function put(name: string, config: object | string): Promise<string> {
  const target = path.join(home, name);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  return target;
}

async function stopped<T extends Pick<Exit, 'status' | 'stdout' | 'stderr'>>(daemon: {
  signal: (signal: 'SIGTERM') => void;
  exit: Promise<T>;
}): Promise<T> {
  daemon.signal('SIGTERM');
  return daemon.exit;
}

interface Launched {
  titles: string[];
  get: (title: string) => BedrockProcess;
}

/** Launches several, a sample of so many, at once when the tests around begin, so that they need not wait for one another. */
function launchTogether(
  count: number,
  all: Record<string, () => BedrockProcess | Promise<BedrockProcess>>,
): Launched {
  const launches = sampledEntries(count, all);
  const launched = new Map<string, BedrockProcess>();
  beforeAll(async () => {
    for (const [title, launch] of Object.entries(launches)) launched.set(title, await launch());
  });
  return {
    titles: Object.keys(launches),
    get: (title) => {
      const found = launched.get(title);
      if (found === undefined) throw new Error(`${title} was not launched`);
      return found;
    },
  };
}

/** The names of the providers that a daemon serves. */
async function providersAt(address: string): Promise<string[]> {
  const target = address.startsWith('unix:')
    ? { socketPath: address.slice('unix:'.length), path: '/v1/providers' }
    : new URL('/v1/providers', address);
  const body = await new Promise<string>((resolve, reject) => {
    const call = request(target, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    });
    call.on('error', reject);
    call.end();
  });
  return (JSON.parse(body) as { providers: { name: string }[] }).providers.map(({ name }) => name);
}

async function takenPort(): Promise<{ port: number; server: Server }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

/** The lines on standard error, none of which may be of a stack trace. */
function complaints({ stderr }: { stderr: string }): string[] {
  const lines = stderr.split('\n').filter((line) => line !== '');
  expect(lines.filter((line) => /^\s+at /.test(line))).toEqual([]);
  return lines;
}

describe('bedrock start', () => {
  const forms = launchTogether(1, {
    'of bedrock.json of the working directory': () => bedrock([], { cwd: home }),
    'of that at another address': () => bedrock([FREE_PORT], { cwd: home }),
    'with its name': () => bedrock(['start', '-c', file]),
    'without its name, as it is the default command': () => bedrock(['-c', file]),
    'at the address of the command line instead of at that of the file': async () =>
      bedrock(['start', FREE_PORT, '-c', await put('elsewhere.json', ELSEWHERE)]),
  });

  it.each(forms.titles)(
    'launches a daemon, says where it listens, and exits with 0 when it is told to stop: %s',
    async (title) => {
      const daemon = forms.get(title);
      const address = await daemon.address();
      expect(address).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
      await expect(providersAt(address)).resolves.toEqual(['store']);
      const exit = await stopped(daemon);
      expect(exit).toMatchObject({ status: 0, signal: null, stderr: '' });
      for (const line of exit.stdout.trimEnd().split('\n'))
        expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[info\] \[[^\]]+\] ./);
      expect(exit.stdout).toContain(`ready: 1 of 1 providers are up, pid ${daemon.child.pid}\n`);
      await expect(providersAt(address)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    },
  );

  it('listens at a socket beside the configuration file, and removes it', async () => {
    const config = await put('sockets/bedrock.json', {
      'margo.mercury.address': 'unix:./a.sock',
      providers: [store],
    });
    const address = `unix:${path.join(home, 'sockets/a.sock')}`;
    const daemon = startHere(['-c', config]);
    await expect(daemon.address()).resolves.toBe(address);
    await expect(providersAt(address)).resolves.toEqual(['store']);
    expect((await stopped(daemon)).status).toBe(0);
    await expect(access(path.join(home, 'sockets/a.sock'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('leaves the socket of a daemon that is there, and exits with 1', async () => {
    const address = `unix:${path.join(home, 'taken.sock')}`;
    const first = await bootstrap({ providers: [store] }, { address, logLevel: 'off' });
    const exit = await runHere(['start', address, '-c', file, '-v', 'off']);
    expect(exit).toMatchObject({ status: 1, stdout: '' });
    expect(complaints(exit)).toEqual([expect.stringMatching(/^error START_FAILED: /)]);
    if (process.platform === 'linux') expect(exit.stderr).toContain(`process ${process.pid} (`);
    await expect(providersAt(address)).resolves.toEqual(['store']);
    await first.close();
    await expect(access(path.join(home, 'taken.sock'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('listens at a socket that is given, in the working directory, instead of at that of the file', async () => {
    const cwd = path.join(home, 'elsewhere');
    await mkdir(cwd);
    const daemon = startHere(['unix:b.sock', '-c', await put('elsewhere.json', ELSEWHERE)], { cwd });
    await expect(daemon.address()).resolves.toBe(`unix:${path.join(cwd, 'b.sock')}`);
    expect((await stopped(daemon)).status).toBe(0);
  });

  it('says that there is no configuration, and how to make one, and exits with 2', async () => {
    const cwd = path.join(home, 'without');
    await mkdir(cwd);
    // In an empty folder, the command without arguments makes one: see the tests of the package.
    await writeFile(path.join(cwd, 'notes'), '');
    for (const args of [[], ['start', FREE_PORT], ['--check']]) {
      const exit = await runHere(args, { cwd });
      expect(exit).toMatchObject({ status: 2, stdout: '' });
      expect(complaints(exit)).toEqual([expect.stringMatching(/^error CONFIG_INVALID: .*bedrock init/)]);
    }
  });

  it('takes libraries that use the public package, named from the folder of the configuration', async () => {
    const libraries = path.resolve(import.meta.dirname, '../fixtures/libraries');
    const config = await put('library.json', {
      'margo.mercury.address': FREE_PORT,
      libraries: [path.relative(home, path.join(libraries, 'public-package.mjs'))],
      providers: [
        {
          type: 'warabi',
          name: 'b',
          provider_id: 7,
          'config.target': { type: 'buffers', 'config.greeting': 'moin' },
        },
      ],
    });
    const daemon = bedrock(['-c', config], { cwd: '/' });
    await expect(providersAt(await daemon.address())).resolves.toEqual(['b']);
    expect(daemon.stdout).toContain('[info] [warabi:7] moin\n');
    expect((await stopped(daemon)).status).toBe(0);
  });
});

describe('the configuration', () => {
  const text = JSON.stringify({ 'margo.mercury.address': FREE_PORT, providers: [store] });
  const toml = `margo.mercury.address = "${FREE_PORT}"\n[[providers]]\ntype = "warabi"\nname = "store"\nconfig.target.type = "memory"\n`;

  const sources: Record<string, () => DaemonHere | Promise<DaemonHere>> = {
    'from standard input in TOML': () => startHere(['--stdin', '--toml'], { stdin: toml }),
    'from standard input': () => startHere(['start', '--stdin'], { stdin: text }),
    'in TOML, by the ending of the file': async () => startHere(['-c', await put('bedrock.TOML', toml)]),
    'in TOML, by the option': async () => startHere(['--toml', '-c', await put('bedrock.conf', toml)]),
  };

  it.each(Object.entries(sources))('may come %s', async (_, start) => {
    const daemon = await start();
    await expect(providersAt(await daemon.address())).resolves.toEqual(['store']);
    expect(await stopped(daemon)).toMatchObject({ status: 0, stderr: '' });
  });

  it.each([
    ['TOML, by the ending of the file', ['-c', 'bedrock.TOML'], ''],
    ['TOML, by the option', ['--toml', '-c', 'bedrock.conf'], ''],
    ['TOML from standard input', ['--toml', '--stdin'], toml],
    ['JSON from standard input', ['--stdin'], text],
  ])('is read as what it is: %s', async (_, args, stdin) => {
    await put('bedrock.TOML', toml);
    await put('bedrock.conf', toml);
    // Neither form can be taken for the other.
    await expect(runHere([...args, '--check'], { cwd: home, stdin })).resolves.toMatchObject({ status: 0 });
  });

  it('counts relative paths from the working directory where it comes from no file of a folder', async () => {
    await put('lib/throws.mjs', "throw new Error('found and loaded');");
    await put('lib.json', '{"libraries":["./lib/throws.mjs"]}');
    const run = `exec '${process.execPath}' '${MAIN}' --check`;
    const scripts = [
      `cat lib.json | ${run} -c /dev/stdin`,
      `${run} --stdin < lib.json`,
      `${run} -c /dev/stdin < lib.json`,
      `${run} -c <(cat lib.json)`,
      `exec 7< lib.json; ${run} -c /dev/fd/7`,
    ];
    const exits = sampled(1, scripts).map((script) => inShell(script, { cwd: home }).exit);
    for (const exit of await Promise.all(exits)) {
      expect(exit.status).toBe(2);
      expect(complaints(exit)).toEqual([expect.stringContaining('found and loaded')]);
    }
  });

  it('may come by a substitution of the shell, with a pool that is made beside the shell', async () => {
    const pool = { type: 'file', config: { path: 'made/x.pool', create_if_missing_with_size: 2 ** 24 } };
    const providers = [{ type: 'warabi', name: 'pool', config: { target: pool } }];
    await put('pool.json', { 'margo.mercury.address': FREE_PORT, providers });
    const daemon = inShell(`exec '${process.execPath}' '${MAIN}' -c <(cat pool.json)`, { cwd: home });
    await expect(providersAt(await daemon.address())).resolves.toEqual(['pool']);
    expect((await stopped(daemon)).status).toBe(0);
    await expect(access(path.join(home, 'made/x.pool'))).resolves.toBeUndefined();
  });
});

describe('--output-config', () => {
  it('writes the running configuration after the start: with the real port, complete, and fit to be used', async () => {
    await put(
      'out/lib.mjs',
      "export default { kind: 'backend', apiVersion: 1, type: 'x', schema: {}, create() {} };",
    );
    const config = await put('out/in.json', {
      margo: { mercury: { address: FREE_PORT } },
      libraries: ['./lib.mjs'],
      providers: [store],
    });
    const output = path.join(home, 'running.json');
    const daemon = startHere(['-c', config, '-o', output]);
    const address = await daemon.address();
    const written = await eventually(async () => JSON.parse(await readFile(output, 'utf8')) as object);
    expect(written).toMatchObject({
      margo: { mercury: { address } },
      libraries: [path.join(home, 'out/lib.mjs')],
      providers: [{ name: 'store', provider_id: 1, tags: [] }],
    });
    await stopped(daemon);

    await expect(runHere(['-c', output, '--check'])).resolves.toMatchObject({ status: 0, stderr: '' });
    const again = startHere(['-c', output, '-o', `${output}.again`]);
    await expect(again.address()).resolves.toBe(address);
    const rewritten = await eventually(
      async () => JSON.parse(await readFile(`${output}.again`, 'utf8')) as object,
    );
    expect(rewritten).toEqual(written);
    expect((await stopped(again)).status).toBe(0);
  });

  it('that cannot be written stops the daemon, with status 1', async () => {
    const output = path.join(home, 'no-such-folder/out.json');
    const address = `unix:${path.join(home, 'unwritten.sock')}`;
    const exit = await runHere([address, '-c', file, '-v', 'off', '-o', output]);
    expect(exit.status).toBe(1);
    expect(complaints(exit)).toHaveLength(1);
    await expect(providersAt(address)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

it('a file that --output-config names is left as it was if it cannot be written whole', async () => {
  const folder = path.join(home, 'full');
  await put('full/running.json', 'before');
  const config = await put('full/in.json', { 'margo.mercury.address': `unix:${folder}/sock` });
  // No file may grow, as on a full disk.
  const exit = await runShell(
    `trap '' XFSZ; ulimit -f 0; bedrock -v off -c '${config}' -o '${folder}/running.json'`,
  );
  expect(exit).toMatchObject({ status: 1, stdout: '' });
  expect(codeOf(exit)).toBe('EFBIG');
  expect(await readFile(path.join(folder, 'running.json'), 'utf8')).toBe('before');
  expect((await readdir(folder)).toSorted()).toEqual(['in.json', 'running.json']);
});

describe('a library that ends the process', () => {
  it.each(sampled(1, [['--check'], []]))(
    'makes it look neither valid nor stopped: it ends with 1 and an error %s',
    async (...options) => {
      await put('exits.mjs', 'process.exit(0);');
      const config = await put('exits.json', { libraries: ['./exits.mjs'] });
      const exit = await bedrock(['-c', config, ...options]).exit;
      expect(exit).toMatchObject({ status: 1, stdout: '' });
      expect(complaints(exit)).toEqual([expect.stringContaining('process.exit')]);
    },
  );
});

describe('--check', () => {
  it('says that a configuration is valid, with its warnings, and exits with 0', async () => {
    const config = await put('warned.json', '{\n  "margo": { "rpc_thread_count": 4 }\n}');
    const exit = await runHere(['start', '-c', config, '--check']);
    expect(exit).toMatchObject({ status: 0, stdout: `${config}: valid\n` });
    expect(complaints(exit)).toEqual([expect.stringContaining(`${config}:2:14: $.margo.rpc_thread_count: `)]);
  });

  it('opens nothing: neither a listener, even if the port is taken, nor a target', async () => {
    const { port, server } = await takenPort();
    const config = await put('taken.json', {
      'margo.mercury.address': `http://127.0.0.1:${port}`,
      providers: [store],
    });
    const socket = path.join(home, 'never.sock');
    const exits = await Promise.all([
      runHere(['-c', config, '--check']),
      runHere([`unix:${socket}`, '-c', config, '--check', '-o', path.join(home, 'never.json')]),
    ]);
    server.close();
    expect(exits.map(({ status }) => status)).toEqual([0, 0]);
    expect(exits.map(({ stdout }) => stdout.split('\n').length)).toEqual([2, 2]);
    await expect(access(socket)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(access(path.join(home, 'never.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('exits with 2 if the configuration is bad, an address of the command line included', async () => {
    const config = await put('bad.json', { provider: [] });
    const exits = await Promise.all([
      runHere(['-c', config, '--check']),
      runHere(['-c', file, '--check', 'na+sm']),
    ]);
    for (const exit of exits) {
      expect(exit).toMatchObject({ status: 2, stdout: '' });
      expect(complaints(exit)).toHaveLength(1);
    }
  });
});

describe('a bad configuration', () => {
  it('exits with 2, and says one line for each fault', async () => {
    const config = await put('faults.json', {
      port: 1,
      libraries: ['./multi-line.cjs', './nowhere.mjs'],
      bedrock: { provider_id: -1 },
      providers: [{ type: 'sdskv' }, { ...store, pool: 'x' }, { ...store }],
    });
    await put('multi-line.cjs', "require('./not-here.cjs');");
    const exit = await runHere(['-c', config]);
    expect(exit).toMatchObject({ status: 2, stdout: '' });
    const lines = complaints(exit);
    expect(lines).toHaveLength(7);
    for (const line of lines)
      expect(line).toMatch(
        new RegExp(`^error (CONFIG_INVALID|LIBRARY_LOAD_FAILED): ${config}:\\d+:\\d+: \\$\\.`),
      );
  });

  it.each([
    ['a file that is not there', ['-c', '/nowhere/bedrock.json'], ''],
    ['malformed TOML', ['--stdin', '--toml'], '['],
    ['an empty standard input', ['--stdin'], ''],
    ['both a file and standard input', ['--stdin', '-c', '/dev/null'], '{}'],
  ])('exits with 2: %s', async (_, args, stdin) => {
    const exit = await runHere(args, { stdin });
    expect(exit).toMatchObject({ status: 2, stdout: '' });
    expect(complaints(exit)).toHaveLength(1);
  });
});

describe('a daemon that cannot start', () => {
  it('exits with 1 if the port is in use', async () => {
    const { port, server } = await takenPort();
    const exit = await runHere(['start', `http://127.0.0.1:${port}`, '-c', file, '-v', 'off']);
    server.close();
    expect(exit.status).toBe(1);
    expect(complaints(exit)).toEqual([expect.stringContaining(String(port))]);
    if (process.platform === 'linux') expect(exit.stderr).toContain(`process ${process.pid} (`);
  });

  it('says of a socket whose folder is not there that it is not', async () => {
    const folder = path.join(home, 'no-such-folder');
    const exit = await runHere([`unix:${folder}/a.sock`, '-c', file, '-v', 'off']);
    expect(exit.status).toBe(1);
    expect(complaints(exit)).toEqual([expect.stringContaining(`there is no folder ${folder}`)]);
  });

  it('exits with 1 if a provider cannot start, and names it', async () => {
    const libraries = [path.resolve(import.meta.dirname, '../fixtures/libraries/provider.mjs')];
    const providers = [store, { type: 'recorder', name: 'broken', config: { fails: 'start' } }];
    const config = await put('broken.json', { 'margo.mercury.address': FREE_PORT, libraries, providers });
    const exit = await runHere(['-c', config, '-v', 'off']);
    expect(exit.status).toBe(1);
    expect(complaints(exit)).toEqual([expect.stringContaining('broken')]);
  });
});

describe('--verbose', () => {
  it('is the level of the log, whatever the configuration says', async () => {
    const config = await put('quiet.json', {
      'margo.mercury.address': `unix:${path.join(home, 'quiet.sock')}`,
      'bedrock.log.level': 'off',
      libraries: [path.resolve(import.meta.dirname, '../fixtures/libraries/backend.mjs')],
    });
    const output = path.join(home, 'quiet-running.json');
    const quiet = startHere(['-c', config, '-o', output]);
    await eventually(() => access(output));
    await expect(stopped(quiet)).resolves.toMatchObject({ status: 0, stdout: '', stderr: '' });
    const loud = startHere(['-c', config, '-v', 'debug']);
    await loud.line(/ \[debug\] \[bedrock\] /m);
    await loud.address();
    expect((await stopped(loud)).status).toBe(0);
  });
});

describe('the log', () => {
  it('is JSON where the configuration says so', async () => {
    const config = await put('json-log.json', {
      'margo.mercury.address': FREE_PORT,
      'bedrock.log.format': 'json',
    });
    const daemon = startHere(['-c', config]);
    await daemon.address();
    const exit = await stopped(daemon);
    const events = exit.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(events.length).toBeGreaterThan(3);
    for (const event of events) expect(event).toMatchObject({ level: 'info', component: 'bedrock' });
  });
});

it('nothing but what the tests made is left in their folder', async () => {
  const sockets = (await readdir(home, { recursive: true })).filter((name) => name.endsWith('.sock'));
  expect(sockets).toEqual([]);
});

/** What comes of `attempt` once it does not fail any more. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 250_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
