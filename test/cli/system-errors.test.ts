/** What commands say when the system refuses them a file: its code, the name that the user gave, the cure, and the exit status. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { withCure } from '../../core/base/system-cure.js';
import { codeOf, type Ended, runShell } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { sampled } from '../fixtures/thoroughness.js';
import { poolTarget } from '../backends/pool-factory.js';

const LONG = 'x'.repeat(300);
const ID = '0'.repeat(32);

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-system-')));
  await symlink('loop', path.join(home, 'loop'));
  await writeFile(path.join(home, 'schema.json'), '{"type":"object","properties":{}}');
});
afterAll(async () => {
  await rm(home, { recursive: true });
});

/** What follows a message of this code. */
function cureOf(code: string): string {
  const message = 'refused';
  return withCure(Object.assign(new Error(message), { code })).slice(message.length);
}

function expectTold(ended: Ended, status: number, code: string, name: string, cure = code): void {
  expect([ended.stderr, ended.status, ended.stdout, codeOf(ended)]).toEqual([ended.stderr, status, '', code]);
  expect(cureOf(cure)).not.toBe('');
  expect(ended.stderr).toContain(cureOf(cure));
  expect(ended.stderr).toContain(name);
}

const READERS: Record<string, (file: string) => readonly string[]> = {
  types: (file) => ['types', file],
  'region create': (file) => ['region', 'create', file],
  'region write': (file) => ['region', 'write', ID, file],
  'pool info': (file) => ['pool', 'info', file],
  'pool check': (file) => ['pool', 'check', file],
  'pool repair': (file) => ['pool', 'repair', file],
  'pool copy': (file) => ['pool', 'copy', file, 'copy.pool'],
};

describe.each(Object.entries(READERS))('%s', (_name, args) => {
  it.each([
    ['loop', 'ELOOP'],
    ['schema.json/x', 'ENOTDIR'],
    [LONG, 'ENAMETOOLONG'],
  ])('ends with 2 for a file to read that leads to none: %.20s', async (file, code) => {
    expectTold(await runHere(args(file), { cwd: home }), 2, code, file);
  });
});

describe('start', () => {
  it.each([
    ['loop', 'ELOOP'],
    ['nowhere.json', 'ENOENT'],
    ['schema.json/x', 'ENOTDIR'],
  ])('ends with 2 for a configuration that leads to none: %s', async (file, cure) => {
    expectTold(await runHere(['start', '-c', file], { cwd: home }), 2, 'CONFIG_INVALID', file, cure);
  });

  it('ends with 2 for a library that leads to none, and with 1 for a log in no folder', async () => {
    const put = (name: string, config: object): Promise<void> =>
      writeFile(path.join(home, name), JSON.stringify(config));
    await put('library.json', { libraries: ['./loop'] });
    await put('log.json', { bedrock: { log: { file: 'nowhere/daemon.log' } } });
    const start = (config: string): Promise<Ended> => runHere(['start', '-c', config], { cwd: home });
    expectTold(await start('library.json'), 2, 'LIBRARY_LOAD_FAILED', './loop', 'ELOOP');
    expectTold(await start('log.json'), 1, 'START_FAILED', 'nowhere/daemon.log', 'ENOENT');
  });
});

const WRITERS: Record<string, (file: string) => readonly string[]> = {
  types: (file) => ['types', 'schema.json', '-o', file],
  init: (file) => ['init', file],
  'new backend': (file) => ['new', 'backend', 'mine', '-d', file],
  'new provider': (file) => ['new', 'provider', 'mine', '-d', file],
};

describe.each(Object.entries(WRITERS))('%s', (_name, args) => {
  it.each([
    ['schema.json/x', 'ENOTDIR'],
    [LONG, 'ENAMETOOLONG'],
  ])('ends with 1 for a file that cannot be written: %.20s', async (file, code) => {
    const before = await readdir(home);
    expectTold(await runHere(args(file), { cwd: home }), 1, code, file);
    expect(await readdir(home)).toEqual(before);
  });
});

it.each(
  sampled(2, ['init made.json', 'types schema.json -o made.ts', 'new backend made', 'pool copy from made']),
)('%s tells a file that may not grow by the name that was given, and leaves nothing', async (words) => {
  const pool = await poolTarget('file', { path: 'from', create_if_missing_with_size: 2 ** 23 }, home);
  await pool.open();
  await pool.close();
  const before = await readdir(home);
  const ended = await runShell(`cd '${home}' && ulimit -f 0 && bedrock ${words}`);
  const code = words.startsWith('pool') ? 'START_FAILED' : 'EFBIG';
  expectTold(ended, 1, code, 'made', 'EFBIG');
  expect(ended.stderr).not.toMatch(/\.part|\.bedrock-/);
  expect(await readdir(home)).toEqual(before);
});
