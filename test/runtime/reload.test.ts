/** The file of a running daemon: it is read again, and the running configuration is saved in it. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Resolution } from '../../core/config/resolve.js';
import { type BedrockConfig, BedrockError, bootstrap, connect, type Daemon } from '../../core/index.js';
import { ConfigFile } from '../../core/runtime/config-file.js';
import { stores } from '../fixtures/notes-library.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { forget, gates, journal } from '../fixtures/unruly-library.js';
import { eventually } from '../http/running-daemon.js';

const LIBRARIES = ['notes', 'unruly'].map((name) =>
  path.resolve(import.meta.dirname, `../fixtures/${name}-library.ts`),
);

const TEXT = `// the service
{
  "libraries": ${JSON.stringify(LIBRARIES)},
  "margo.mercury.address": "http://127.0.0.1:0", // a free one
  "margo.argobots.pools": [{ "name": "small", "max_in_flight": 4 }], // for little
  "providers": [
    // kept in memory
    { "name": "store", "type": "warabi", "config.target.type": "memory" },
    { "name": "second", "type": "warabi", "config": { "target": { "type": "memory" } } },
    { "name": "notes", "type": "notes", "dependencies": { "store": "store" /* the first */ } },
  ]
}
`;

let home: string;
let file: string;
let daemon: Daemon;
let log: RecordingLogger;

async function start(text = TEXT, name = 'bedrock.json'): Promise<Daemon> {
  file = path.join(home, name);
  await writeFile(file, text);
  log = recordingLogger();
  daemon = await bootstrap(file, { logger: log.logger });
  return daemon;
}

const replaced = (from: string, to: string): Promise<void> => {
  expect(TEXT).toContain(from);
  return writeFile(file, TEXT.replace(from, to));
};
const names = (): string[] => daemon.providers.map(({ name }) => name);
const errorOf = (promise: Promise<unknown>): Promise<BedrockError> =>
  promise.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error as BedrockError,
  );

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-reload-'));
  forget();
});
afterEach(async () => {
  forget();
  await daemon.close();
  await rm(home, { recursive: true });
});

/** The ids in the group file. */
async function group(): Promise<number[]> {
  const { members } = JSON.parse(await readFile(path.join(home, 'group.json'), 'utf8')) as {
    members: { address: string; provider_id: number }[];
  };
  expect(new Set(members.map(({ address }) => address))).toEqual(new Set([daemon.address]));
  return members.map(({ provider_id: id }) => id);
}

describe('a reload', () => {
  it('adds, removes and changes what differs, in the order of the file', async () => {
    await start();
    await writeFile(
      file,
      TEXT.replace('"name": "second"', '"name": "third"')
        .replace('"store": "store"', '"store": "third"')
        .replace('"max_in_flight": 4', '"max_in_flight": 5')
        .replace('"name": "store",', '"name": "store", "pool": "small",'),
    );
    await daemon.reload();
    expect(names()).toEqual(['store', 'third', 'notes']);
    expect(stores.get('notes')?.targets[0]).toBe(daemon.target('third'));
    const { config } = daemon;
    expect(config.providers?.[0]?.pool).toBe('small');
    expect(config.margo?.argobots?.pools?.[0]).toMatchObject({ name: 'small', max_in_flight: 5 });
    const { address = '' } = daemon;
    expect(config.margo?.mercury?.address).toBe(address);
    const client = await connect(address);
    await client.reload();
    expect(await client.saveConfig()).toBe(file);
    await client.close();
    expect(names()).toEqual(['store', 'third', 'notes']);
  });

  it('undoes what was changed at run time, and not saved', async () => {
    await start();
    await daemon.removeProvider('second');
    await daemon.addProvider({ type: 'unruly', name: 'x' });
    await daemon.reload();
    expect(names()).toEqual(['store', 'second', 'notes']);
  });

  it('is refused with all reasons, and nothing is changed', async () => {
    await start();
    const before = daemon.config;
    await writeFile(
      file,
      TEXT.replace('127.0.0.1:0', '127.0.0.1:1')
        .replace(
          '"providers"',
          `"bedrock.http.max_connections": 7, "bedrock.log.format": "json", "bedrock.query.max_queued": 7,
           "bedrock.group_file": "group.json", "providers"`,
        )
        .replace('"name": "second", "type": "warabi"', '"name": "second", "tags": ["t"], "type": "warabi"')
        .replace(
          '"config": { "target": { "type": "memory" } }',
          '"config": { "target": { "type": "memory", "config": { "max_bytes": 4096 } } }',
        )
        .replace('"type": "notes",', '"type": "notes", "provider_id": 9, ')
        .replace('"name": "store", "type": "warabi"', '"name": "new", "type": "warabi"')
        .replace('"store": "store"', '"fixed": "second"'),
    );
    const error = await errorOf(daemon.reload());
    expect(error.code).toBe('CONFLICT');
    const reasons = (error.details.reasons as string[]).map((reason) => reason.split(' cannot ')[0]);
    expect(reasons).toEqual([
      '$.margo.mercury.address',
      '$.bedrock.http.max_connections',
      '$.bedrock.query.max_queued',
      '$.bedrock.log.format',
      '$.bedrock.group_file',
      'provider "second": its tags',
      'provider "second": its config',
      'provider "notes": its provider_id',
      'provider "notes": its dependency "store"',
      'provider "notes": its dependency "fixed"',
    ]);
    expect(daemon.config).toEqual(before);
  });

  it.each([
    ['no JSON', '{', 'CONFIG_INVALID'],
    ['a wrong type', TEXT.replace('"type": "notes"', '"type": "nosuch"'), 'CONFIG_INVALID'],
    ['a library that is not there', TEXT.replace('[', '["./nowhere.mjs", '), 'LIBRARY_LOAD_FAILED'],
    [
      'a provider that does not start',
      TEXT.replace('/* the first */ } },', '} }, {"type": "unruly", "config": {"start": "throws"}},'),
      'START_FAILED',
    ],
  ])('of a file with %s is refused', async (_what, text, code) => {
    await start();
    const before = daemon.config;
    await writeFile(file, text);
    expect((await errorOf(daemon.reload())).code).toBe(code);
    expect(daemon.config).toEqual(before);
  });

  it('leaves the group file that the program has named', async () => {
    await start();
    await daemon.close();
    const groupFile = path.join(home, 'group.json');
    daemon = await bootstrap(file, { logger: log.logger, groupFile });
    await replaced('/* the first */ } },', '} }, { "name": "more", "type": "unruly" },');
    await daemon.reload();
    expect(daemon.config.bedrock?.group_file).toBe(groupFile);
    await eventually(group, ({ length }) => length === 4);
  });

  it('of a daemon without a file is one error', async () => {
    await start();
    await daemon.close();
    daemon = await bootstrap({ providers: [] }, { listen: false, logger: log.logger });
    expect((await errorOf(daemon.reload())).code).toBe('NOT_SUPPORTED');
    expect((await errorOf(daemon.saveConfig())).code).toBe('NOT_SUPPORTED');
    await daemon.hangUp();
  });

  it.each([
    ['changes', '{ "name": "notes", "type": "notes", "dependencies": { "store": "second" } },'],
    ['removes', ''],
  ])('is refused if a provider that it %s has got busy while it prepared', async (_what, entry) => {
    await start();
    gates.start.shut();
    await replaced(
      '{ "name": "notes", "type": "notes", "dependencies": { "store": "store" /* the first */ } },',
      `${entry} { "name": "x", "type": "unruly", "config": { "start": "waits" } },`,
    );
    const reloading = errorOf(daemon.reload());
    await gates.start.arrivals(1);
    // This one waits for the turn that the reload has.
    const changing = daemon.changeDependency('notes', 'store', 'second');
    gates.start.open();
    const { code, details } = await reloading;
    expect([code, (details.reasons as string[]).length]).toEqual(['CONFLICT', 1]);
    await changing;
    expect(names()).toEqual(['store', 'second', 'notes']);
    expect(journal.at(-1)).toBe('x: stopped');
  });

  it('comes after a change that is under way', async () => {
    await start();
    gates.start.shut();
    const adding = daemon.addProvider({ type: 'unruly', name: 'x', config: { start: 'waits' } });
    await gates.start.arrivals(1);
    const reloading = daemon.reload();
    gates.start.open();
    await adding;
    await reloading;
    expect(names()).toEqual(['store', 'second', 'notes']);
  });
});

describe('SIGHUP', () => {
  it('reads a file again that has changed, and leaves what was changed at run time if it has not', async () => {
    await start();
    await daemon.addProvider({ type: 'unruly', name: 'x' });
    await daemon.hangUp();
    expect(names()).toContain('x');
    await replaced('"name": "second"', '"name": "third"');
    await Promise.all(Array.from({ length: 100 }, () => daemon.hangUp()));
    expect(names()).toEqual(['store', 'third', 'notes']);
    const told = log.entries.filter(({ message }) => message.includes('was read again'));
    expect(told).toHaveLength(1);
    await writeFile(file, '{');
    await daemon.hangUp();
    expect(log.entries.at(-1)).toMatchObject({ level: 'error' });
    await eventually(names, (found) => found.length === 3);
  });
});

describe('the running configuration is saved', () => {
  it('by the changes alone: comments and short keys stay', async () => {
    await start();
    await daemon.addExecutionPool({ name: 'large' });
    await daemon.changeProvider('store', { pool: 'large' });
    await daemon.changeDependency('notes', 'store', 'second');
    await daemon.addProvider({ type: 'unruly', name: 'x' });
    expect(await daemon.saveConfig()).toBe(file);
    const saved = await readFile(file, 'utf8');
    for (const comment of [
      '// the service',
      '// a free one',
      '// for little',
      '// kept in memory',
      '/* the first */',
    ])
      expect(saved).toContain(comment);
    expect(saved).toContain('"config.target.type": "memory"');
    expect(saved).toContain('"store": "second"');
    expect(saved).toContain('"margo.mercury.address": "http://127.0.0.1:0"');
    const before = daemon.config;
    await daemon.reload();
    expect(daemon.config).toEqual(before);
    await daemon.close();
    daemon = await bootstrap(file, { logger: log.logger });
    expect({ ...daemon.config, margo: undefined }).toEqual({ ...before, margo: undefined });
  });

  it('as it is, if names and ids follow from positions', async () => {
    const target = { type: 'memory' };
    const providers = [0, 1, 2].map(() => ({ type: 'warabi', config: { target } }));
    const pools = [{}, {}, {}];
    const xstreams = [{ scheduler: { pools: [2] } }];
    await start(
      JSON.stringify({
        margo: { mercury: { address: 'http://127.0.0.1:0' }, rpc_pool: 1, argobots: { pools, xstreams } },
        providers,
      }),
    );
    await daemon.removeProvider('warabi_1');
    await daemon.removeExecutionPool('__pool_0__');
    await daemon.saveConfig();
    const before = daemon.config;
    await daemon.close();
    daemon = await bootstrap(file, { logger: log.logger });
    expect({ ...daemon.config.margo, mercury: undefined }).toEqual({ ...before.margo, mercury: undefined });
    expect(daemon.config.providers).toEqual(before.providers);
  });

  it('through a link, and not over a file that was changed, nor in TOML', async () => {
    await start();
    await daemon.removeProvider('notes');
    await writeFile(file, `${TEXT}// changed`);
    expect((await errorOf(daemon.saveConfig())).code).toBe('CONFLICT');
    expect(await readFile(file, 'utf8')).toBe(`${TEXT}// changed`);
    await daemon.close();
    const real = path.join(home, 'real.json');
    await writeFile(real, TEXT);
    const link = path.join(home, 'link.json');
    await symlink(real, link);
    daemon = await bootstrap(link, { logger: log.logger });
    await daemon.removeProvider('notes');
    await daemon.saveConfig();
    expect(await readFile(real, 'utf8')).not.toContain('"name": "notes"');
    await daemon.close();
    await start('margo.mercury.address = "http://127.0.0.1:0"', 'bedrock.toml');
    expect((await errorOf(daemon.saveConfig())).code).toBe('NOT_SUPPORTED');
  });
});

describe('a file that is edited while the running configuration is being saved', () => {
  it('is not written to', async () => {
    await start();
    const [from, to] = [{ providers: [] }, { providers: [{ name: 'x', type: 'unruly' }] }];
    const resolved = (json: BedrockConfig): Resolution => ({ config: { json } }) as Resolution;
    const text = JSON.stringify(from);
    const own = new ConfigFile({ path: file, format: 'json', text, directory: home }, resolved(from));
    await writeFile(file, text);
    const saving = own.save(to, new Map(), async () => {
      await writeFile(file, `${text} // by somebody else`);
      return resolved(to);
    });
    expect((await errorOf(saving)).code).toBe('CONFLICT');
    expect(await readFile(file, 'utf8')).toBe(`${text} // by somebody else`);
  });
});

describe('any sequence of changes', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const operation = fc.oneof(
    fc.record({
      what: fc.constant('add' as const),
      name,
      kept: fc.boolean(),
      pool: fc.constantFrom(undefined, 'p', '__primary__'),
    }),
    fc.record({ what: fc.constant('depend' as const), name: fc.constantFrom('n', 'm'), on: name }),
    fc.record({ what: fc.constant('remove' as const), name: fc.constantFrom('a', 'b', 'c', 'n', 'm') }),
    fc.record({ what: fc.constant('pool' as const), isAdded: fc.boolean(), name: fc.constantFrom('p', 'q') }),
    fc.record({
      what: fc.constant('set-pool' as const),
      name,
      pool: fc.constantFrom('p', 'q', '__primary__'),
    }),
    fc.record({ what: fc.constant('set' as const), name: fc.constantFrom('n', 'm'), on: name }),
    fc.record({
      what: fc.constant('stream' as const),
      isAdded: fc.boolean(),
      pool: fc.constantFrom('p', '__primary__'),
    }),
    fc.record({ what: fc.constant('write' as const), name, text: fc.string({ minLength: 1, maxLength: 8 }) }),
    fc.record({ what: fc.constant('save' as const) }),
  );
  type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

  function change(step: Operation): Promise<unknown> {
    switch (step.what) {
      case 'add': {
        const target = step.kept
          ? { type: 'file', config: { path: `${step.name}.pool`, create_if_missing_with_size: 2 ** 20 } }
          : { type: 'memory' };
        const { pool } = step;
        return daemon.addProvider({
          type: 'warabi',
          name: step.name,
          config: { target },
          ...(pool !== undefined && { pool }),
        });
      }
      case 'depend':
        return daemon.addProvider({ type: 'notes', name: step.name, dependencies: { store: step.on } });
      case 'remove':
        return daemon.removeProvider(step.name);
      case 'pool':
        return step.isAdded
          ? daemon.addExecutionPool({ name: step.name })
          : daemon.removeExecutionPool(step.name);
      case 'set-pool':
        return daemon.changeProvider(step.name, { pool: step.pool });
      case 'set':
        return daemon.changeDependency(step.name, 'store', step.on);
      case 'stream':
        return step.isAdded
          ? daemon.addExecutionStream({ name: 'es', scheduler: { pools: [step.pool] } })
          : daemon.removeExecutionStream('es');
      case 'write':
        return Promise.resolve().then(() => daemon.target(step.name).createAndWrite(Buffer.from(step.text)));
      case 'save':
        return daemon.saveConfig();
    }
  }

  /** Everything of a service but its address, and what its kept regions hold. */
  async function service(): Promise<unknown> {
    const { config } = daemon;
    const regions: Record<string, unknown> = {};
    for (const { name, targets } of daemon.providers) {
      const [target] = targets;
      if (target?.capabilities.persistent !== true) continue;
      const listed = (await target.list()).regions.map(async ({ id, size }) => [
        String(id),
        Buffer.from(await target.read(id, 0, size)).toString(),
      ]);
      regions[name] = await Promise.all(listed);
    }
    return {
      config: { ...config, margo: { ...config.margo, mercury: undefined } },
      regions,
    };
  }

  it('leaves a configuration, printed or saved, from which the same service starts', async () => {
    const run = fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (steps) => {
      await start(
        '{\n  // begins with nothing\n  "libraries": ' +
          JSON.stringify(LIBRARIES) +
          ',\n  "margo.mercury.address": "http://127.0.0.1:0", "bedrock.group_file": "group.json"\n}\n',
      );
      try {
        for (const step of steps) {
          const before = daemon.config;
          // What is refused has changed nothing.
          await change(step).catch((error: unknown) => {
            expect(error).toBeInstanceOf(BedrockError);
            expect(daemon.config).toEqual(before);
          });
        }
        // Bedrock's own id stands for a daemon without providers.
        const ids = daemon.providers.map(({ providerId }) => providerId);
        const expectedIds = JSON.stringify(ids.length > 0 ? ids : [0]);
        await eventually(group, (members) => JSON.stringify(members) === expectedIds);
        await daemon.saveConfig();
        const expected = await service();
        const printed = daemon.config;
        for (const source of ['printed', 'saved']) {
          await daemon.close();
          // Printed, it may be stored elsewhere.
          daemon = await (source === 'saved'
            ? bootstrap(file, { logger: log.logger })
            : bootstrap(printed, { logger: log.logger, directory: '/' }));
          expect(await service()).toEqual(expected);
        }
      } finally {
        await daemon.close();
        for (const pool of ['a', 'b', 'c']) await rm(path.join(home, `${pool}.pool`), { force: true });
      }
    });
    await fc.assert(run, { numRuns: 15, seed: 15 });
  });
});
