/** What systemd is given: units, configuration, sockets. (service-manager.long.test.ts has a daemon started in that way.) */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { takeInheritedSockets } from '../../core/net/inherited-sockets.js';
import { hasCommand, needs } from '../fixtures/needs.js';
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
