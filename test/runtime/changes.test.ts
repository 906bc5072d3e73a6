/** Changes of the configuration of a running daemon: all of a change is made, or nothing, one after another. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  type BedrockConfig,
  BedrockError,
  bootstrap,
  checkConfig,
  connect,
  type Daemon,
  type Service,
} from '../../core/index.js';
import { gates as gated, openGates } from '../fixtures/gated-library.js';
import { holdTimers, passUntilSettled } from '../fixtures/held-time.js';
import { changing, stores } from '../fixtures/notes-library.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { forget, gates, journal, thrown } from '../fixtures/unruly-library.js';
import { eventually, gatedStore, memoryStore } from '../http/running-daemon.js';
import { RawClient } from '../resp/raw-client.js';

const library = (name: string): string => path.resolve(import.meta.dirname, `../fixtures/${name}-library.ts`);
const LIBRARIES = ['unruly', 'notes', 'gated'].map(library);
const ofFolder = (name: string): string =>
  path.resolve(import.meta.dirname, `../fixtures/libraries/${name}.mjs`);

type Entry = NonNullable<BedrockConfig['providers']>[number];

const unruly = (name: string, config: Record<string, unknown> = {}): Entry => ({
  name,
  type: 'unruly',
  config,
});
const NOTES: Entry = { name: 'notes', type: 'notes', provider_id: 7, dependencies: { store: 'store' } };

let home: string;
let log: RecordingLogger;
let daemon: Daemon;
const services: Service[] = [];

async function start(config: BedrockConfig = {}): Promise<Daemon> {
  log = recordingLogger();
  return bootstrap(
    {
      libraries: LIBRARIES,
      providers: [memoryStore('store', 42), memoryStore('second', 43), NOTES],
      ...config,
      bedrock: { resp: { address: '127.0.0.1:0' }, ...config.bedrock },
    },
    { address: 'http://127.0.0.1:0', logger: log.logger, directory: home },
  );
}

async function service(protocol = 'http'): Promise<Service> {
  const { address = '', config } = daemon;
  const opened = await connect(
    protocol === 'http' ? address : `resp://${config.bedrock?.resp?.address ?? ''}`,
  );
  services.push(opened);
  return opened;
}

const names = (): string[] => daemon.providers.map(({ name }) => name);
const metrics = async (): Promise<string> => (await fetch(`${daemon.address ?? ''}/metrics`)).text();
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof BedrockError ? error.code : error),
  );

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-changes-'));
});
beforeEach(async () => {
  forget();
  daemon = await start();
});
afterEach(async () => {
  jest.useRealTimers();
  forget();
  openGates();
  changing.open();
  await Promise.all(services.splice(0).map((one) => one.close()));
  await daemon.close();
});
afterAll(() => rm(home, { recursive: true }));

describe.each(['http', 'resp'])('over %s', (protocol) => {
  it('a provider is added, serves, and is removed; its name and id are free again', async () => {
    const client = await service(protocol);
    for (let round = 0; round < 2; round++) {
      const added = await client.addProvider(memoryStore('new', 9));
      expect(added).toMatchObject({ name: 'new', providerId: 9, state: 'running' });
      expect(client.config.providers?.map(({ name }) => name)).toEqual(['store', 'second', 'notes', 'new']);
      const target = client.target('new');
      const id = await target.createAndWrite(Buffer.from('kept while it runs'));
      expect(Buffer.from(await target.read(id, 0, 4)).toString()).toBe('kept');
      await client.removeProvider(round === 0 ? 'new' : 9);
      expect(client.providers.map(({ name }) => name)).toEqual(['store', 'second', 'notes']);
      expect(daemon.config.providers).toHaveLength(3);
      await expect(target.read(id, 0, 4)).rejects.toMatchObject({ code: 'PROVIDER_NOT_FOUND' });
    }
  });

  it('a provider gets another execution pool, and other dependencies', async () => {
    const client = await service(protocol);
    await client.addExecutionPool({ name: 'background', max_in_flight: 1 });
    await client.changeProvider('store', { pool: 'background' });
    expect(daemon.config.providers?.[0]?.pool).toBe('background');
    expect(await metrics()).toContain('bedrock_execution_pool_in_flight{execution_pool="background"} 0');
    await expect(client.removeExecutionPool('background')).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { users: ['provider "store"'] },
    });
    await client.changeProvider('store', { pool: '__primary__' });
    await client.removeExecutionPool('background');
    expect(await metrics()).not.toContain('"background"');
    await client.changeProvider('notes', { dependencies: { store: 'warabi:43' } });
    expect(stores.get('notes')?.targets[0]).toBe(daemon.target('second'));
    expect(client.config.providers?.[2]?.dependencies).toEqual({ store: 'warabi:43' });
  });

  it('an execution stream is added and removed', async () => {
    const client = await service(protocol);
    await client.addExecutionStream({ name: 'es1', scheduler: { pools: ['__primary__'] } });
    expect(daemon.config.margo?.argobots?.xstreams).toMatchObject([{ name: 'es1' }]);
    await client.removeExecutionStream('es1');
    expect(daemon.config.margo?.argobots?.xstreams).toEqual([]);
    await expect(client.removeExecutionStream('es1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('a library is loaded, once, and its types can be used', async () => {
    const client = await service(protocol);
    await expect(client.addProvider({ type: 'recorder' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    for (let times = 0; times < 2; times++) await client.loadLibrary(ofFolder('provider'));
    expect(client.config.libraries).toEqual([...LIBRARIES, ofFolder('provider')]);
    expect((await client.addProvider({ type: 'recorder', name: 'r' })).type).toBe('recorder');
  });

  it.each<[string, Entry, string, string]>([
    ['a wrong type', { type: 'nosuch' }, 'CONFIG_INVALID', '$.providers[3].type'],
    [
      'wrong settings',
      { type: 'warabi', config: { target: { type: 'memory', config: { max_bytes: -1 } } } },
      'CONFIG_INVALID',
      '$.providers[3].config.target.config.max_bytes',
    ],
    ['a taken name', memoryStore('store', 9), 'CONFIG_INVALID', '$.providers[3].name'],
    ['a taken id', memoryStore('new', 42), 'CONFIG_INVALID', '$.providers[3].provider_id'],
    [
      'a pool that is not there',
      { ...memoryStore('new', 9), pool: 'p' },
      'CONFIG_INVALID',
      '$.providers[3].pool',
    ],
    [
      'a dependency that is not there',
      { ...NOTES, name: 'n', provider_id: 9, dependencies: { store: 'nosuch' } },
      'DEPENDENCY_UNRESOLVED',
      '$.providers[3].dependencies.store',
    ],
  ])('a provider with %s is refused as in a file', async (_what, entry, code, place) => {
    const client = await service(protocol);
    const before = daemon.config;
    const error = (await client.addProvider(entry).catch((thrown: unknown) => thrown)) as BedrockError;
    expect(error.code).toBe(code);
    const issues = error.details.issues as { path: string; message: string }[];
    expect(issues.map((issue) => issue.path)).toContain(place);
    const file = { ...before, providers: [...(before.providers ?? []), entry] };
    const refused = (await checkConfig(file, { directory: home }).catch(
      (thrown: unknown) => thrown,
    )) as BedrockError;
    expect(refused.details.issues).toEqual(issues);
    expect(daemon.config).toEqual(before);
  });
});

describe('a provider that is added', () => {
  it('is not seen before it runs, and then all of it is', async () => {
    gates.start.shut();
    const adding = daemon.addProvider(unruly('slow', { start: 'waits' }));
    await gates.start.arrivals(1);
    expect(names()).toEqual(['store', 'second', 'notes']);
    expect(daemon.config.providers).toHaveLength(3);
    expect(() => daemon.target('slow')).toThrow(expect.objectContaining({ code: 'PROVIDER_NOT_FOUND' }));
    gates.start.open();
    await adding;
    expect(daemon.target('slow').state).toBe('open');
  });

  it('may stand before others, which can depend on it then', async () => {
    await daemon.addProvider(memoryStore('third', 44), { before: 'notes' });
    expect(names()).toEqual(['store', 'second', 'third', 'notes']);
    await daemon.changeDependency('notes', 'store', 'third');
    expect(stores.get('notes')?.targets[0]).toBe(daemon.target('third'));
    expect(await codeOf(daemon.addProvider(memoryStore('x', 45), { before: 'nosuch' }))).toBe(
      'PROVIDER_NOT_FOUND',
    );
  });

  it.each(['create', 'start'])('leaves nothing behind if its %s throws anything', async (step) => {
    const before = [daemon.config, await metrics()];
    const values = [
      new Error('x'),
      undefined,
      null,
      'text',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no');
          },
        },
      ),
    ];
    for (const value of values) {
      thrown.value = value;
      expect(await codeOf(daemon.addProvider(unruly('bad', { [step]: 'throws' })))).toBe('START_FAILED');
      expect(names()).toEqual(['store', 'second', 'notes']);
    }
    expect(daemon.config).toEqual(before[0]);
    expect(await metrics()).not.toContain('unruly');
    expect(journal.filter((line) => line.endsWith('stopped'))).toHaveLength(
      step === 'start' ? values.length : 0,
    );
    await daemon.addProvider(unruly('bad'));
    expect(names()).toContain('bad');
  });

  it('is refused though it is optional, if it does not start', async () => {
    const entry = { ...unruly('bad', { start: 'throws' }), optional: true };
    expect(await codeOf(daemon.addProvider(entry))).toBe('START_FAILED');
    expect(names()).toEqual(['store', 'second', 'notes']);
  });

  it('and whose start never ends is given up after start_timeout_ms', async () => {
    await daemon.close();
    daemon = await start({ bedrock: { start_timeout_ms: 1000, drain_timeout_ms: 1 } });
    holdTimers('setTimeout');
    const adding = codeOf(daemon.addProvider(unruly('bad', { start: 'never', stop: 'never' })));
    expect(await passUntilSettled(adding)).toBe('START_FAILED');
    jest.useRealTimers();
    expect(names()).toEqual(['store', 'second', 'notes']);
  });

  it('is given up when the daemon stops, and what it has taken is closed', async () => {
    gates.start.shut();
    const adding = codeOf(daemon.addProvider(unruly('slow', { start: 'waits' })));
    const later = codeOf(daemon.removeProvider('second'));
    await gates.start.arrivals(1);
    const closing = daemon.close();
    expect(await adding).toBe('NOT_READY');
    expect(await later).toBe('NOT_READY');
    await closing;
    expect(journal).toContain('slow: stopped');
    expect(await codeOf(daemon.addProvider(unruly('late')))).toBe('NOT_READY');
  });
});

describe('a provider that is removed', () => {
  const url = (): string => daemon.address ?? '';

  it('ends the requests in flight first, and is not found by new ones', async () => {
    await daemon.addProvider(gatedStore('gated', 50));
    const id = await daemon.target('gated').createAndWrite(Buffer.from('contents'));
    gated.read.shut();
    const region = `${url()}/v1/providers/gated/regions/${id.toString()}`;
    const reading = fetch(region).then((answer) => answer.text());
    const [host = '', port = ''] = (daemon.config.bedrock?.resp?.address ?? '').split(':');
    const raw = await RawClient.connect({ host, port: Number(port) });
    raw.send('BLOB.READ', `gated/${id.toString()}`, 0, 8);
    await gated.read.arrivals(2);
    const removing = daemon.removeProvider('gated');
    await eventually(names, (found) => !found.includes('gated'));
    expect((await fetch(region)).status).toBe(404);
    expect(daemon.config.providers).toHaveLength(3);
    gated.read.open();
    expect(await reading).toBe('contents');
    expect(await raw.reply()).toBe('contents');
    await removing;
    expect(await raw.call('BLOB.READ', `gated/${id.toString()}`, 0, 8)).toMatchObject({
      message: expect.stringContaining('PROVIDER_NOT_FOUND'),
    });
    raw.socket.destroy();
    expect(await metrics()).not.toContain('"gated"');
  });

  it('waits for an upload that has begun, which becomes a region before', async () => {
    await daemon.addProvider(unruly('kept'));
    const [host = '', port = ''] = (daemon.config.bedrock?.resp?.address ?? '').split(':');
    const raw = await RawClient.connect({ host, port: Number(port) });
    expect(await raw.call('SELECT', 'kept')).toBe('OK');
    expect(await raw.call('BLOB.UPLOAD', 4)).toBe(1);
    const removing = daemon.removeProvider('kept');
    expect(await raw.call('BLOB.UPLOAD.PART', 1, 'four')).toBe('OK');
    expect(journal).not.toContain('kept: stop');
    expect(await raw.call('BLOB.UPLOAD.END', 1)).toMatch(/^[\da-f]{32}$/);
    await removing;
    expect(journal.at(-1)).toBe('kept: stopped');
    expect(await raw.call('DBSIZE')).toMatchObject({
      message: expect.stringContaining('PROVIDER_NOT_FOUND'),
    });
    // Under its name another one may come, which the connection finds.
    await daemon.addProvider(unruly('kept'));
    expect(await raw.call('DBSIZE')).toBe(0);
    raw.socket.destroy();
  });

  it('gives up an upload that does not go on, after drain_timeout_ms', async () => {
    await daemon.close();
    daemon = await start({ bedrock: { drain_timeout_ms: 50, resp: { address: '127.0.0.1:0' } } });
    await daemon.addProvider(unruly('kept'));
    const client = await service('resp');
    let part: ((bytes: Uint8Array) => void) | undefined;
    const never = new Promise<Uint8Array>((resolve) => (part = resolve));
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('h');
      yield await never;
    }
    const [host = '', port = ''] = (daemon.config.bedrock?.resp?.address ?? '').split(':');
    const raw = await RawClient.connect({ host, port: Number(port) });
    await raw.call('SELECT', 'kept');
    expect(await raw.call('BLOB.UPLOAD', 4)).toBe(1);
    const overHttp = connect(url()).then(async (http) => {
      services.push(http);
      return http.target('kept').createAndWrite({ size: 4, source: source() });
    });
    overHttp.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.removeProvider('kept');
    expect(journal.at(-1)).toBe('kept: stopped');
    expect(await raw.call('BLOB.UPLOAD.PART', 1, 'four')).toMatchObject({
      message: expect.stringContaining('PROVIDER_NOT_FOUND'),
    });
    part?.(Buffer.from('alf'));
    await expect(overHttp).rejects.toBeDefined();
    raw.socket.destroy();
  });

  it('is refused while others depend on it, and the answer names them', async () => {
    await expect(daemon.removeProvider('store')).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { users: ['provider "notes" (its dependency "store")'] },
    });
    expect(names()).toContain('store');
    await daemon.removeProvider('notes');
    await daemon.removeProvider(42);
    expect(names()).toEqual(['second']);
    expect(await codeOf(daemon.removeProvider('store'))).toBe('PROVIDER_NOT_FOUND');
  });

  it('is refused while it is being administered', async () => {
    changing.shut();
    const change = daemon.changeDependency('notes', 'store', 'second');
    await changing.arrivals(1);
    const removing = codeOf(daemon.removeProvider('notes'));
    changing.open();
    await change;
    // The change was made first, since changes have turns.
    expect(await removing).toBe('CONFLICT');
    await daemon.removeProvider('notes');
  });

  it('holds up no other change when it never takes a dependency', async () => {
    await daemon.close();
    daemon = await start({ bedrock: { start_timeout_ms: 1000, drain_timeout_ms: 1 } });
    changing.shut();
    holdTimers('setTimeout');
    const change = codeOf(daemon.changeDependency('notes', 'store', 'second'));
    const adding = codeOf(daemon.addProvider(unruly('next')));
    expect(await passUntilSettled(change)).toBe('TIMEOUT');
    jest.useRealTimers();
    expect(await adding).toBe('done');
    const { providers = [] } = daemon.config;
    expect(providers.find(({ name }) => name === 'notes')?.dependencies).toEqual({ store: 'store' });
  });

  it('is gone though its stop fails or never ends, which is told', async () => {
    await daemon.close();
    daemon = await start({ bedrock: { drain_timeout_ms: 1 } });
    for (const stop of ['throws', 'never']) {
      await daemon.addProvider(unruly('bad', { stop }));
      holdTimers('setTimeout');
      expect(await passUntilSettled(codeOf(daemon.removeProvider('bad')))).toBe('INTERNAL');
      jest.useRealTimers();
      expect(names()).not.toContain('bad');
      expect(await metrics()).not.toContain('unruly');
    }
    await daemon.addProvider(unruly('bad'));
  });
});

describe('changes that come at once', () => {
  it('are made one after another, in their order', async () => {
    gates.start.shut();
    const adding = daemon.addProvider(unruly('x', { start: 'waits' }));
    const again = codeOf(daemon.addProvider(unruly('x')));
    const removing = daemon.removeProvider('x').catch((error: unknown) => error);
    await gates.start.arrivals(1);
    gates.start.open();
    expect((await adding).name).toBe('x');
    expect(await again).toBe('CONFIG_INVALID');
    expect(await removing).toBeUndefined();
    expect(names()).toEqual(['store', 'second', 'notes']);
  });

  it('never leave a dependant of a provider that is removed', async () => {
    const [added, removed] = await Promise.all([
      codeOf(daemon.addProvider({ ...unruly('x'), dependencies: { store: 'second' } })),
      codeOf(daemon.removeProvider('second')),
    ]);
    expect([added, removed]).toEqual(['done', 'CONFLICT']);
    const [gone, late] = await Promise.all([
      codeOf(daemon.removeProvider('x')),
      codeOf(daemon.addProvider({ ...unruly('y'), dependencies: { store: 'x' } })),
    ]);
    expect([gone, late]).toEqual(['done', 'DEPENDENCY_UNRESOLVED']);
  });
});

describe('a dependency', () => {
  it.each<[string, object, string]>([
    ['one that cannot change', { dependencies: { fixed: 'second' } }, 'NOT_SUPPORTED'],
    ['an unknown one', { dependencies: { nosuch: 'second' } }, 'DEPENDENCY_UNRESOLVED'],
    ['a pool that is not there', { pool: 'nosuch' }, 'CONFIG_INVALID'],
    [
      'a good one and a wrong one',
      { pool: '__primary__', dependencies: { store: 'nosuch' } },
      'DEPENDENCY_UNRESOLVED',
    ],
  ])('is changed with everything else, or nothing is: %s', async (_what, change, code) => {
    const before = daemon.config;
    expect(await codeOf(daemon.changeProvider('notes', change))).toBe(code);
    expect(daemon.config).toEqual(before);
  });
});

describe('a library', () => {
  it.each(['same-type', 'alias-clash', 'module-throws'])(
    'that is refused brings nothing: %s',
    async (name) => {
      // Two of them bring what this one brings too.
      await daemon.loadLibrary(ofFolder('backend'));
      const before = daemon.config;
      expect(await codeOf(daemon.loadLibrary(ofFolder(name)))).toBe('LIBRARY_LOAD_FAILED');
      expect(daemon.config).toEqual(before);
      expect(await codeOf(daemon.loadLibrary(ofFolder('provider')))).toBe('done');
    },
  );

  it('whose provider cannot be used has what it made stopped', async () => {
    const [file, stopped] = [path.join(home, 'half.mjs'), path.join(home, 'stopped')];
    await writeFile(
      file,
      `import { writeFile } from 'node:fs/promises';
      export default { kind: 'provider', apiVersion: 1, type: 'half', schema: {}, create: () => ({
        targets: [{}], start: async () => {}, stop: () => writeFile(${JSON.stringify(stopped)}, 'yes') }) };`,
    );
    await daemon.loadLibrary('./half.mjs');
    expect(await codeOf(daemon.addProvider({ type: 'half' }))).toBe('START_FAILED');
    await eventually(
      () => readFile(stopped, 'utf8').catch(() => ''),
      (text) => text === 'yes',
    );
  });

  it('that registers a type twice brings none of its types', async () => {
    const file = path.join(home, 'twice.mjs');
    const one = (type: string): string =>
      `{ kind: 'provider', apiVersion: 1, type: '${type}', schema: {}, create: () => ({ targets: [], start: async () => {}, stop: async () => {} }) }`;
    await writeFile(file, `export default [${one('once')}, ${one('double')}, ${one('double')}];`);
    expect(await codeOf(daemon.loadLibrary('./twice.mjs'))).toBe('LIBRARY_LOAD_FAILED');
    for (const type of ['once', 'double'])
      expect(await codeOf(daemon.addProvider({ type }))).toBe('CONFIG_INVALID');
  });
});

describe('the running configuration', () => {
  it('refers to execution pools by their names, as positions move', async () => {
    await daemon.close();
    const pools = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
    daemon = await start({
      margo: {
        argobots: { pools, xstreams: [{ scheduler: { pools: [0, 1] } }] },
        rpc_pool: 1,
        progress_pool: 1,
      },
      providers: [{ ...memoryStore('store', 42), pool: 2 }],
      mona: [{ name: 'm', pool: 2, address: 'na+sm' }],
    });
    await expect(daemon.removeExecutionPool('b')).rejects.toMatchObject({
      details: {
        users: ['execution stream "__xstream_0__"', 'margo.rpc_pool', 'margo.progress_pool'],
      },
    });
    await expect(daemon.removeExecutionPool('c')).rejects.toMatchObject({
      details: { users: ['provider "store"', 'MoNA instance "m"'] },
    });
    await daemon.removeExecutionStream('__xstream_0__');
    await daemon.removeExecutionPool('a');
    const { config } = daemon;
    expect(config.margo).toMatchObject({ rpc_pool: 'b', progress_pool: 'b' });
    expect(config.providers?.[0]?.pool).toBe('c');
    expect(await codeOf(daemon.removeExecutionPool('__primary__'))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(daemon.removeExecutionPool('a'))).toBe('NOT_FOUND');
  });
});
