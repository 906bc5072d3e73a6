/** `bedrock put`, `get`, `cat`, `ls`, `rm` and `mv`: contents under names, from files, pipes and the command line. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RegionId, type Target } from '../../core/index.js';
import {
  codeOf,
  ONE_STORE,
  startDaemon,
  type Ended,
  type RunOptions,
  type Running,
} from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
let running: Running;
let target: Target;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-names-'));
  running = await startDaemon(ONE_STORE);
  target = running.daemon.target('store');
});
beforeEach(async () => {
  for (const { id } of (await target.list()).regions) await target.erase(id);
});
afterAll(async () => {
  await running.daemon.close();
  await rm(home, { recursive: true });
});

function bedrock(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return runHere(args, { ...options, env: { ...running.env, TMPDIR: home, ...options.env } });
}

async function fileOf(name: string, contents: string): Promise<string> {
  const file = path.join(home, name);
  await writeFile(file, contents);
  return file;
}

function outcome(ended: Ended): { status: number | null; code: string; stdout: string } {
  return { status: ended.status, code: codeOf(ended), stdout: ended.stdout };
}

async function contentsOf(name: string): Promise<string> {
  return Buffer.from(await target.read(name, 0, (await target.find(name)).size)).toString();
}

const FAILED = (code: string): object => ({ status: 1, code, stdout: '' });
const USAGE = { status: 2, code: 'INVALID_ARGUMENT', stdout: '' };

describe('bedrock put', () => {
  it('puts a file under a name, in place of what had it, and prints the ID', async () => {
    const first = await bedrock(['put', await fileOf('one', 'first'), 'run/17']);
    expect([first.status, first.stderr]).toEqual([0, '']);
    expect(await contentsOf('run/17')).toBe('first');
    const second = await bedrock(['put', await fileOf('two', 'second'), 'run/17']);
    expect(second.stdout.trim()).toBe((await target.find('run/17')).id.toString());
    expect(await contentsOf('run/17')).toBe('second');
    expect((await target.stats()).regions).toBe(1);
  });

  it('takes a pipe to its end, of known length or not, and leaves no file', async () => {
    const before = await readdir(home);
    await bedrock(['put', '-', 'piped'], { stdin: 'from a pipe' });
    expect(await contentsOf('piped')).toBe('from a pipe');
    await bedrock(['put', '-', 'piped', '--size', '5'], { stdin: 'hello' });
    expect(await contentsOf('piped')).toBe('hello');
    expect((await bedrock(['put', '-', 'empty'], { stdin: '' })).status).toBe(0);
    expect(await contentsOf('empty')).toBe('');
    await bedrock(['put', '/proc/version', 'version']);
    expect(await contentsOf('version')).toBe(await readFile('/proc/version', 'utf8'));
    expect(await readdir(home)).toEqual(before);
    const wrong = await bedrock(['put', '-', 'piped', '--size', '6'], { stdin: 'hello' });
    expect(outcome(wrong)).toEqual(FAILED('INVALID_ARGUMENT'));
    expect(await contentsOf('piped')).toBe('hello');
  });

  it('prints name, ID and size with --json', async () => {
    const { stdout } = await bedrock(['put', '-', 'é\n', '--json'], { stdin: 'hello' });
    const { id } = await target.find('é\n');
    expect(JSON.parse(stdout)).toEqual({ name: 'é\n', id: id.toString(), size: 5 });
  });

  it('with --if-absent or --if ID changes nothing where that does not hold', async () => {
    const id = await target.put('name', Buffer.from('old'));
    const put = (...condition: string[]): Promise<Ended> =>
      bedrock(['put', '-', 'name', ...condition], { stdin: 'new' });
    expect(outcome(await put('--if-absent'))).toEqual(FAILED('NAME_TAKEN'));
    expect(outcome(await put('--if', RegionId.random().toString()))).toEqual(FAILED('CONDITION_FAILED'));
    expect(outcome(await put('--if', id.toString(), '--if-absent'))).toEqual(USAGE);
    expect(await contentsOf('name')).toBe('old');
    expect((await put('--if', id.toString())).status).toBe(0);
    await target.erase('name');
    expect((await put('--if-absent')).status).toBe(0);
    expect(await contentsOf('name')).toBe('new');
  });

  it.each(['', 'x'.repeat(1025), '0'.repeat(32), 'a\ufffd'])(
    'refuses the name %j with status 2',
    async (name) => {
      expect(outcome(await bedrock(['put', '-', name], { stdin: 'x' }))).toEqual(USAGE);
      expect(outcome(await bedrock(['mv', 'name', name]))).toEqual(USAGE);
      expect(outcome(await bedrock(['region', 'create', '--size', '1', '--name', name]))).toEqual(USAGE);
      expect((await target.stats()).regions).toBe(0);
    },
  );

  it.each([
    '..',
    '.',
    'a/../b',
    '/',
    'a//b',
    '%2F',
    'a%00',
    '?#',
    '-',
    'caf\u00e9',
    'cafe\u0301',
    '\u{10000}',
  ])('takes the name %j as it is', async (name) => {
    await bedrock(['put', '--', '-', name], { stdin: name });
    expect(await contentsOf(name)).toBe(name);
    expect((await bedrock(['get', '--', name])).stdout).toBe(name);
    expect((await bedrock(['rm', '--', name])).status).toBe(0);
    expect((await target.stats()).regions).toBe(0);
  });

  it('ends with 2 if there is no such file, and changes nothing', async () => {
    expect(outcome(await bedrock(['put', path.join(home, 'nowhere'), 'name']))).toMatchObject({ status: 2 });
    expect(outcome(await bedrock(['put', home, 'name']))).toEqual(USAGE);
    expect((await target.stats()).regions).toBe(0);
  });
});

describe('bedrock get and cat', () => {
  it('copy what has a name, or an ID, to standard output or a file', async () => {
    const id = await target.put('name', Buffer.from('contents'));
    const file = path.join(home, 'got');
    for (const ref of ['name', id.toString()]) {
      expect((await bedrock(['get', ref])).stdout).toBe('contents');
      expect((await bedrock(['get', ref, '-'])).stdout).toBe('contents');
      await writeFile(file, 'old');
      expect(await bedrock(['get', ref, file])).toMatchObject({ status: 0, stdout: '' });
      expect(await readFile(file, 'utf8')).toBe('contents');
    }
    await target.put('empty', Buffer.alloc(0));
    expect(await bedrock(['get', 'empty'])).toMatchObject({ status: 0, stdout: '' });
  });

  it('leave a file as it was if there is nothing of that name', async () => {
    const file = await fileOf('kept', 'kept');
    expect(outcome(await bedrock(['get', 'nobody', file]))).toEqual(FAILED('REGION_NOT_FOUND'));
    expect(await readFile(file, 'utf8')).toBe('kept');
  });

  it('print several one after another, also if one of them is missing', async () => {
    await target.put('a', Buffer.from('one '));
    await target.put('b', Buffer.from('two'));
    expect((await bedrock(['cat', 'a', 'b', 'a'])).stdout).toBe('one twoone ');
    const ended = await bedrock(['cat', 'a', 'nobody', 'b']);
    expect(outcome(ended)).toEqual({ status: 1, code: 'REGION_NOT_FOUND', stdout: 'one two' });
  });
});

describe('bedrock ls', () => {
  beforeEach(async () => {
    for (const name of ['a', 'run/1/x', 'run/1/y', 'run/2', 'é'])
      await target.put(name, Buffer.alloc(name.length * 1000));
  });

  const listed = async (...args: string[]): Promise<string[]> => {
    const { stdout, status } = await bedrock(['ls', ...args]);
    expect(status).toBe(0);
    return stdout.trimEnd().split('\n');
  };

  it('lists names with their sizes and times, all or those of a prefix', async () => {
    const rows = await listed();
    expect(rows.map((row) => row.split(/\s+/).at(-1))).toEqual([
      'NAME',
      'a',
      'run/1/x',
      'run/1/y',
      'run/2',
      'é',
    ]);
    expect(rows[2]).toMatch(/^ +6\.8 KiB {2}\S+Z {2}run\/1\/x$/);
    expect(await listed('run/1')).toHaveLength(3);
    expect(await listed('nothing')).toHaveLength(1);
  });

  it('groups names by a delimiter, in their order', async () => {
    expect((await listed('-d', '/')).map((row) => row.trim().split(/\s+/).at(-1))).toEqual([
      'NAME',
      'a',
      'run/',
      'é',
    ]);
    const lines = await listed('run/', '--delimiter', '/', '--json');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { prefix: 'run/1/' },
      expect.objectContaining({ name: 'run/2', size: 5000 }),
    ]);
  });

  it('prints an object a line with --json, over all pages', async () => {
    for (let at = 0; at < 1100; at++) await target.create(0, { name: `many/${at}` });
    const lines = await listed('many/', '--json');
    const names = new Set(lines.map((line) => (JSON.parse(line) as { name: string }).name));
    expect(names.size).toBe(1100);
    const { id, createdAt } = await target.find('many/7');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual({
      name: 'many/7',
      id: id.toString(),
      size: 0,
      createdAt,
    });
  });

  it('shows what would move the cursor by its number', async () => {
    await target.put('esc\u001b[2J\n\u202e', Buffer.alloc(0));
    expect((await listed('esc')).at(-1)).toMatch(/ {2}esc\\u\{1b\}\[2J\\u\{a\}\\u\{202e\}$/);
    const { stdout } = await bedrock(['region', 'ls']);
    expect(stdout).toContain('esc\\u{1b}');
  });

  it.each([
    ['--delimiter', ''],
    ['a', 'b'],
  ])('refuses %j %j with INVALID_ARGUMENT', async (...args) => {
    expect(codeOf(await bedrock(['ls', ...args]))).toBe('INVALID_ARGUMENT');
  });
});

describe('bedrock rm and mv', () => {
  it('remove several, by name or ID, also if one of them is gone already', async () => {
    await target.put('a', Buffer.alloc(1));
    const id = await target.create(1);
    const ended = await bedrock(['rm', 'a', 'nobody', id.toString()]);
    expect(outcome(ended)).toEqual(FAILED('REGION_NOT_FOUND'));
    expect((await target.stats()).regions).toBe(0);
  });

  it('give a region another name, or its first one', async () => {
    const id = await target.create(1);
    expect(await bedrock(['mv', id.toString(), 'first'])).toMatchObject({ status: 0, stdout: '' });
    expect((await bedrock(['mv', 'first', 'second'])).status).toBe(0);
    expect((await target.find('second')).id.equals(id)).toBe(true);
    expect(outcome(await bedrock(['mv', 'first', 'third']))).toEqual(FAILED('REGION_NOT_FOUND'));
  });

  it('replace what has the new name only with --replace', async () => {
    await target.put('current', Buffer.from('old'));
    await target.put('next', Buffer.from('new'));
    expect(outcome(await bedrock(['mv', 'next', 'current']))).toEqual(FAILED('NAME_TAKEN'));
    expect(await contentsOf('current')).toBe('old');
    expect((await bedrock(['mv', 'next', 'current', '--replace'])).status).toBe(0);
    expect(await contentsOf('current')).toBe('new');
    expect((await target.stats()).regions).toBe(1);
  });
});

describe('bedrock region', () => {
  it('takes a name in the place of an ID, makes regions with names, and shows them', async () => {
    const created = await bedrock(['region', 'create', '-', '--size', '8', '--name', 'run/17'], {
      stdin: 'contents',
    });
    const id = created.stdout.trim();
    expect((await target.find('run/17')).id.toString()).toBe(id);
    expect((await bedrock(['region', 'create', '--size', '8', '--name', 'zeros'])).status).toBe(0);
    expect(outcome(await bedrock(['region', 'create', '--size', '8', '--name', 'zeros']))).toEqual(
      FAILED('NAME_TAKEN'),
    );
    await bedrock(['region', 'write', 'run/17', '-', '--size', '5', '--offset', '3'], { stdin: 'TENTS' });
    expect((await bedrock(['region', 'read', 'run/17', '--offset', '2'])).stdout).toBe('nTENTS');
    expect((await bedrock(['region', 'read', 'run/17', '--length', '3'])).stdout).toBe('con');
    expect((await bedrock(['region', 'persist', 'run/17'])).status).toBe(0);
    expect((await bedrock(['region', 'stat', 'run/17'])).stdout).toMatch(
      new RegExp(`${id}[^]*name +run/17\n$`),
    );
    expect((await bedrock(['region', 'ls'])).stdout).toMatch(new RegExp(`ID .* NAME\n${id} .*Z {2}run/17\n`));
    const { stdout } = await bedrock(['region', 'stat', id, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ id, size: 8, name: 'run/17' });
    expect((await bedrock(['region', 'rm', 'run/17', 'zeros'])).status).toBe(0);
    expect((await target.stats()).regions).toBe(0);
  });
});
