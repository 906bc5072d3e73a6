/** The commands that change a running daemon: `bedrock provider`, `dependency`, `library`, `execution-pool`, `execution-stream`. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap, type Daemon } from '../../core/index.js';
import { codeOf, type Ended } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { memoryStore } from '../http/running-daemon.js';

let home: string;
let daemon: Daemon;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-cli-changes-'));
  const libraries = [path.resolve(import.meta.dirname, '../fixtures/notes-library.ts')];
  const notes = { name: 'notes', type: 'notes', provider_id: 7, dependencies: { store: 'store' } };
  daemon = await bootstrap(
    { libraries, providers: [memoryStore('store', 42), memoryStore('second', 43), notes] },
    { address: 'http://127.0.0.1:0', logLevel: 'off', directory: home },
  );
});
afterAll(async () => {
  await daemon.close();
  await rm(home, { recursive: true });
});

const run = (args: string[], stdin?: string): Promise<Ended> =>
  runHere(args, {
    env: { BEDROCK_ADDRESS: daemon.address ?? '' },
    cwd: home,
    ...(stdin !== undefined && { stdin }),
  });

async function succeed(args: string[], stdin?: string): Promise<string> {
  const ended = await run(args, stdin);
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  return ended.stdout;
}

it('a provider is added from a file with comments, TOML or standard input, and removed', async () => {
  await writeFile(
    path.join(home, 'a.json'),
    '{"type": "warabi", "name": "a", // of memory\n "config.target.type": "memory"}',
  );
  await writeFile(path.join(home, 'b.toml'), 'type = "warabi"\nname = "b"\nconfig.target.type = "memory"\n');
  expect(await succeed(['provider', 'add', 'a.json'])).toBe('a (1) is running\n');
  expect(await succeed(['provider', 'add', 'b.toml', '--before', 'notes'])).toBe('b (2) is running\n');
  expect(await succeed(['provider', 'add', '-'], '{"type": "notes", "name": "c"}')).toBe(
    'c (3) is running\n',
  );
  const rows = (await succeed(['provider', 'ls'])).trimEnd().split('\n').slice(1);
  expect(rows.map((row) => row.split(' ')[0])).toEqual(['store', 'second', 'b', 'notes', 'a', 'c']);
  for (const name of ['a', '2', 'c']) expect(await succeed(['provider', 'rm', name])).toBe('');
  expect(daemon.providers).toHaveLength(3);
});

it.each<[string, string, string]>([
  ['an unknown type', '{"type": "nosuch"}', 'CONFIG_INVALID'],
  ['a duplicate key', '{"type": "notes", "type": "notes"}', 'CONFIG_INVALID'],
  ['no JSON', '{', 'CONFIG_INVALID'],
  ['a whole configuration', '{"providers": []}', 'INVALID_ARGUMENT'],
])('an entry with %s ends with 2', async (_what, text, code) => {
  const ended = await run(['provider', 'add', '-'], text);
  expect([ended.status, codeOf(ended)]).toEqual([2, code]);
  expect(daemon.providers).toHaveLength(3);
});

it('execution pools and streams come, are used, and go', async () => {
  await succeed([
    'execution-pool',
    'add',
    'small',
    '--max-in-flight',
    '2',
    '--max-queued',
    '3',
    '--kind',
    'prio',
  ]);
  expect(daemon.config.margo?.argobots?.pools?.[0]).toMatchObject({
    name: 'small',
    max_in_flight: 2,
    max_queued: 3,
    kind: 'prio',
  });
  await succeed(['provider', 'set-pool', 'store', 'small']);
  await succeed(['execution-stream', 'add', 'es', '--pool', 'small', '--pool', '__primary__']);
  const refused = await run(['execution-pool', 'rm', 'small']);
  expect([refused.status, codeOf(refused)]).toEqual([1, 'CONFLICT']);
  expect(refused.stderr).toContain('provider "store", execution stream "es"');
  await succeed(['execution-stream', 'rm', 'es']);
  await succeed(['provider', 'set-pool', 'store', '__primary__']);
  await succeed(['execution-pool', 'rm', 'small']);
});

it('a dependency is replaced, and a list of them is refused where one is meant', async () => {
  await succeed(['dependency', 'set', 'notes', 'store', 'second']);
  expect(daemon.config.providers?.at(-1)?.dependencies).toEqual({ store: 'second' });
  for (const references of [
    ['store', 'second'],
    ['store', '--list'],
  ]) {
    const refused = await run(['dependency', 'set', 'notes', 'store', ...references]);
    expect([refused.status, codeOf(refused)]).toEqual([2, 'DEPENDENCY_UNRESOLVED']);
  }
});

it('a library is loaded', async () => {
  const library = path.resolve(import.meta.dirname, '../fixtures/libraries/provider.mjs');
  await succeed(['library', 'load', library]);
  expect(Object.values(daemon.config.libraries ?? {})).toContain(library);
  const refused = await run(['library', 'load', './nowhere.mjs']);
  expect([refused.status, codeOf(refused)]).toEqual([2, 'LIBRARY_LOAD_FAILED']);
});

describe('a daemon with a file', () => {
  it('shows, saves and reloads its configuration', async () => {
    const file = path.join(home, 'service.json');
    await writeFile(
      file,
      '{ // one store\n  "margo.mercury.address": "http://127.0.0.1:0", "providers": []\n}\n',
    );
    const own = await bootstrap(file, { logLevel: 'off' });
    const here = (args: string[]): Promise<Ended> =>
      runHere(args, { env: { BEDROCK_ADDRESS: own.address ?? '' }, cwd: home });
    try {
      await own.addProvider(memoryStore('store', 42));
      expect(await here(['config', 'save'])).toMatchObject({ status: 0, stdout: `saved in ${file}\n` });
      const saved = await readFile(file, 'utf8');
      expect(saved).toContain('// one store');
      await writeFile(file, saved.replace('"store"', '"other"'));
      expect(await here(['reload'])).toMatchObject({ status: 0, stdout: '' });
      expect(own.providers.map(({ name }) => name)).toEqual(['other']);
      const shown = await here(['config', 'show']);
      expect(JSON.parse(shown.stdout)).toEqual(JSON.parse(JSON.stringify(own.config)));
      expect((await here(['config', 'show', '-o', 'shown.json'])).status).toBe(0);
      expect(await readFile(path.join(home, 'shown.json'), 'utf8')).toBe(shown.stdout);
      await writeFile(file, saved.replace('"bedrock', '"margo.mercury.address').replace(':0', ':1'));
      const refused = await here(['reload']);
      expect([refused.status, codeOf(refused)]).toEqual([1, 'CONFLICT']);
    } finally {
      await own.close();
    }
  });
});
