/** Long-running work: begun, watched and cancelled, over HTTP, over the Redis protocol, by the client and in-process. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { connect, type Daemon, type OperationStatus, type Service } from '../../core/index.js';
import { runHere as run } from '../fixtures/run-here.js';
import { asked, slow } from '../fixtures/slow-library.js';
import { codeOf as replyCode, type RawClient } from '../resp/raw-client.js';
import { closeDoors, RunningDoor } from '../resp/running-door.js';

const LIBRARY = path.resolve(import.meta.dirname, '../fixtures/slow-library.ts');
const PROVIDERS = [
  { name: 'slow', type: 'slow', provider_id: 5 },
  { name: 'other', type: 'slow', provider_id: 6 },
  { name: 'store', type: 'warabi', provider_id: 7, config: { target: { type: 'memory', config: {} } } },
];

let door: RunningDoor;
let daemon: Daemon;
let url: string;
let service: Service;
let client: RawClient;

beforeAll(async () => {
  door = await RunningDoor.start({ libraries: [LIBRARY], providers: PROVIDERS });
  ({ daemon } = door);
  url = String(daemon.address);
  service = await connect(url);
  client = await door.client();
});
beforeEach(() => slow.shut());
afterEach(async () => {
  slow.open();
  for (const { id, state } of daemon.operations) if (state === 'running') await service.operation(id).ended();
});
afterAll(async () => {
  await service.close();
  await closeDoors();
});

function post(
  what: string,
  { body = { path: '/x' }, headers = {} }: { body?: object; headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(`${url}/v1/providers/${what}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
}

async function statusOf(answer: Response): Promise<OperationStatus> {
  return (await answer.json()) as OperationStatus;
}

describe('a snapshot, restore or migration', () => {
  it('is answered when it is done', async () => {
    slow.open();
    const answer = await post('slow/snapshot');
    expect([answer.status, await answer.text()]).toEqual([204, '']);
    expect(asked.at(-1)).toBe('snapshot /x');
  });

  it.each([
    ['slow/snapshot', { headers: { Prefer: 'wait=5, Respond-Async' } }],
    ['slow/restore?wait=false', {}],
    ['slow/migrate?wait=false', { body: { address: 'http://x', provider: 1 } }],
  ])('is answered at once with its place, if it is asked for by %s', async (what, options) => {
    const answer = await post(what, options);
    const status = await statusOf(answer);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/operations/${status.id}`);
    expect(answer.headers.get('preference-applied')).toBe('headers' in options ? 'respond-async' : null);
    expect(status).toMatchObject({ type: /slow\/(\w+)/.exec(what)?.[1], provider: 'slow', state: 'running' });
    slow.open();
    await service.operation(status.id).done();
  });

  it('tells how far it is, and in the end its result, within bounds', async () => {
    const operation = await service
      .provider('slow')
      .begin('snapshot', { path: '/y', options: { huge: true } });
    await slow.arrivals(1);
    const begun = await operation.status();
    expect(begun).toMatchObject({
      state: 'running',
      doneBytes: 1,
      totalBytes: 4,
      doneRegions: 1,
      totalRegions: 2,
    });
    expect(begun).not.toHaveProperty('others');
    expect(begun).not.toHaveProperty('endedAt');
    slow.open();
    const seen: OperationStatus[] = [];
    const done = await operation.done({ onProgress: (status) => seen.push(status) });
    expect(done).toMatchObject({
      state: 'done',
      doneBytes: 4,
      doneRegions: 2,
      result: { folder: 'snapshot /y' },
    });
    expect(done.endedAt).toBeGreaterThanOrEqual(done.startedAt);
    expect(JSON.stringify(done).length).toBeLessThan(10_000);
    expect(seen.at(-1)).toEqual(done);
    expect(daemon.operations[0]).toEqual(done);
  });

  it('has no result if the provider tells of none', async () => {
    slow.open();
    const done = await service.provider('slow').snapshot({ path: '/x', options: { silent: true } });
    expect(done).not.toHaveProperty('result');
  });

  it('is refused with CONFLICT while another one runs on the provider, which is named; so is a change', async () => {
    const { id } = await statusOf(await post('slow/snapshot?wait=false'));
    const refusal = expect.objectContaining({
      code: 'CONFLICT',
      details: { operation: id, type: 'snapshot' },
    }) as unknown;
    const refused = await post('slow/restore');
    expect([refused.status, await refused.json()]).toEqual([409, refusal]);
    await expect(daemon.migrate('slow', { address: 'x', provider: 1 })).rejects.toEqual(refusal);
    await expect(daemon.changeDependency('slow', 'store', 'store')).rejects.toEqual(refusal);
    // Other providers are not concerned.
    const other = await service.provider('other').begin('snapshot', { path: '/z' });
    slow.open();
    await other.done();
    await service.operation(id).done();
    await daemon.snapshot('slow', { path: '/x' });
  });

  it('that fails is answered with its error, which the operation keeps', async () => {
    slow.open();
    const failed = service.provider('slow').snapshot({ path: '/x', options: { fails: true } });
    await expect(failed).rejects.toMatchObject({ code: 'OUT_OF_SPACE', details: { free: 1 } });
    expect(daemon.operations[0]).toMatchObject({
      state: 'failed',
      error: { code: 'OUT_OF_SPACE', message: 'no space', details: { free: 1 } },
    });
    expect((await post('slow/snapshot', { body: { path: '/x', options: { fails: true } } })).status).toBe(
      507,
    );
  });

  it('begins over the Redis protocol as well, by the same checks, and is answered at once', async () => {
    const begun = await client.call('BEDROCK.SNAPSHOT', '5', '{"path": "sub/x", "options": {}}');
    const { id, ...status } = JSON.parse(begun as string) as OperationStatus;
    expect(status).toMatchObject({ type: 'snapshot', provider: 'slow', state: 'running' });
    expect(replyCode(await client.call('BEDROCK.RESTORE', 'slow', '{"path": "/x"}'))).toBe('CONFLICT');
    slow.open();
    await service.operation(id).done();
    // Relative to the folder of the configuration.
    expect(asked.at(-1)).toBe(`snapshot ${path.resolve('sub/x')}`);
    const refusals = [
      ['SNAPSHOT', 'nosuch', '{"path": "/x"}'],
      ['SNAPSHOT', 'slow', '{"path": ""}'],
      ['RESTORE', 'slow', '{"path": "/x", "removeSource": true}'],
      ['RESTORE', 'slow', '["/x"]'],
      ['MIGRATE', 'slow', '{"address": "http://x", "__proto__": {}}'],
    ];
    const codes: unknown[] = [];
    for (const [name = '', ...args] of refusals)
      codes.push(replyCode(await client.call(`BEDROCK.${name}`, ...args)));
    expect(codes).toEqual(['PROVIDER_NOT_FOUND', ...Array<string>(4).fill('INVALID_ARGUMENT')]);
  });

  it('is made by a client of the Redis protocol, and goes on if that goes away', async () => {
    const overRedis = await connect(`resp://127.0.0.1:${door.port}`);
    const { id } = await overRedis.provider('slow').begin('migrate', { address: 'http://x', provider: 1 });
    await expect(overRedis.provider('slow').begin('shutdown', {})).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
    });
    await overRedis.close();
    expect((await service.operation(id).status()).state).toBe('running');
    slow.open();
    await service.operation(id).done();
    const again = await connect(`resp://127.0.0.1:${door.port}`);
    expect(await again.provider('slow').snapshot({ path: '/x' })).toMatchObject({ state: 'done' });
    await again.close();
  });
});

describe('the cancellation of an operation', () => {
  it('ends it, and whoever waits for it gets ABORTED', async () => {
    const waiting = post('slow/snapshot');
    await slow.arrivals(1);
    const id = String(daemon.operations[0]?.id);
    const cancelled = await fetch(`${url}/v1/operations/${id}`, { method: 'DELETE' });
    expect([cancelled.status, (await statusOf(cancelled)).id]).toEqual([202, id]);
    expect(await service.operation(id).ended()).toMatchObject({
      state: 'cancelled',
      error: { code: 'ABORTED' },
    });
    expect((await waiting).status).toBe(499);
    expect((await fetch(`${url}/v1/operations/${id}`, { method: 'DELETE' })).status).toBe(204);
    await expect(service.operation(id).done()).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('comes to nothing if the provider is done nevertheless', async () => {
    const operation = await service
      .provider('slow')
      .begin('snapshot', { path: '/x', options: { ignores: true } });
    await slow.arrivals(1);
    await operation.cancel();
    expect((await operation.status()).state).toBe('running');
    slow.open();
    expect((await operation.ended()).state).toBe('done');
  });

  it.each([
    ['in-process', (signal: AbortSignal) => daemon.snapshot('slow', { path: '/x' }, { signal })],
    ['by the client', (signal: AbortSignal) => service.provider('slow').snapshot({ path: '/x' }, { signal })],
  ])('comes by the signal of the call, %s', async (_, call) => {
    const controller = new AbortController();
    const waiting = call(controller.signal);
    await slow.arrivals(1);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await service.operation(String(daemon.operations[0]?.id)).ended()).state).toBe('cancelled');
  });

  it('comes by the time-out of the call', async () => {
    const waiting = service.provider('slow').snapshot({ path: '/x' }, { timeoutMs: 200 });
    await expect(waiting).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect((await service.operation(String(daemon.operations[0]?.id)).ended()).state).toBe('cancelled');
  });

  it('by a signal that is aborted already begins nothing', async () => {
    const before = daemon.operations.length;
    await expect(
      daemon.snapshot('slow', { path: '/x' }, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(daemon.operations).toHaveLength(before);
  });

  it('ends one that waits for a change of the provider, which then never begins', async () => {
    const before = asked.length;
    // Refused in the end, as `store` is defined later; its turn comes first nevertheless.
    const change = daemon.changeDependency('slow', 'store', 'store').catch((error: unknown) => error);
    const aborting = new AbortController();
    const waiting = daemon.snapshot('slow', { path: '/x' }, { signal: aborting.signal });
    aborting.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    await change;
    expect(daemon.operations[0]?.state).toBe('cancelled');
    expect(asked).toHaveLength(before);
  });

  it('is part of the stop of the daemon', async () => {
    const config = { libraries: [LIBRARY], providers: PROVIDERS };
    const stopping = await bootstrap(config, { address: 'http://127.0.0.1:0', logLevel: 'off' });
    const there = `${String(stopping.address)}/v1/providers/slow/snapshot`;
    const headers = { 'content-type': 'application/json' };
    const waiting = fetch(there, { method: 'POST', body: '{"path": "/x"}', headers });
    await slow.arrivals(1);
    await stopping.close();
    expect((await waiting).status).toBe(503);
    expect(stopping.operations).toMatchObject([{ state: 'cancelled', error: { code: 'NOT_READY' } }]);
    expect(await stopping.closed).toBe(true);
  });
});

describe('the operations of a daemon', () => {
  it('are listed with the newest first, and the last 100 that ended are kept', async () => {
    slow.open();
    for (let made = 0; made < 101; made++) await daemon.snapshot('slow', { path: `/${made}` });
    slow.shut();
    const running = await service.provider('other').begin('restore', { path: '/x' });
    const { operations } = (await (await fetch(`${url}/v1/operations`)).json()) as {
      operations: OperationStatus[];
    };
    expect(operations).toHaveLength(101);
    expect(operations[0]).toMatchObject({ id: running.id, state: 'running' });
    expect(operations.at(-1)?.result).toMatchObject({ folder: 'snapshot /1' });
  });

  it('are told over the Redis protocol as over HTTP, and cancelled', async () => {
    const { id } = await service.provider('slow').begin('snapshot', { path: '/x' });
    await slow.arrivals(1);
    const told = async (...command: string[]): Promise<unknown> =>
      JSON.parse((await client.call(...command)) as string);
    expect(await told('BEDROCK.OPERATIONS')).toEqual({ operations: await service.operations() });
    expect(await told('BEDROCK.OPERATIONS', id)).toEqual(await service.operation(id).status());
    expect(await client.call('BEDROCK.CANCEL', id)).toBe('OK');
    const overRedis = await connect(`resp://127.0.0.1:${door.port}`);
    expect((await overRedis.operation(id).ended()).state).toBe('cancelled');
    await overRedis.operation(id).cancel();
    expect(await overRedis.operations()).toEqual(await service.operations());
    await overRedis.close();
  });

  it.each(['nosuch', '__proto__', ''])('that are not known are NOT_FOUND: %j', async (id) => {
    if (id !== '') {
      await expect(service.operation(id).status()).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(service.operation(id).cancel()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    expect(replyCode(await client.call('BEDROCK.OPERATIONS', id))).toBe('NOT_FOUND');
    expect(replyCode(await client.call('BEDROCK.CANCEL', id))).toBe('NOT_FOUND');
    expect(() => daemon.cancelOperation(id)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });
});

describe('bedrock operations', () => {
  const env = (): NodeJS.ProcessEnv => ({ BEDROCK_ADDRESS: url });

  it('lists, shows and cancels them', async () => {
    const { id } = await service.provider('slow').begin('snapshot', { path: '/x' });
    await slow.arrivals(1);
    const listed = await run(['operations', 'ls'], { env: env() });
    expect(listed.stdout.split('\n')[1]).toMatch(
      new RegExp(`^${id} +snapshot +slow +running +\\S+Z +25% of 4 B +1$`),
    );
    const all = await run(['operations', 'ls', '--json'], { env: env() });
    expect((JSON.parse(all.stdout) as OperationStatus[])[0]?.id).toBe(id);
    expect((await run(['operations', 'cancel', id, '--wait'], { env: env() })).status).toBe(0);
    const shown = await run(['operations', 'show', id], { env: env() });
    expect(shown.stdout).toMatch(
      new RegExp(`^snapshot ${id} of slow: cancelled\\n(.*\\n)*error +ABORTED: .*\\n$`),
    );
    const json = await run(['operations', 'show', id, '--json'], { env: env() });
    expect(JSON.parse(json.stdout)).toEqual(await service.operation(id).status());
  });

  it('fails with NOT_FOUND for one that is not there', async () => {
    const ended = await run(['operations', 'show', 'nosuch'], { env: env() });
    expect([ended.status, ended.stderr]).toEqual([1, expect.stringMatching(/^error NOT_FOUND: /)]);
  });
});
