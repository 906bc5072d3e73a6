/** Transactions over HTTP: all changes of a body, or none. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Target } from '../../core/index.js';
import {
  closeDaemons,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  type Answer,
  type RunningDaemon,
} from './running-daemon.js';

const STORE = '/v1/providers/store';

let daemon: RunningDaemon;
let target: Target;

beforeAll(async () => {
  daemon = await runDaemon({
    providers: [memoryStore('store', 42, { max_bytes: 2 ** 22 }), gatedStore('unnamed', 7)],
    gated: true,
  });
  target = daemon.daemon.target('store');
});
beforeEach(async () => {
  for (const { id } of (await target.list()).regions) await target.erase(id);
});
afterAll(closeDaemons);

const send = (body: unknown, place = STORE): Promise<Answer> =>
  daemon.call('POST', `${place}/transactions`, {
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const transact = (...changes: unknown[]): Promise<Answer> => send({ changes });
const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const put = (name: string, contents: string | Buffer): object => ({
  type: 'put',
  name,
  contents: base64(contents),
});
async function textOf(name: string): Promise<string> {
  return Buffer.from(await target.read(name, 0, (await target.find(name)).size)).toString();
}
/** Expects a refusal that has changed nothing. */
async function expectRefused(answer: Answer, status: number, code: string, change?: number): Promise<void> {
  expectProblem(answer, status, code);
  if (change !== undefined) expect(answer.json()).toMatchObject({ details: { change } });
  expect((await target.names()).names.map(({ name }) => name)).toEqual(['a', 'b']);
  expect([await textOf('a'), await textOf('b')]).toEqual(['contents', 'others']);
  expect((await target.stats()).usedBytes).toBe(14);
}

it('makes changes of every kind in their order, and gives the IDs of what was put', async () => {
  const id = await target.createAndWrite(Buffer.from('contents'));
  await target.put('old', Buffer.from('old'));
  await target.put('gone', Buffer.from('gone'));
  const answer = await transact(
    { type: 'expect', name: 'new', id: null },
    { type: 'rename', id: id.toString(), to: 'a/b' },
    { type: 'write', name: 'a/b', offset: 3, bytes: base64('TENTS') },
    put('new', 'new'),
    { type: 'expect', name: 'a/b', id: id.toString() },
    { type: 'rename', name: 'new', to: 'old', replace: true },
    { type: 'erase', name: 'gone' },
    put('empty', ''),
  );
  expect(answer.status).toBe(200);
  const { ids } = answer.json() as { ids: (string | null)[] };
  const [old, empty] = [await target.find('old'), await target.find('empty')];
  expect(ids).toEqual([null, null, null, old.id.toString(), null, null, null, empty.id.toString()]);
  expect([await textOf('a/b'), await textOf('old'), await textOf('empty')]).toEqual(['conTENTS', 'new', '']);
  expect((await target.stats()).regions).toBe(3);
  expect((await transact()).json()).toEqual({ ids: [] });
});

describe('changes nothing', () => {
  const GOOD = [put('a', 'new'), { type: 'write', name: 'b', offset: 0, bytes: base64('O') }];

  beforeEach(async () => {
    await target.put('a', Buffer.from('contents'));
    await target.put('b', Buffer.from('others'));
  });

  it('where a condition fails', async () => {
    const { id } = await target.find('b');
    const wrong = { type: 'expect', name: 'a', id: id.toString() };
    await expectRefused(await transact(...GOOD, wrong), 412, 'CONDITION_FAILED', 2);
    const taken = { type: 'expect', name: 'b', id: null };
    await expectRefused(await transact(taken, ...GOOD), 412, 'CONDITION_FAILED', 0);
  });

  it('where a region was erased, or is none', async () => {
    const erased = await target.create(5);
    await target.erase(erased);
    const write = { type: 'write', id: erased.toString(), offset: 0, bytes: base64('x') };
    await expectRefused(await transact(...GOOD, write), 404, 'REGION_NOT_FOUND', 2);
    await expectRefused(
      await transact(...GOOD, { type: 'erase', name: 'nobody' }),
      404,
      'REGION_NOT_FOUND',
      2,
    );
    const twice = { type: 'erase', name: 'b' };
    await expectRefused(await transact(...GOOD, twice, twice), 404, 'REGION_NOT_FOUND', 3);
  });

  it('where a change is out of range, or a name is taken', async () => {
    const write = { type: 'write', name: 'b', offset: 5, bytes: base64('xy') };
    await expectRefused(await transact(...GOOD, write), 416, 'OUT_OF_RANGE', 2);
    await expectRefused(
      await transact(...GOOD, { type: 'rename', name: 'a', to: 'b' }),
      409,
      'NAME_TAKEN',
      2,
    );
  });

  it('where it holds more than a transaction may, or the target', async () => {
    await expectRefused(
      await transact(...GOOD, put('c', Buffer.alloc(2 ** 20))),
      413,
      'TRANSACTION_TOO_LARGE',
    );
    await expectRefused(await transact(...GOOD, put('c', Buffer.alloc(2 ** 21))), 413, 'BODY_TOO_LARGE');
    const filled = await target.create(2 ** 22 - 1000);
    const answer = await transact(...GOOD, put('c', Buffer.alloc(2000)));
    await target.erase(filled);
    await expectRefused(answer, 507, 'OUT_OF_SPACE');
  });

  it.each([
    ['', 'a name that is empty'],
    ['x'.repeat(1025), 'one that is too long'],
    ['0'.repeat(32), 'one that is an ID'],
    ['\ud800', 'one without a form in UTF-8'],
  ])('for %j, %s', async (name) => {
    await expectRefused(await transact(...GOOD, put(name, 'x')), 400, 'INVALID_ARGUMENT', 2);
    await expectRefused(await transact(...GOOD, { type: 'erase', name }), 400, 'INVALID_ARGUMENT', 2);
    await expectRefused(
      await transact(...GOOD, { type: 'rename', name: 'b', to: name }),
      400,
      'INVALID_ARGUMENT',
      2,
    );
  });

  it.each<[string, unknown]>([
    ['both an ID and a name', { type: 'erase', id: '0'.repeat(32), name: 'a' }],
    ['neither of them', { type: 'erase' }],
    ['an ID that is none', { type: 'erase', id: 'xyz' }],
    ['base64 without its padding', { type: 'put', name: 'a', contents: 'eHg' }],
    ['base64 with a blank', { type: 'put', name: 'a', contents: 'eH g' }],
    ['base64 of URLs', { type: 'put', name: 'a', contents: '_-_-' }],
  ])('for a change with %s', async (_, change) => {
    await expectRefused(await transact(...GOOD, change), 400, 'INVALID_ARGUMENT', 2);
  });

  it.each<[string, unknown]>([
    ['no object', 5],
    ['no type', {}],
    ['another type', { type: 'create', size: 5 }],
    ['a member missing', { type: 'write', name: 'a', offset: 0 }],
    ['a member of another type of change', { type: 'erase', name: 'a', contents: '' }],
    ['an offset that is none', { type: 'write', name: 'a', offset: -1, bytes: '' }],
    ['contents that are no text', { type: 'put', name: 'a', contents: 5 }],
    ['no new name', { type: 'rename', name: 'a' }],
    ['no expectation', { type: 'expect', name: 'a' }],
  ])('for a change with %s', async (_, change) => {
    await expectRefused(await transact(...GOOD, change), 400, 'INVALID_ARGUMENT');
  });

  it.each(['', '{}', '[]', '{"changes":{}}', '{"changes":[],"more":1}', '{"changes":['])(
    'for the body %s',
    async (body) => {
      await expectRefused(await send(body), 400, 'INVALID_ARGUMENT');
    },
  );
});

it('is NOT_SUPPORTED where a target has no transactions', async () => {
  const place = STORE.replace('store', 'unnamed');
  expectProblem(await send({ changes: [] }, place), 501, 'NOT_SUPPORTED');
  expectProblem(await daemon.call('GET', `${place}/names`), 501, 'NOT_SUPPORTED');
  expectProblem(await daemon.call('PUT', `${place}/names/a`, { body: 'x' }), 501, 'NOT_SUPPORTED');
  expectProblem(await daemon.call('GET', `${place}/names/a`), 501, 'NOT_SUPPORTED');
  expectProblem(await daemon.call('POST', `${place}/regions?size=1&name=a`), 501, 'NOT_SUPPORTED');
});
