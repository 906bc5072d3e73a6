/** What a provider's type can bring beside targets: routes, metrics, settings of now, snapshots, dependencies that change. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { type BedrockConfig, connect, type Daemon, type ProviderDependency } from '../../core/index.js';
import { changing, journal, left, migration, stores } from '../fixtures/notes-library.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { holdTimers, passUntilSettled } from '../fixtures/held-time.js';
import {
  type Answer,
  closeDaemons,
  expectProblem,
  memoryStore,
  RunningDaemon,
} from '../http/running-daemon.js';
import { eventually } from '../resp/running-door.js';

const LIBRARIES = ['notes-library.ts', 'gated-library.ts'].map((file) =>
  path.resolve(import.meta.dirname, '../fixtures', file),
);
const HTTP = { margo: { mercury: { address: 'http://127.0.0.1:0' } } };

type Providers = NonNullable<BedrockConfig['providers']>;

let home: string;
let log: RecordingLogger;
let daemon: RunningDaemon;
const opened: Daemon[] = [];

async function launch(providers: Providers, options: object = {}): Promise<Daemon> {
  log = recordingLogger();
  const config = { ...HTTP, libraries: LIBRARIES, providers };
  const started = await bootstrap(config, { logger: log.logger, directory: home, ...options });
  opened.push(started);
  return started;
}

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-provider-'));
  const notes = {
    name: 'notes',
    type: 'notes',
    provider_id: 7,
    tags: ['a', 'b'],
    dependencies: { store: 'store' },
  };
  const bare = { name: 'bare', type: 'gated_service' };
  daemon = new RunningDaemon(
    await launch([
      memoryStore('store', 42),
      memoryStore('second', 43),
      notes,
      memoryStore('later', 44),
      bare,
    ]),
  );
});
afterAll(async () => {
  await daemon.close();
  await Promise.all(opened.map((one) => one.close()));
  await closeDaemons();
  await rm(home, { recursive: true });
});

function put(place: string, body: unknown, type = 'application/json'): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return daemon.call('PUT', `/v1/providers/notes${place}`, { body: text, headers: { 'content-type': type } });
}
const get = (place: string): Promise<Answer> => daemon.call('GET', `/v1/providers/notes${place}`);

describe('a route of a provider', () => {
  it('is served by the name and by the id of the provider', async () => {
    const made = await put('/notes/n', { text: 'a note' });
    expect([made.status, made.json(), made.headers.location]).toEqual([201, { name: 'n' }, '/notes/n']);
    expect((await put('/notes/n', { text: 'another' })).status).toBe(200);
    const answer = await daemon.call('GET', '/v1/providers/7/notes/n');
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    expect(answer.bytes.toString()).toBe('another');
    expect((await daemon.call('HEAD', '/v1/providers/notes/notes/n')).headers['content-length']).toBe('7');
  });

  it('gets the names of its path decoded, each step by itself', async () => {
    await put('/notes/a%2Fb%20c', { text: 'x' });
    expect((await get('/notes?prefix=a%2F')).json()).toEqual({ notes: ['a/b c'] });
    expect((await get('/notes/a%2fb%20c')).status).toBe(200);
    expectProblem(await get('/notes/a/b%20c'), 404, 'ROUTE_NOT_FOUND');
  });

  it('with a word goes before one that takes anything', async () => {
    await put('/notes/last', { text: 'the last' });
    expect((await get('/notes/last')).json()).toBe('the last');
  });

  it('gets no body that its schema refuses, and defaults for what is left out', async () => {
    for (const body of [
      {},
      { text: 1 },
      { text: '' },
      { text: 'x', more: 1 },
      [],
      'null',
      '{',
      '{"__proto__": 1}',
      '',
    ])
      expectProblem(await put('/notes/bad', body), 400, 'INVALID_ARGUMENT');
    expectProblem(await put('/notes/bad', { text: 'x' }, 'text/plain'), 415, 'UNSUPPORTED_MEDIA_TYPE');
    expectProblem(await get('/notes/bad'), 404, 'NOT_FOUND');
    await put('/notes/shout', { text: 'hey' });
    const appended = await daemon.call('POST', '/v1/providers/notes/notes/shout/append');
    expect([appended.status, appended.bytes.length]).toEqual([204, 0]);
    expect((await get('/notes/shout')).bytes.toString()).toBe('hey!');
  });

  it('refuses a JSON body beyond the limit, and any body where it takes none', async () => {
    expectProblem(await put('/notes/long', { text: 'x'.repeat(2 ** 20) }), 413, 'BODY_TOO_LARGE');
    expectProblem(
      await daemon.call('GET', '/v1/providers/notes/notes', { body: 'x' }),
      400,
      'INVALID_ARGUMENT',
    );
  });

  it('refuses query parameters that it does not know', async () => {
    expectProblem(await get('/notes?nosuch=1'), 400, 'INVALID_ARGUMENT');
    expectProblem(await get('/notes?prefix=a&prefix=b'), 400, 'INVALID_ARGUMENT');
    expectProblem(await get('/notes/n?prefix=a'), 400, 'INVALID_ARGUMENT');
  });

  it('takes and gives bytes in pieces', async () => {
    const sent = await put('/scroll', 'x'.repeat(3_000_000), 'text/whatever');
    expect(sent.json()).toEqual({ announced: 3_000_000, bytes: 3_000_000, hasPieces: true });
    expect((await get('/scroll')).bytes.toString()).toBe('one two');
  });

  it('keeps no place for a body that its route has left, and tells the route that nothing more comes of it', async () => {
    expect((await put('/scroll/first', 'bytes', 'text/whatever')).json()).toEqual({ done: false });
    const figures = (): Promise<string> =>
      daemon.call('GET', '/metrics').then(({ bytes }) => bytes.toString());
    const isFree = (text: string): boolean =>
      text.includes('bedrock_execution_pool_in_flight{execution_pool="__primary__"} 0');
    await eventually(figures, isFree);
    await expect(left?.next()).rejects.toThrow();
  });

  it('answers other methods with 405 and those that are allowed, other paths with 404', async () => {
    const answer = await daemon.call('DELETE', '/v1/providers/notes/notes/n');
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
    expect(String(answer.headers.allow).split(', ').sort()).toEqual(['GET', 'HEAD', 'OPTIONS', 'PUT']);
    expect((await daemon.call('OPTIONS', '/v1/providers/notes/scroll')).status).toBe(204);
    for (const place of ['/', '/nosuch', '/notes/', '/notes/n/', '/regions/x/y'])
      expectProblem(await get(place), 404, 'ROUTE_NOT_FOUND');
    expectProblem(await daemon.call('GET', '/v1/providers/store/notes'), 404, 'ROUTE_NOT_FOUND');
  });

  it('keeps what went wrong to the log', async () => {
    const answer = await get('/broken');
    expectProblem(answer, 500, 'INTERNAL');
    expect(answer.bytes.toString()).not.toContain('secret');
    expect(log.entries.some(({ message }) => message.includes('secret'))).toBe(true);
  });

  it('stands in the OpenAPI document under the name of its provider', async () => {
    const { paths } = (await daemon.call('GET', '/openapi.json')).json() as {
      paths: Record<string, Record<string, { summary: string; requestBody?: { required: boolean } }>>;
    };
    expect(paths['/v1/providers/notes/notes/{name}']).toMatchObject({
      get: { summary: 'A note', tags: ['notes'] },
      put: { requestBody: { required: true } },
    });
    expect(paths['/v1/providers/notes/notes/{name}/append']?.post?.requestBody?.required).toBe(false);
  });

  it('goes through the execution pool of its provider', async () => {
    const busy = await launch([
      { name: 'busy', type: 'notes', dependencies: { pool: '__primary__' } },
    ] as Providers);
    expect((await fetch(`${String(busy.address)}/v1/providers/busy/notes`)).status).toBe(200);
    const metrics = await (await fetch(`${String(busy.address)}/metrics`)).text();
    expect(metrics).toContain('bedrock_execution_pool_in_flight{execution_pool="__primary__"} 0');
  });

  it.each(['reserved', 'twice', 'shape'])('that is wrong (%s) ends the start', async (wrong) => {
    const failed = launch([{ name: 'wrong', type: 'notes', config: { wrong } }], { listen: false });
    await expect(failed).rejects.toMatchObject({ code: 'START_FAILED', cause: { code: 'START_FAILED' } });
    expect(journal.get('wrong')).toEqual(['stop tags=']);
  });

  it('is reached by connect', async () => {
    const service = await connect(daemon.url);
    const notes = service.provider('notes');
    expect([notes.type, notes.providerId, notes.tags, notes.targets]).toEqual(['notes', 7, ['a', 'b'], []]);
    await notes.request({ method: 'PUT', path: '/notes/far', json: { text: 'far' } });
    await expect(notes.request({ method: 'GET', path: '/notes', query: { prefix: 'far' } })).resolves.toEqual(
      {
        notes: ['far'],
      },
    );
    expect(
      Buffer.from(await notes.request<Uint8Array>({ method: 'GET', path: '/notes/far' })).toString(),
    ).toBe('far');
    await expect(notes.request({ method: 'GET', path: '/notes/none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await service.close();
  });
});

describe('metrics of a provider', () => {
  it('bear its name, and are shared by those of a type', async () => {
    const both = await launch([
      { name: 'one', type: 'notes' },
      { name: 'two', type: 'notes' },
    ]);
    for (const name of ['one', 'two', 'two']) {
      await fetch(`${String(both.address)}/v1/providers/${name}/notes/${name}/append`, { method: 'POST' });
    }
    const text = await (await fetch(`${String(both.address)}/metrics`)).text();
    expect(text).toContain('notes_taken_total{kind="text",provider="one"} 1');
    expect(text).toContain('notes_taken_total{kind="text",provider="two"} 2');
    expect(text).toContain('notes_kept{provider="two"} 1');
    expect(text).toContain('notes_length_bucket{le="10",provider="two"} 2');
  });
});

describe('the running configuration', () => {
  it('has the settings that a provider says it has', () => {
    expect(daemon.daemon.config.providers?.[2]?.config).toEqual({ greeting: 'hello, again' });
  });
});

describe('snapshot, restore and migrate', () => {
  const post = (name: string, what: string, body: unknown): Promise<Answer> =>
    daemon.call('POST', `/v1/providers/${name}/${what}`, {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });

  it('are carried out by a provider that has them', async () => {
    await put('/notes/saved', { text: 'saved' });
    const body = { path: 'kept/here', options: { deep: true }, removeSource: true };
    expect((await post('notes', 'snapshot', body)).status).toBe(204);
    expect(journal.get('notes')?.at(-1)).toBe('snapshot {"deep":true} true');
    expect((await get('/notes')).json()).toEqual({ notes: [] });
    expect((await post('notes', 'restore', { path: path.join(home, 'kept/here') })).status).toBe(204);
    expect((await get('/notes/saved')).bytes.toString()).toBe('saved');
    await daemon.daemon.snapshot('notes', { path: 'kept/again' });
    await daemon.daemon.restore(7, { path: 'kept/again' });
    const address = 'http://other:7480';
    expect((await post('notes', 'migrate', { address, provider: 3 })).status).toBe(204);
    expect(migration).toEqual({ address, provider: 3, options: {}, removeSource: false });
  });

  it('are NOT_SUPPORTED by one that has not', async () => {
    expectProblem(await post('bare', 'snapshot', { path: 'x' }), 501, 'NOT_SUPPORTED');
    expectProblem(await post('bare', 'restore', { path: 'x' }), 501, 'NOT_SUPPORTED');
    expectProblem(
      await post('bare', 'migrate', { address: 'http://x', provider: 'y' }),
      501,
      'NOT_SUPPORTED',
    );
    await expect(daemon.daemon.snapshot('bare', { path: 'x' })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    });
    const service = await connect(daemon.url);
    await expect(service.provider('bare').snapshot({ path: 'x' })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    });
    await service.close();
  });

  it('need a body that says where', async () => {
    for (const body of [undefined, {}, { path: 1 }, { path: '' }, { path: 'x', more: 1 }, null])
      expectProblem(await post('notes', 'snapshot', body ?? null), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('POST', '/v1/providers/notes/restore'), 400, 'INVALID_ARGUMENT');
    expectProblem(await post('notes', 'migrate', { address: 'x' }), 400, 'INVALID_ARGUMENT');
    expectProblem(await post('nosuch', 'snapshot', { path: 'x' }), 404, 'PROVIDER_NOT_FOUND');
  });
});

describe('a dependency that is changed', () => {
  it('reaches the provider, and shows in the running configuration', async () => {
    await daemon.daemon.changeDependency('notes', 'store', 'warabi:43');
    expect(stores.get('notes')?.targets[0]).toBe(daemon.daemon.target('second'));
    expect(daemon.daemon.config.providers?.[2]?.dependencies).toEqual({ store: 'warabi:43' });
  });

  it.each([
    ['notes', 'nosuch', 'store', 'DEPENDENCY_UNRESOLVED'],
    ['notes', 'store', 'nosuch', 'DEPENDENCY_UNRESOLVED'],
    ['notes', 'store', 'later', 'DEPENDENCY_UNRESOLVED'],
    ['notes', 'store', 'notes', 'DEPENDENCY_UNRESOLVED'],
    ['notes', 'store', 'x@http://127.0.0.1:1', 'DEPENDENCY_UNRESOLVED'],
    ['notes', 'fixed', 'store', 'NOT_SUPPORTED'],
    ['store', 'x', 'second', 'NOT_SUPPORTED'],
    ['nosuch', 'x', 'second', 'PROVIDER_NOT_FOUND'],
  ])('of %s, %s to %s, is refused with %s', async (provider, name, reference, code) => {
    await expect(daemon.daemon.changeDependency(provider, name, reference)).rejects.toMatchObject({ code });
  });

  it('is refused as a list where one is meant', async () => {
    await expect(daemon.daemon.changeDependency('notes', 'store', ['store'])).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
    });
  });
});

describe('a provider of another daemon', () => {
  const remote = (reference: string): Providers => [
    { name: 'easy', type: 'notes', dependencies: { many: [reference] } },
  ];
  const needing = (reference: string): Providers => [
    { name: 'needy', type: 'notes', dependencies: { store: reference } },
  ];

  it('is a dependency like any other, by name or by type and id', async () => {
    for (const reference of [`store@${daemon.url}`, `warabi:42@${daemon.url}`]) {
      const other = await launch(needing(reference), { listen: false });
      const store = stores.get('needy') as ProviderDependency;
      expect('url' in store && store.url).toBe(daemon.url);
      const id = await store.targets[0]?.createAndWrite(Buffer.from('afar'));
      if (id === undefined) throw new Error('no target');
      expect(Buffer.from(await daemon.daemon.target('store').read(id, 0, 4)).toString()).toBe('afar');
      await other.close();
      await expect(store.targets[0]?.stat(id)).rejects.toBeDefined();
    }
  });

  it('can take the place of a dependency at run time', async () => {
    const other = await launch([memoryStore('mine', 1), ...needing('mine')], { listen: false });
    await other.changeDependency('needy', 'store', `second@${daemon.url}`);
    const store = stores.get('needy') as ProviderDependency;
    expect((await store.targets[0]?.stats())?.state).toBe('open');
    await other.changeDependency('needy', 'store', 'mine');
    await expect(store.targets[0]?.stats()).rejects.toBeDefined();
  });

  it('is left behind with a call that never ends, when it is no longer used', async () => {
    const other = await launch([memoryStore('mine', 1), ...needing(`second@${daemon.url}`)], {
      listen: false,
    });
    const store = stores.get('needy') as ProviderDependency;
    let fail!: (error: Error) => void;
    const begun = new Promise<void>((begin) => {
      const never = new Promise<Uint8Array>((_, reject) => (fail = reject));
      async function* source(): AsyncGenerator<Uint8Array> {
        begin();
        yield await never;
      }
      store.targets[0]?.createAndWrite({ size: 1, source: source() }).catch(() => undefined);
    });
    await begun;
    holdTimers('setTimeout');
    const changing = other.changeDependency('needy', 'store', 'mine');
    await passUntilSettled(changing).finally(() => jest.useRealTimers());
    expect(other.config.providers?.[1]?.dependencies).toEqual({ store: 'mine' });
    const warnings = log.entries.filter(({ level }) => level === 'warning');
    expect(warnings).toEqual([
      expect.objectContaining({ message: expect.stringContaining('are abandoned') }),
    ]);
    // Others get their turn.
    await other.changeDependency('needy', 'store', 'mine');
    fail(new Error('over'));
    await other.close();
  });

  it('is closed, and refused as NOT_READY, if the provider is stopped before it has taken it', async () => {
    const providers = [memoryStore('mine', 1), ...needing('mine')];
    const config = { libraries: LIBRARIES, providers, bedrock: { drain_timeout_ms: 1 } };
    const other = await bootstrap(config, { listen: false, logLevel: 'off', directory: home });
    changing.shut();
    const changed = other.changeDependency('needy', 'store', `second@${daemon.url}`);
    await changing.arrivals(1);
    holdTimers('setTimeout');
    await passUntilSettled(other.close()).finally(() => jest.useRealTimers());
    changing.open();
    await expect(changed).rejects.toMatchObject({ code: 'NOT_READY' });
    const store = stores.get('needy') as ProviderDependency;
    await expect(store.targets[0]?.stats()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('that is not there leaves a dependant without it that can do without, and says so', async () => {
    const references = ['store@http://127.0.0.1:1', `nosuch@${daemon.url}`, `notes@${daemon.url}`];
    for (const reference of references) {
      const other = await launch(remote(reference), { listen: false });
      expect(log.entries.filter(({ level }) => level === 'warning')).toHaveLength(1);
      await other.close();
    }
    await expect(launch(remote('store:9@http://127.0.0.1:1'))).rejects.toMatchObject({
      code: 'DEPENDENCY_UNRESOLVED',
    });
  });
});
