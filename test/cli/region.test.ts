/** `bedrock region`: one region after another, from files, pipes and the command line. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RegionId, type Target } from '../../core/index.js';
import {
  ONE_STORE,
  TWO_STORES,
  codeOf,
  runShell,
  startDaemon,
  type Ended,
  type RunOptions,
  type Running,
} from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';
import { sampled } from '../fixtures/thoroughness.js';

let home: string;
let running: Running;
let target: Target;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-region-'));
  running = await startDaemon(ONE_STORE);
  target = running.daemon.target('store');
});
afterAll(async () => {
  await running.daemon.close();
  await rm(home, { recursive: true });
});

function region(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return run(['region', ...args], { ...options, env: { ...running.env, ...options.env } });
}

function shell(script: string, options: RunOptions = {}): Promise<Ended> {
  return runShell(script, { ...options, env: running.env });
}

/** What a command did, as far as scripts care. */
function outcome(ended: Ended): { status: number | null; code: string; stdout: string } {
  return { status: ended.status, code: codeOf(ended), stdout: ended.stdout };
}

const USAGE = { status: 2, code: 'INVALID_ARGUMENT', stdout: '' };

async function contentsOf(printed: string): Promise<string> {
  const id = RegionId.parse(printed.trim());
  return Buffer.from(await target.read(id, 0, (await target.stat(id)).size)).toString();
}

describe('bedrock region create', () => {
  const sizes: [string, number][] = [
    ['4096', 4096],
    ['4K', 4096],
    ['4k', 4096],
    ['2KiB', 2048],
    ['1MiB', 2 ** 20],
    ['0', 0],
  ];

  it.each(sampled(2, sizes))('makes an empty region of --size %s and prints its ID', async (text, size) => {
    const { status, stdout } = await region(['create', '--size', text]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{32}\n$/);
    expect((await target.stat(RegionId.parse(stdout.trim()))).size).toBe(size);
  });

  it('takes its contents from a file', async () => {
    const file = path.join(home, 'contents');
    await writeFile(file, 'from a file');
    const { stdout } = await region(['create', file, '--persist']);
    await expect(contentsOf(stdout)).resolves.toBe('from a file');
  });

  it('takes its contents from a file that is standard input, whose size is known', async () => {
    const file = path.join(home, 'redirected');
    await writeFile(file, 'redirected');
    const { stdout } = await shell(`bedrock region create < '${file}'`);
    await expect(contentsOf(stdout)).resolves.toBe('redirected');
  });

  it('makes a region of an empty file, without a word', async () => {
    const file = path.join(home, 'empty');
    await writeFile(file, '');
    const { stdout, stderr } = await run(['region', 'create', file], { env: running.env });
    expect(stderr).toBe('');
    await expect(contentsOf(stdout)).resolves.toBe('');
  });

  it('asks for the size of a file that is made as it is read, and takes its bytes then', async () => {
    const file = '/proc/version';
    const unsized = await region(['create', file]);
    expect({ status: unsized.status, code: codeOf(unsized) }).toEqual({
      status: 2,
      code: 'INVALID_ARGUMENT',
    });
    const expected = await readFile(file, 'utf8');
    const { stdout } = await region(['create', file, '--size', String(expected.length)]);
    await expect(contentsOf(stdout)).resolves.toBe(expected);
  });

  it.each(sampled(1, [[['-']], [[]]]))(
    'takes its contents from a pipe of known length, with %j',
    async (dash) => {
      const { stdout } = await region(['create', ...dash, '--size', '5'], { stdin: 'hello' });
      await expect(contentsOf(stdout)).resolves.toBe('hello');
    },
  );

  it('is empty if nobody named standard input and it ends without a byte', async () => {
    const { stdout } = await region(['create', '--size', '3'], { stdin: '' });
    await expect(contentsOf(stdout)).resolves.toBe('\0\0\0');
  });

  it('prints ID and size with --json', async () => {
    const { stdout } = await region(['create', '--size', '1K', '--json']);
    const { id, size } = JSON.parse(stdout) as { id: string; size: number };
    expect(size).toBe(1024);
    await expect(target.stat(RegionId.parse(id))).resolves.toMatchObject({ size: 1024 });
  });

  it('refuses a pipe of unknown length', async () => {
    expect(outcome(await region(['create', '-'], { stdin: 'hello' }))).toEqual(USAGE);
    expect(outcome(await shell('echo hello | bedrock region create'))).toEqual(USAGE);
  });

  const others: [string, string][] = [
    ['more', 'hello world'],
    ['fewer', 'hell'],
    ['no', ''],
  ];

  it.each(sampled(2, others))(
    'makes no region of a pipe that gives %s bytes than announced',
    async (_, stdin) => {
      const before = await target.stats();
      const ended = await region(['create', '-', '--size', '5'], { stdin });
      expect(outcome(ended)).toEqual({ status: 1, code: 'INVALID_ARGUMENT', stdout: '' });
      expect((await target.stats()).regions).toBe(before.regions);
    },
  );

  it('makes no region of a pipe with more bytes than announced, though they come in a piece of their own', async () => {
    const before = await target.stats();
    const script = 'head -c 1048576 /dev/zero; read -r -n 1 -t 200 <&3; printf more';
    const fifo = path.join(home, 'go-on');
    expect((await shell(`mkfifo '${fifo}'`)).status).toBe(0);
    const ending = shell(`exec 3<>'${fifo}'; (${script}) | bedrock region create - --size 1M`);
    // Once its space is taken, the command is sending.
    while ((await target.stats()).usedBytes === before.usedBytes) await delay(5);
    await writeFile(fifo, 'x');
    expect(outcome(await ending)).toEqual({ status: 1, code: 'INVALID_ARGUMENT', stdout: '' });
    expect((await target.stats()).regions).toBe(before.regions);
  });

  const misuses: [string, string[]][] = [
    ['neither size nor contents', []],
    ['a size that is none', ['--size', '12 apples']],
    ['a size with decimal units', ['--size', '1MB']],
    ['a size beyond all numbers', ['--size', '99999999T']],
    ['a folder', [tmpdir()]],
    ['an unknown option', ['--siez', '1']],
    ['a target that is no number', ['--size', '1', '-t', 'x']],
  ];

  it.each(sampled(3, misuses))('refuses %s with INVALID_ARGUMENT and status 2', async (_, args) => {
    expect(outcome(await region(['create', ...args]))).toEqual(USAGE);
  });

  it('refuses a file of another size than --size says', async () => {
    const file = path.join(home, 'six');
    await writeFile(file, 'sixsix');
    expect(outcome(await region(['create', file, '--size', '5']))).toEqual(USAGE);
  });

  it("says the system's code for a file that is not there", async () => {
    const ended = await region(['create', path.join(home, 'nothing')]);
    expect(outcome(ended)).toEqual({ status: 2, code: 'ENOENT', stdout: '' });
  });
});

describe('bedrock region write and read', () => {
  let id: RegionId;
  beforeEach(async () => {
    id = await target.createAndWrite(Buffer.from('hello world'));
  });

  it('writes from a pipe, at an offset', async () => {
    const { status, stdout } = await region(['write', id.toString(), '--offset', '6', '--size', '5'], {
      stdin: 'there',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    await expect(contentsOf(id.toString())).resolves.toBe('hello there');
  });

  it('writes from a file', async () => {
    const file = path.join(home, 'patch');
    await writeFile(file, 'HELLO');
    expect((await region(['write', id.toString(), file, '--persist'])).status).toBe(0);
    await expect(contentsOf(id.toString())).resolves.toBe('HELLO world');
  });

  it('changes nothing with OUT_OF_RANGE', async () => {
    const ended = await region(['write', id.toString(), '-', '--offset', '7', '--size', '5'], {
      stdin: 'there',
    });
    expect(outcome(ended)).toEqual({ status: 1, code: 'OUT_OF_RANGE', stdout: '' });
    await expect(contentsOf(id.toString())).resolves.toBe('hello world');
  });

  it('refuses to write nothing in particular, or a pipe of unknown length', async () => {
    expect(outcome(await region(['write', id.toString()]))).toEqual(USAGE);
    expect(outcome(await region(['write', id.toString()], { stdin: 'there' }))).toEqual(USAGE);
  });

  const reads: [string[], string][] = [
    [[], 'hello world'],
    [['--offset', '6'], 'world'],
    [['--length', '5'], 'hello'],
    [['--offset', '4', '--length', '3'], 'o w'],
    [['--offset', '11'], ''],
    [['--length', '0'], ''],
  ];

  it.each(sampled(3, reads))('reads with %j', async (args, expected) => {
    const { status, stdout, stderr } = await region(['read', id.toString(), ...args]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expected, stderr: '' });
  });

  const excesses: [string, string[]][] = [
    ['starts past the end', ['--offset', '12']],
    ['ends past the end', ['--offset', '6', '--length', '6']],
  ];

  it.each(sampled(1, excesses))('prints nothing of a range that %s, with OUT_OF_RANGE', async (_, args) => {
    const ended = await region(['read', id.toString(), ...args]);
    expect(outcome(ended)).toEqual({ status: 1, code: 'OUT_OF_RANGE', stdout: '' });
  });

  it('reads bytes of any value', async () => {
    const all = Uint8Array.from({ length: 256 }, (_, value) => value);
    const binary = await target.createAndWrite(all);
    const { bytes } = await region(['read', binary.toString()]);
    expect(new Uint8Array(bytes)).toEqual(all);
  });
});

describe('bedrock region stat, persist and rm', () => {
  it('shows size and time of creation', async () => {
    const id = await target.create(65536);
    const { createdAt } = await target.stat(id);
    const { stdout } = await region(['stat', id.toString(), '--json']);
    expect(JSON.parse(stdout)).toEqual({ id: id.toString(), size: 65536, createdAt });
    const forPeople = await region(['stat', id.toString()]);
    expect(forPeople.stdout).toContain('64.0 KiB');
    expect(forPeople.stdout).toContain(new Date(createdAt).toISOString());
  });

  it('persists all of a region, or ranges of it', async () => {
    const id = (await target.create(8192)).toString();
    expect(await region(['persist', id])).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await region(['persist', id, '--range', '0:4K', '--range', '4K:4096'])).toMatchObject({
      status: 0,
    });
    expect(outcome(await region(['persist', id, '--range', '4K:8K']))).toMatchObject({
      status: 1,
      code: 'OUT_OF_RANGE',
    });
    expect(outcome(await region(['persist', id, '--range', '4K']))).toEqual(USAGE);
  });

  it('removes several, also if one of them is gone already', async () => {
    const [first, gone, last] = [await target.create(1), await target.create(1), await target.create(1)];
    await target.erase(gone);
    const ended = await region(['rm', ...[first, gone, last].map(String)]);
    expect(outcome(ended)).toEqual({ status: 1, code: 'REGION_NOT_FOUND', stdout: '' });
    for (const id of [first, last])
      await expect(target.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
  });

  it.each(['stat', 'read', 'persist', 'rm'])(
    '%s fails with REGION_NOT_FOUND for a region that is not there',
    async (name) => {
      const ended = await region([name, RegionId.random().toString()]);
      expect(outcome(ended)).toEqual({ status: 1, code: 'REGION_NOT_FOUND', stdout: '' });
    },
  );

  it.each(['stat', 'read', 'persist', 'rm', 'write'])(
    '%s refuses what can be neither an ID nor a name with status 2',
    async (name) => {
      expect(outcome(await region([name, '']))).toEqual(USAGE);
    },
  );

  it('says what there is for an unknown sub-command', async () => {
    expect(outcome(await region(['creat']))).toEqual(USAGE);
  });
});

describe('bedrock region ls', () => {
  let full: Running;
  let ids: string[];
  beforeAll(async () => {
    full = await startDaemon(ONE_STORE);
    ids = [];
    for (let size = 0; size < 2500; size++)
      ids.push((await full.daemon.target('store').create(size)).toString());
  });
  afterAll(() => full.daemon.close());

  it('lists all regions over all pages, as JSON an object a line', async () => {
    const { status, stdout } = await run(['region', 'ls', '--json'], { env: full.env });
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; size: number });
    expect(status).toBe(0);
    expect(found.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(new Set(found.map(({ size }) => size)).size).toBe(2500);
  });

  it('lists them as a table', async () => {
    const { stdout } = await run(['region', 'ls'], { env: full.env });
    const rows = stdout.trimEnd().split('\n').slice(1);
    expect(rows).toHaveLength(2500);
    expect(rows[2048]).toMatch(/^[0-9a-f]{32} +2\.0 KiB {2}\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('ends quietly if nobody reads on', async () => {
    const { stdout, stderr } = await runShell(
      'bedrock region ls --json | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}',
      { env: full.env },
    );
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  });

  it('prints no heads over an error', async () => {
    const ended = await run(['region', 'ls', '-p', 'nobody'], { env: full.env });
    expect(outcome(ended)).toEqual({ status: 1, code: 'PROVIDER_NOT_FOUND', stdout: '' });
  });
});

describe('the choice of a provider and a target', () => {
  let two: Running;
  let socket: Running;
  let plain: Running;
  beforeAll(async () => {
    two = await startDaemon(TWO_STORES);
    socket = await startDaemon(
      {
        providers: [
          { name: 'both', type: 'warabi', config: { targets: [{ type: 'memory' }, { type: 'memory' }] } },
        ],
      },
      `unix:${path.join(home, 'socket')}`,
    );
    plain = await startDaemon({});
  });
  afterAll(async () => {
    for (const { daemon } of [two, socket, plain]) await daemon.close();
  });

  it('asks for --provider if several hold regions, and names them', async () => {
    const ended = await run(['region', 'ls'], { env: two.env });
    expect(outcome(ended)).toEqual(USAGE);
    expect(ended.stderr).toMatch(/store.*scratch/);
  });

  it.each(sampled(1, ['43', 'scratch']))('takes a provider as %s', async (provider) => {
    const { stdout } = await run(['region', 'create', '--size', '1', '-p', provider], { env: two.env });
    const id = RegionId.parse(stdout.trim());
    await expect(two.daemon.target('scratch').stat(id)).resolves.toMatchObject({ size: 1 });
  });

  it('fails with PROVIDER_NOT_FOUND if none holds regions', async () => {
    const ended = await run(['region', 'ls'], { env: plain.env });
    expect(outcome(ended)).toEqual({ status: 1, code: 'PROVIDER_NOT_FOUND', stdout: '' });
  });

  it('takes a target by its number, over a unix socket', async () => {
    const args = ['region', 'create', '--size', '7', '-a', socket.env.BEDROCK_ADDRESS, '-t', '1'];
    const { stdout } = await run(args);
    const id = RegionId.parse(stdout.trim());
    await expect(socket.daemon.target('both', 1).stat(id)).resolves.toMatchObject({ size: 7 });
  });

  it('fails with OUT_OF_SPACE on a full target, after the daemon has refused a large body', async () => {
    const file = path.join(home, 'large');
    await writeFile(file, Buffer.alloc(8 * 2 ** 20));
    const ended = await run(['region', 'create', file, '-p', 'scratch'], { env: two.env });
    expect(outcome(ended)).toEqual({ status: 1, code: 'OUT_OF_SPACE', stdout: '' });
  });
});
