/** The exit statuses of docs/cli.md, held against every command that there is. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeProgram } from '../../core/cli/cli.js';
import { ExitStatus } from '../../core/cli/exit-status.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

const ID = '0'.repeat(32);
/** A port that nobody listens at: 1, which is below those that are given out. */
const NOBODY = ['-a', 'http://127.0.0.1:1'];

let home: string;
let taken: Server;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-status-'));
  await writeFile(path.join(home, 'empty.json'), '{}');
  await writeFile(path.join(home, 'schema.json'), '{"type":"object","properties":{}}');
  await writeFile(path.join(home, 'no.pool'), 'this is no pool');
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  taken.close();
  await rm(home, { recursive: true });
});

const inHome = (name: string): string => path.join(home, name);

interface Uses {
  /** Ends with 1; left out where nothing on any machine makes it. */
  fails?: () => readonly string[];
  /** Ends with 2, beside an option that does not exist. */
  wrong: () => readonly string[];
}

const USES: Record<string, Uses> = {
  start: {
    fails: () => [
      `http://127.0.0.1:${(taken.address() as AddressInfo).port}`,
      '-c',
      inHome('empty.json'),
      '-v',
      'off',
    ],
    wrong: () => ['-c', inHome('nowhere.json')],
  },
  query: { fails: () => NOBODY, wrong: () => ['-a', 'nonsense'] },
  top: { fails: () => ['--once', ...NOBODY], wrong: () => [] },
  // What it finds is on standard output.
  doctor: { wrong: () => ['now'] },
  providers: { fails: () => NOBODY, wrong: () => ['-a', 'nonsense'] },
  snapshot: { fails: () => ['store', '/snapshot', ...NOBODY], wrong: () => ['store', 'relative'] },
  restore: { fails: () => ['store', '/snapshot', ...NOBODY], wrong: () => ['store', 'relative'] },
  verify: { fails: () => [inHome('nowhere')], wrong: () => [] },
  migrate: {
    fails: () => ['store', 'http://127.0.0.1:1', ...NOBODY],
    wrong: () => ['store', 'http://127.0.0.1:1', '--max-hold', 'x'],
  },
  'operations ls': { fails: () => NOBODY, wrong: () => ['-a', 'nonsense'] },
  'operations show': { fails: () => ['0123', ...NOBODY], wrong: () => [] },
  'operations cancel': { fails: () => ['0123', ...NOBODY], wrong: () => [] },
  'config show': { fails: () => NOBODY, wrong: () => ['now'] },
  'config save': { fails: () => NOBODY, wrong: () => ['now'] },
  reload: { fails: () => NOBODY, wrong: () => ['now'] },
  'provider add': {
    fails: () => [inHome('empty.json'), ...NOBODY],
    wrong: () => [inHome('nowhere.json')],
  },
  'provider rm': { fails: () => ['store', ...NOBODY], wrong: () => [] },
  'provider ls': { fails: () => NOBODY, wrong: () => ['-a', 'nonsense'] },
  'provider set-pool': { fails: () => ['store', 'pool', ...NOBODY], wrong: () => ['store'] },
  'dependency set': { fails: () => ['store', 'key', 'other', ...NOBODY], wrong: () => ['store', 'key'] },
  'library load': { fails: () => ['./x.js', ...NOBODY], wrong: () => [] },
  'execution-pool add': { fails: () => ['pool', ...NOBODY], wrong: () => ['pool', '--kind', 'x'] },
  'execution-pool rm': { fails: () => ['pool', ...NOBODY], wrong: () => [] },
  'execution-stream add': {
    fails: () => ['stream', '--pool', 'pool', ...NOBODY],
    wrong: () => ['stream'],
  },
  'execution-stream rm': { fails: () => ['stream', ...NOBODY], wrong: () => [] },
  stats: { fails: () => NOBODY, wrong: () => ['a', 'b'] },
  shutdown: { fails: () => NOBODY, wrong: () => ['now'] },
  'region create': {
    fails: () => ['--size', '1', ...NOBODY],
    wrong: () => ['--size', 'x'],
  },
  'region write': { fails: () => [ID, inHome('empty.json'), ...NOBODY], wrong: () => [''] },
  'region read': { fails: () => [ID, ...NOBODY], wrong: () => [] },
  'region ls': { fails: () => NOBODY, wrong: () => ['-t', '-1'] },
  'region stat': { fails: () => [ID, ...NOBODY], wrong: () => [''] },
  'region persist': { fails: () => [ID, ...NOBODY], wrong: () => [ID, '--range', '1'] },
  'region rm': { fails: () => [ID, ...NOBODY], wrong: () => [] },
  put: { fails: () => [inHome('empty.json'), 'name', ...NOBODY], wrong: () => [inHome('empty.json'), ID] },
  get: { fails: () => ['name', ...NOBODY], wrong: () => [''] },
  cat: { fails: () => ['name', ID, ...NOBODY], wrong: () => [] },
  ls: { fails: () => NOBODY, wrong: () => ['a', 'b'] },
  rm: { fails: () => ['name', ...NOBODY], wrong: () => ['name', ''] },
  mv: { fails: () => ['old', 'new', ...NOBODY], wrong: () => ['old'] },
  completion: { wrong: () => ['tcsh'] },
  init: { fails: () => [inHome('empty.json')], wrong: () => ['a', 'b'] },
  'new backend': { wrong: () => ['memory'] },
  'new provider': { wrong: () => ['NO NAME'] },
  'token new': {
    fails: () => ['a', '-g', 'read', '-f', inHome('no-folder/tokens.json')],
    wrong: () => ['a', '-g', 'x'],
  },
  'token ls': { wrong: () => ['-f', inHome('nowhere.json')] },
  'token revoke': { wrong: () => ['a_b'] },
  types: {
    fails: () => [inHome('schema.json'), '-o', inHome('no-folder/x.ts')],
    wrong: () => [inHome('nowhere.json')],
  },
  'native build': { wrong: () => ['now'] },
  'native info': { wrong: () => ['now'] },
  'pool info': { wrong: () => [inHome('nowhere.pool')] },
  'pool check': { wrong: () => [inHome('no.pool')] },
  'pool repair': { wrong: () => [inHome('nowhere.pool')] },
  'pool copy': { wrong: () => [inHome('nowhere.pool'), inHome('to.pool')] },
};

function leavesOf(command: Command, above: readonly string[] = []): string[] {
  return command.commands.flatMap((one) => {
    const place = [...above, one.name()];
    return one.commands.length === 0 ? [place.join(' ')] : leavesOf(one, place);
  });
}

const leaves = leavesOf(makeProgram(() => undefined));

it('every command has an entry here', () => {
  expect(Object.keys(USES).toSorted()).toEqual(leaves.toSorted());
});

it('docs/cli.md has a table of the statuses, and of those that signals make', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const [, table = ''] = /\n\| status \|.*\n\|[ |-]+\n((?:\|.*\n)+)/.exec(page) ?? [];
  const statuses = [...table.matchAll(/^\| (\d+) /gm)].map(([, status]) => Number(status));
  expect(statuses).toEqual([...Object.values(ExitStatus), 129, 130, 143]);
});

describe.each(leaves)('bedrock %s', (name) => {
  const words = name.split(' ');
  const use = USES[name];

  it('ends with 0 when help is asked for', async () => {
    await expect(runHere([...words, '--help'])).resolves.toMatchObject({ status: 0, stderr: '' });
  });

  it('ends with 2 and one line of an error if it is used wrongly', async () => {
    for (const args of [['--no-such-option'], use?.wrong() ?? []]) {
      const ended = await runHere([...words, ...args]);
      expect([args, ended.status, ended.stdout, codeOf(ended)]).toEqual([args, 2, '', expect.any(String)]);
    }
  });

  const fails = use?.fails;
  if (fails === undefined) return;
  it('ends with 1 and one line of an error if it fails', async () => {
    const ended = await runHere([...words, ...fails()]);
    expect([ended.status, ended.stdout, codeOf(ended)]).toEqual([1, '', expect.any(String)]);
  });
});
