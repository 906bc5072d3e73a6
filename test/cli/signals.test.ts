/** How the command stops: by signals, once and twice, through npm, and when nobody reads its log any more. */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listenToSignals } from '../../core/cli/start-signals.js';
import { MAIN, bedrock, killAll, npmStart } from '../fixtures/bedrock-process.js';
import { withoutTimes } from '../fixtures/log-times.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { startHere } from '../fixtures/run-here.js';
import { sampled } from '../fixtures/thoroughness.js';

const script = needs('script', hasCommand('script'));

let home: string;
let file: string;
let impatient: string;
const sockets = new Set<Socket>();
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-signals-'));
  const store = { type: 'warabi', name: 'store', config: { target: { type: 'memory' } } };
  const config = { 'margo.mercury.address': 'http://127.0.0.1:0', providers: [store] };
  file = path.join(home, 'bedrock.json');
  await writeFile(file, JSON.stringify(config));
  impatient = path.join(home, 'impatient.json');
  await writeFile(impatient, JSON.stringify({ ...config, bedrock: { drain_timeout_ms: 200 } }));
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true });
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

/** A request whose body never ends. Resolves when the daemon has begun to read it. */
async function stuckRequest(address: string): Promise<Socket> {
  const { hostname, port, host } = new URL(address);
  const socket = connect(Number(port), hostname);
  sockets.add(socket);
  socket.on('error', () => undefined);
  const path = '/v1/providers/store/regions?size=1000';
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n`;
  socket.write(head);
  await new Promise<void>((resolve) => socket.once('data', () => resolve()));
  socket.write('half of it');
  return socket;
}

function isListening(address: string): Promise<boolean> {
  const { hostname, port } = new URL(address);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

describe.each(sampled(1, ['SIGINT', 'SIGTERM'] as const))('%s', (signal) => {
  it('stops the daemon in good order, which lets a request in flight end, with status 0', async () => {
    const daemon = startHere(['-c', file]);
    const address = await daemon.address();
    const socket = await stuckRequest(address);
    daemon.signal(signal);
    await daemon.line(/stopping/);
    const answer = new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    socket.write('x'.repeat(1000 - 'half of it'.length));
    await expect(answer).resolves.toMatch(/^HTTP\/1\.1 201 /);
    const exit = await daemon.exit;
    expect(exit).toMatchObject({ status: 0, stderr: '' });
    expect(withoutTimes(exit.stdout).trimEnd().split('\n').slice(-2)).toEqual([
      '[info] [bedrock] stopping',
      '[info] [bedrock] stopped',
    ]);
    await expect(isListening(address)).resolves.toBe(false);
  });

  it('waits for a request in flight, and a second one does not', async () => {
    const daemon = bedrock(['-c', file]);
    await stuckRequest(await daemon.address());
    daemon.signal(signal);
    await daemon.line(/stopping/);
    daemon.signal(signal);
    const exit = await daemon.exit;
    expect(exit.status).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(exit.stdout).not.toContain('[info] [bedrock] stopped');
  });
});

describe('a stop', () => {
  it('waits no longer than bedrock.drain_timeout_ms, and warns', async () => {
    const daemon = startHere(['-c', impatient]);
    await stuckRequest(await daemon.address());
    daemon.signal('SIGTERM');
    const exit = await daemon.exit;
    expect(exit.status).toBe(0);
    expect(exit.stdout).toMatch(/ \[warning\] \[bedrock\] /);
  });

  it('exits with 1 if a provider did not stop cleanly', async () => {
    const broken = path.join(home, 'broken.json');
    const libraries = [path.resolve(import.meta.dirname, '../fixtures/libraries/provider.mjs')];
    const providers = [{ type: 'recorder', config: { fails: 'stop' } }];
    await writeFile(broken, JSON.stringify({ libraries, providers }));
    const daemon = startHere(['-c', broken, `unix:${path.join(home, 'broken.sock')}`]);
    await daemon.address();
    daemon.signal('SIGTERM');
    await expect(daemon.exit).resolves.toMatchObject({ status: 1, stderr: '' });
  });

  it('is not cut short by the signal that npm passes on, right after the terminal sent it', () => {
    const listeners = new Map<unknown, (signal: string) => void>();
    jest.spyOn(process, 'on').mockImplementation((name, listener) => {
      listeners.set(name, listener);
      return process;
    });
    const ended = jest.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const now = jest.spyOn(performance, 'now');
    jest.replaceProperty(process, 'env', { ...process.env, npm_lifecycle_event: 'start' });
    const { stop } = listenToSignals();
    const interruptAt = (ms: number): void => {
      now.mockReturnValue(ms);
      listeners.get('SIGINT')?.('SIGINT');
    };
    interruptAt(1000);
    expect(stop.aborted).toBe(true);
    interruptAt(1499);
    expect(ended).not.toHaveBeenCalled();
    interruptAt(1500);
    expect(ended).toHaveBeenCalledWith(130);
  });

  it('comes at once if the signal came while the daemon was starting', async () => {
    const slow = path.join(home, 'slow.json');
    const libraries = [path.resolve(import.meta.dirname, '../fixtures/libraries/provider.mjs')];
    const providers = [{ type: 'recorder', provider_id: 5, config: { hangs: 'create' } }];
    await writeFile(
      slow,
      JSON.stringify({ 'margo.mercury.address': 'http://127.0.0.1:0', libraries, providers }),
    );
    const daemon = startHere(['-c', slow]);
    await daemon.line(/\[recorder:5\] create$/m);
    daemon.signal('SIGTERM');
    const exit = await daemon.exit;
    expect(exit).toMatchObject({ status: 0, stderr: '' });
    expect(exit.stdout).not.toContain('ready: ');
  });

  it('is not needed by a command that still waits for its configuration', async () => {
    const waiting = bedrock(['--stdin'], { stdin: null });
    // More than a pipe holds: once it is written, the command is reading.
    await new Promise((resolve) => waiting.child.stdin?.write(' '.repeat(2 ** 20), resolve));
    waiting.signal('SIGINT');
    await expect(waiting.exit).resolves.toMatchObject({ signal: 'SIGINT', stdout: '' });
  });

  it('is in good order even if nobody reads the log any more', async () => {
    const daemon = bedrock(['-c', file]);
    const address = await daemon.address();
    daemon.child.stdout?.destroy();
    daemon.child.stderr?.destroy();
    daemon.signal('SIGTERM');
    await expect(daemon.exit).resolves.toMatchObject({ status: 0, signal: null });
    await expect(isListening(address)).resolves.toBe(false);
  });
});

describe('SIGHUP', () => {
  it('has the file of the log opened anew, and the daemon goes on', async () => {
    const log = path.join(home, 'daemon.log');
    const logged = path.join(home, 'logged.json');
    await writeFile(
      logged,
      JSON.stringify({
        'margo.mercury.address': 'http://127.0.0.1:0',
        bedrock: { log: { file: 'daemon.log' } },
      }),
    );
    const daemon = startHere(['-c', logged]);
    const address = await inFile(log, /listening on (\S+)[^]*ready: /);
    await rename(log, `${log}.1`);
    daemon.signal('SIGHUP');
    await inFile(log, /\[info\] \[bedrock\] the log was reopened/);
    await expect(isListening(address)).resolves.toBe(true);
    daemon.signal('SIGTERM');
    await expect(daemon.exit).resolves.toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await readFile(log, 'utf8')).toMatch(/\[info\] \[bedrock\] stopped\n$/);
    expect(await readFile(`${log}.1`, 'utf8')).not.toContain('stopping');
  });

  script.it('stops a daemon whose log is a terminal that is gone', async () => {
    const out = path.join(home, 'running.json');
    const command = `'${process.execPath}' '${MAIN}' -c '${file}' -o '${out}'`;
    const terminal = spawn('script', ['-qfec', command, '/dev/null'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const { margo } = JSON.parse(await inFile(out, /[^]*\}\n$/, 0)) as {
      margo: { mercury: { address: string } };
    };
    const { address } = margo.mercury;
    await expect(isListening(address)).resolves.toBe(true);
    terminal.kill('SIGKILL');
    while (await isListening(address)) await delay(20);
  });
});

describe('a change that never ends', () => {
  it('holds up the reload of SIGHUP, and is answered with NOT_READY when SIGTERM stops the daemon', async () => {
    const stuck = path.join(home, 'stuck.mjs');
    await writeFile(
      stuck,
      `export default { kind: 'provider', apiVersion: 1, type: 'stuck', schema: { type: 'object' },
        create: () => ({ targets: [], start: () => (console.log('it begins'), new Promise(() => {})), stop: async () => {} }) };`,
    );
    const own = path.join(home, 'stuck.json');
    const config = {
      'margo.mercury.address': 'http://127.0.0.1:0',
      libraries: [stuck],
      providers: [] as object[],
    };
    await writeFile(own, JSON.stringify(config));
    const daemon = bedrock(['-c', own]);
    const address = await daemon.address();
    await daemon.line(/ready/);
    const added = fetch(`${address}/v1/providers`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"type": "stuck", "name": "stuck"}',
    });
    await daemon.line(/it begins/);
    await writeFile(own, JSON.stringify({ ...config, 'bedrock.drain_timeout_ms': 7 }));
    daemon.signal('SIGHUP');
    // It waits for its turn: the daemon serves meanwhile, and the change is not made.
    expect((await fetch(`${address}/v1/config`)).status).toBe(200);
    daemon.signal('SIGTERM');
    const answer = await added;
    expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'NOT_READY' }]);
    const exit = await daemon.exit;
    expect(exit).toMatchObject({ status: 0 });
    expect(withoutTimes(exit.stdout)).toContain('[info] [bedrock] stopped');
  });
});

describe('a signal that has nothing to do', () => {
  it('is a line in the log: SIGHUP without a file of the log, and SIGUSR1, which opens no inspector', async () => {
    const daemon = bedrock(['-c', file]);
    const address = await daemon.address();
    daemon.signal('SIGHUP');
    await daemon.line(/there is no bedrock\.log\.file to open again/);
    await expect(isListening(address)).resolves.toBe(true);
    daemon.signal('SIGUSR1');
    await daemon.line(/SIGUSR1 is ignored/);
    await expect(isListening(address)).resolves.toBe(true);
    daemon.signal('SIGTERM');
    const { stdout, stderr } = await daemon.exit;
    expect(stdout).toContain('[info] [bedrock] stopped\n');
    // Where one is opened, Node.js says so.
    expect(stderr).toBe('');
  });
});

describe('npm start', () => {
  const stops: [string, readonly string[], (pid: number) => void][] = [
    [
      'passes its arguments on, and SIGTERM to npm stops the daemon in good order and leaves no process',
      ['http://127.0.0.1:0'],
      (pid) => process.kill(pid, 'SIGTERM'),
    ],
    [
      'stops in good order on Ctrl-C, which reaches npm and the daemon alike',
      [],
      (pid) => process.kill(-pid, 'SIGINT'),
    ],
  ];

  it.each(sampled(1, stops))('%s', async (_title, args, stop) => {
    const npm = npmStart(['-c', file, ...args]);
    const address = await npm.address();
    const pid = npm.child.pid ?? 0;
    const family = await descendantsOf(pid);
    expect(family.length).toBeGreaterThan(0);
    stop(pid);
    const { stdout } = await npm.exit;
    expect(stdout).toContain('[info] [bedrock] stopped\n');
    await expect(isListening(address)).resolves.toBe(false);
    await expect(runningOf(family)).resolves.toEqual([]);
  });
});

/** What a pattern finds in a file, once it does. */
async function inFile(name: string, pattern: RegExp, group = 1): Promise<string> {
  for (;;) {
    const found = pattern.exec(await readFile(name, 'utf8').catch(() => ''));
    if (found !== null) return found[group] ?? '';
    await delay(20);
  }
}

/** Processes below one, children's children included. */
async function descendantsOf(pid: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The name of the program stands in brackets and may hold anything; the state and the parent follow.
    const parent = /^.*\) \S (\d+)/s.exec(status)?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const found = [pid];
  for (const above of found) for (const [child, parent] of parents) if (parent === above) found.push(child);
  return found.slice(1);
}

/** Those that still run. */
async function runningOf(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') gone')),
  );
  return pids.filter((_pid, index) => !/\) (Z|gone)/.test(states[index] ?? ''));
}
