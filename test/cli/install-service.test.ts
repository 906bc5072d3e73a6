/** What systemd is given: units, configuration, sockets. (service-manager.long.test.ts has a daemon started in that way.) */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { serviceManagerOf } from '../../core/cli/service-manager.js';
import { listenInheritedUnix, takeInheritedSockets } from '../../core/net/inherited-sockets.js';
import { hasCommand, nativeAddon, needs } from '../fixtures/needs.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-service-'));
  await writeFile(
    path.join(home, 'mine.json'),
    '{ "margo": { "mercury": { "address": "unix:b.sock" } }, "bedrock": { "resp": { "unix": "r.sock" } } }',
  );
});
afterAll(() => rm(home, { recursive: true }));

const native = needs('the native addon', nativeAddon.isHere);
const analyze = needs('systemd-analyze', hasCommand('systemd-analyze'));

/** The files that a dry run prints, by their base names. */
async function planned(...args: string[]): Promise<Map<string, string>> {
  const { status, stdout } = await runHere(['install-service', '--dry-run', ...args]);
  expect(status).toBe(0);
  const parts = stdout.split(/^==> (.+) <==\n/m).slice(1);
  const files = new Map<string, string>();
  for (let i = 0; i < parts.length; i += 2) files.set(path.basename(parts[i] ?? ''), parts[i + 1] ?? '');
  return files;
}

describe('bedrock install-service', () => {
  it('plans a unit that is ready when the daemon is, and a configuration whose pool is where it may write', async () => {
    const files = await planned('--name', 'bedrock-of-a-test', '--data', '/mnt/p mem');
    expect([...files.keys()]).toEqual(['bedrock.json', 'bedrock-of-a-test.service']);
    expect(files.get('bedrock.json')).toContain('"path": "/var/lib/bedrock-of-a-test/store.pool"');
    const unit = files.get('bedrock-of-a-test.service') ?? '';
    expect(unit).toMatch(/^Type=notify$/m);
    expect(unit).toMatch(/^ExecStart=\S+ \S+ start -c \/etc\/bedrock-of-a-test\/bedrock\.json$/m);
    expect(unit).toMatch(/^ReadWritePaths="\/mnt\/p mem"$/m);
    expect(unit).toMatch(/^DynamicUser=yes\nUser=bedrock-of-a-test$/m);
    expect(unit).not.toMatch(/@[A-Z]+@/);
  });

  it('takes the addresses of sockets from the configuration that there is', async () => {
    const config = path.join(home, 'mine.json');
    const files = await planned('--socket', '-c', config, '--run-as', 'storage');
    expect([...files.keys()]).toEqual(['bedrock.service', 'bedrock-http.socket', 'bedrock-resp-unix.socket']);
    expect(files.get('bedrock-http.socket')).toContain(`ListenStream=${path.join(home, 'b.sock')}\n`);
    expect(files.get('bedrock-resp-unix.socket')).toContain('FileDescriptorName=resp-unix\n');
    expect(files.get('bedrock.service')).toMatch(/^User=storage$/m);
    expect(files.get('bedrock.service')).not.toContain('DynamicUser');
  });

  it('gives a unix socket the permissions of the configuration, as the default of systemd lets everybody connect', async () => {
    const files = await planned('--socket', '-c', path.join(home, 'mine.json'), '--run-as', 'storage');
    expect(files.get('bedrock-http.socket')).toMatch(/^SocketMode=0600\nSocketUser=storage$/m);
    expect(files.get('bedrock-resp-unix.socket')).toMatch(/^SocketMode=0600$/m);
  });

  it('has systemd listen where the daemon would: at its own default port, and at no name', async () => {
    const config = path.join(home, 'names.json');
    const text = (host: string): string =>
      `{ "margo": { "mercury": { "address": "https://127.0.0.1" } }, "bedrock": { "resp": { "address": "${host}:6379" } } }`;
    await writeFile(config, text('localhost'));
    const files = await planned('--socket', '-c', config);
    expect(files.get('bedrock-http.socket')).toContain('ListenStream=127.0.0.1:7480\n');
    expect(files.get('bedrock-http.socket')).not.toContain('SocketMode');
    expect(files.get('bedrock-resp.socket')).toContain('ListenStream=127.0.0.1:6379\n');
    await writeFile(config, text('storage.example'));
    const { stderr } = await runHere(['install-service', '--dry-run', '--socket', '-c', config]);
    expect(stderr).toMatch(/^error INVALID_ARGUMENT: storage\.example:6379: /);
  });

  it('lets the daemon see data in a home, and writes a path as systemd reads it', async () => {
    const unit = (await planned('--data', '/home/user/a$b%c')).get('bedrock.service') ?? '';
    expect(unit).toMatch(/^ReadWritePaths=\/home\/user\/a\$b%%c$/m);
    expect(unit).toMatch(/^ProtectHome=read-only$/m);
  });

  it('writes for a user without rights, and leaves a configuration as it is', async () => {
    const before = process.env.XDG_CONFIG_HOME;
    process.env.XDG_CONFIG_HOME = path.join(home, 'config');
    try {
      await expect(runHere(['install-service', '--user'])).resolves.toMatchObject({ status: 0 });
      const config = path.join(home, 'config/bedrock/bedrock.json');
      await writeFile(config, '{}');
      await expect(runHere(['install-service', '--user'])).resolves.toMatchObject({ status: 0 });
      await expect(readFile(config, 'utf8')).resolves.toBe('{}');
      const unit = await stat(path.join(home, 'config/systemd/user/bedrock.service'));
      expect(unit.isFile()).toBe(true);
    } finally {
      if (before === undefined) delete process.env.XDG_CONFIG_HOME;
      else process.env.XDG_CONFIG_HOME = before;
    }
  });

  it.each([
    ['a name that is a path', ['--name', '../x']],
    ['a configuration that is not there', ['-c', '/nowhere/bedrock.json']],
    ['a user that has no name of one', ['--run-as', 'storage\nExecStartPre=/bin/sh']],
    ['another user for a service of one’s own', ['--user', '--run-as', 'root']],
  ])('refuses %s', async (_what, args) => {
    const { status, stderr } = await runHere(['install-service', '--dry-run', ...args]);
    expect(status).toBeGreaterThan(0);
    expect(stderr).toMatch(/^error INVALID_ARGUMENT: /);
  });

  analyze.it('plans units that systemd accepts, and calls little exposed', async () => {
    const folder = await mkdtemp(path.join(home, 'units-'));
    const units: string[] = [];
    for (const [name, text] of await planned('--socket', '--name', 'bedrock-of-a-test')) {
      await writeFile(path.join(folder, name), text);
      if (!name.endsWith('.json')) units.push(path.join(folder, name));
    }
    const run = (...args: string[]): { status: number | null; output: string } => {
      const { status, stdout, stderr } = spawnSync('systemd-analyze', args, {
        encoding: 'utf8',
        cwd: folder,
      });
      return { status, output: stdout + stderr };
    };
    expect(run('verify', '--man=no', ...units)).toEqual({ status: 0, output: '' });
    // In tenths: 2.0 at most.
    const security = run('security', '--offline=true', '--threshold=20', 'bedrock-of-a-test.service');
    expect(security.output).toContain('Overall exposure level');
    expect(security.status).toBe(0);
  });
});

describe('sockets of the service manager', () => {
  const env = (values: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ LISTEN_PID: '7', ...values });

  it('are taken by their names, or by their order', () => {
    const named = env({ LISTEN_FDS: '3', LISTEN_FDNAMES: 'resp:http:http' });
    expect(takeInheritedSockets(named, 7)).toEqual({ http: [4, 5], resp: [3], respUnix: [] });
    expect(named).toEqual({});
    expect(takeInheritedSockets(env({ LISTEN_FDS: '2', LISTEN_FDNAMES: 'a.socket:a.socket' }), 7)).toEqual({
      http: [3],
      resp: [4],
      respUnix: [],
    });
  });

  it.each([{}, { LISTEN_FDS: '0' }, { LISTEN_FDS: 'x' }, { LISTEN_FDS: '1', LISTEN_PID: '8' }])(
    'are none for this process with %j',
    (values) => expect(takeInheritedSockets(env(values), 7)).toBeUndefined(),
  );

  it.each([{ LISTEN_FDS: '3' }, { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:web' }])(
    'are refused if a door is not known for one: %j',
    (values) => {
      expect(() => takeInheritedSockets(env(values), 7)).toThrow(
        expect.objectContaining({ code: 'START_FAILED' }),
      );
    },
  );
});

it('refuses a second unix socket for a door, whose clients nobody would accept', async () => {
  const listened = listenInheritedUnix(createServer(), [3, 4], { mode: '0600' }, { answer: '' });
  await expect(listened).rejects.toMatchObject({ code: 'START_FAILED' });
  await expect(listened).rejects.toThrow('passes as 4 is one too many');
});

describe('the service manager', () => {
  const turn = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('is told again that the daemon is ready until it has room for the message', async () => {
    const answers = [constants.errno.EAGAIN, constants.errno.ENOBUFS, 0];
    const sent: string[] = [];
    const manager = await serviceManagerOf({ NOTIFY_SOCKET: '@x' }, () =>
      Promise.resolve((message) => {
        sent.push(message);
        return answers.shift() ?? 0;
      }),
    );
    manager.ready('serves');
    while (answers.length > 0) await turn(10);
    manager.stopping();
    expect(sent.map((message) => message.split('\n')[0])).toEqual([
      'READY=1',
      'READY=1',
      'READY=1',
      'STOPPING=1',
    ]);
  });

  it('gets no sign of life sooner than half of its time, however long that is', async () => {
    const sent: string[] = [];
    const env = { NOTIFY_SOCKET: '@x', WATCHDOG_USEC: String(2 ** 53 - 1) };
    const manager = await serviceManagerOf(env, () =>
      Promise.resolve((message) => {
        sent.push(message);
        return 0;
      }),
    );
    manager.ready('serves');
    await turn(50);
    manager.stopping();
    expect(sent).toHaveLength(2);
    expect(env).toEqual({});
  });

  for (const [what, socket] of [
    ['of a path that is too long', `/${'x'.repeat(200)}`],
    ['of an abstract name that nobody has', '@bedrock-nobody'],
  ] as const) {
    native.it(`is missed in the log if it cannot be told: a socket ${what}`, async () => {
      const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
      try {
        const manager = await serviceManagerOf({ NOTIFY_SOCKET: socket });
        manager.ready('serves');
        manager.stopping();
        expect(written.mock.calls.join('')).toMatch(
          /^warning: the service manager does not learn .*: E[A-Z]+: /,
        );
      } finally {
        written.mockRestore();
      }
    });
  }
});
