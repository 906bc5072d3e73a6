/** If-Match and If-None-Match (RFC 9110, 13.1): the ID is the tag of a region, which says which one is meant and nothing of its bytes. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { closeDaemons, expectProblem, runDaemon, type Answer, type RunningDaemon } from './running-daemon.js';

let daemon: RunningDaemon;
let place: string;
let id: string;
const OTHER = `"${'1'.repeat(32)}"`;

beforeAll(async () => {
  daemon = await runDaemon();
});
beforeEach(async () => {
  place = await daemon.regionOf(Buffer.from('contents'));
  id = place.slice(-32);
});
afterAll(closeDaemons);

function ask(method: string, name: string, value: string, body?: string): Promise<Answer> {
  const headers = { [name]: value.replace('ID', id).replace('OTHER', OTHER) };
  return daemon.call(method, place, { headers, ...(body !== undefined && { body }) });
}
const bytes = async (): Promise<string> => (await daemon.call('GET', place)).bytes.toString();

const HOLD: [string, string][] = [
  ['if-match', '"ID"'],
  ['if-match', '*'],
  ['if-match', 'OTHER, "ID"'],
  ['if-match', ' ,, "ID" ,W/"x",'],
  ['if-none-match', 'OTHER'],
  ['if-none-match', 'W/"ID"'],
  ['if-none-match', '"a, b", OTHER'],
];
const FAIL: [string, string][] = [
  ['if-match', 'OTHER'],
  ['if-match', 'W/"ID"'],
  ['if-match', '""'],
  ['if-none-match', '*'],
  ['if-none-match', '"ID"'],
  ['if-none-match', 'OTHER,"ID"'],
];

describe('a condition that holds', () => {
  it.each(HOLD)('%s: %s lets PUT, GET, HEAD and DELETE go on', async (name, value) => {
    expect((await ask('PUT', name, value, 'CON')).status).toBe(204);
    expect(await bytes()).toBe('CONtents');
    expect((await ask('GET', name, value)).bytes.toString()).toBe('CONtents');
    expect((await ask('HEAD', name, value)).status).toBe(200);
    expect((await ask('DELETE', name, value)).status).toBe(204);
    expect((await daemon.call('GET', place)).status).toBe(404);
  });
});

describe('a condition that does not hold', () => {
  it.each(FAIL)('%s: %s keeps PUT and DELETE from doing anything', async (name, value) => {
    expectProblem(await ask('PUT', name, value, 'CON'), 412, 'PRECONDITION_FAILED');
    expectProblem(await ask('DELETE', name, value), 412, 'PRECONDITION_FAILED');
    expect(await bytes()).toBe('contents');
  });

  it.each(FAIL.filter(([name]) => name === 'if-match'))(
    '%s: %s keeps GET and HEAD from answering',
    async (name, value) => {
      expectProblem(await ask('GET', name, value), 412, 'PRECONDITION_FAILED');
      expect((await ask('HEAD', name, value)).status).toBe(412);
    },
  );

  it('that wants no region is 304 for GET and HEAD', async () => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(method, 'if-none-match', '*');
      expect([answer.status, answer.bytes.length]).toEqual([304, 0]);
    }
  });
});

it('GET never says that bytes are still good, as they change under their ID', async () => {
  const answer = await ask('GET', 'if-none-match', '"ID"');
  expect([answer.status, answer.bytes.toString()]).toEqual([200, 'contents']);
  expect(answer.headers.etag).toBeUndefined();
});

it('what cannot be done without the condition is said first', async () => {
  expectProblem(await ask('PUT', 'if-match', 'OTHER', 'far too much for it'), 416, 'OUT_OF_RANGE');
  await ask('DELETE', 'if-match', '"ID"');
  for (const method of ['GET', 'DELETE'])
    expectProblem(await ask(method, 'if-match', '*'), 404, 'REGION_NOT_FOUND');
  expectProblem(await ask('PUT', 'if-match', '*', 'CON'), 404, 'REGION_NOT_FOUND');
});

it.each(['ID', '"', '"a" "b"', 'W/', '"a"x', `"a"${' '.repeat(8000)}x`])(
  'a header that is no list of tags is refused with INVALID_ARGUMENT: %s',
  async (value) => {
    for (const name of ['if-match', 'if-none-match'])
      expectProblem(await ask('PUT', name, value, 'CON'), 400, 'INVALID_ARGUMENT');
    expect(await bytes()).toBe('contents');
  },
);
