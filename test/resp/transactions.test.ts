/** On a target without transactions: what stands between a MULTI, which is refused, and what ends it is not carried out. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { codeOf, encode, type RawClient, type Value } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

let door: RunningDoor;
let client: RawClient;
let id: string;
beforeAll(async () => {
  door = await RunningDoor.start({
    providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'gated', config: {} } } }],
  });
});
beforeEach(async () => {
  client = await door.client();
  id = (await client.call('BLOB.CREATE', 8, 'DATA', 'original')) as string;
});
afterAll(closeDoors);

/** Codes of those that are refused for what they are. */
const REFUSED = new Map([
  ['NONSENSE', 'INVALID_ARGUMENT'],
  ['MULTI', 'ERR'],
]);

async function answers(count: number): Promise<(string | Value)[]> {
  const all: (string | Value)[] = [];
  for (let n = 0; n < count; n++) {
    const value = await client.reply();
    all.push(value instanceof Error ? codeOf(value) : value);
  }
  return all;
}

function send(...requests: (string | number | Uint8Array)[][]): void {
  client.socket.write(Buffer.concat(requests.map((request) => encode(...request))));
}

it.each<[string, (id: string) => (string | number)[]]>([
  ['a write', (region) => ['SETRANGE', region, 0, 'CHANGED!']],
  ['a durable write', (region) => ['BLOB.WRITE', region, 0, 'CHANGED!', 'PERSIST']],
  ['an erase', (region) => ['DEL', region]],
  ['a creation', () => ['BLOB.CREATE', 1]],
  ['an upload', () => ['BLOB.UPLOAD', 1]],
  ['a read', (region) => ['BLOB.READ', region, 0, 8]],
  ['what is about the connection', () => ['CLIENT', 'SETNAME', 'me']],
  ['another MULTI', () => ['MULTI']],
  ['nonsense', () => ['NONSENSE']],
])('%s is refused up to EXEC, which says that nothing was done', async (_, request) => {
  const before = await door.daemon.target('store').list();
  send(['MULTI'], request(id), request(id), ['EXEC'], ['BLOB.READ', id, 0, 8], ['CLIENT', 'GETNAME']);
  const [multi, first, second, exec, ...after] = await answers(6);
  expect(multi).toBe('NOT_SUPPORTED');
  expect([first, second]).toEqual(Array(2).fill(REFUSED.get(request(id)[0] as string) ?? 'NOT_SUPPORTED'));
  expect(exec).toBe('EXECABORT');
  expect(after).toEqual(['original', null]);
  expect(await door.daemon.target('store').list()).toEqual(before);
});

it('so are writes of many bytes, which would land in the region as they come', async () => {
  const size = 2 ** 20;
  const large = (await client.call('BLOB.CREATE', size)) as string;
  const request = encode('SETRANGE', large, 0, Buffer.alloc(size, 'x'));
  send(['MULTI']);
  expect(await answers(1)).toEqual(['NOT_SUPPORTED']);
  // Its head alone, so that the bytes come behind it.
  client.socket.write(request.subarray(0, 2 ** 14));
  client.socket.write(request.subarray(2 ** 14));
  expect(await answers(1)).toEqual(['NOT_SUPPORTED']);
  send(['EXEC'], ['BLOB.READ', large, 0, 8]);
  expect(await answers(2)).toEqual(['EXECABORT', '\0'.repeat(8)]);
});

it.each([
  ['DISCARD', 'OK'],
  ['RESET', 'RESET'],
])('%s ends it too', async (command, answer) => {
  send(['MULTI'], ['SETRANGE', id, 0, 'CHANGED!'], [command], ['GETRANGE', id, 0, -1], ['EXEC']);
  expect(await answers(5)).toEqual(['NOT_SUPPORTED', 'NOT_SUPPORTED', answer, 'original', 'ERR']);
});

it('QUIT ends the connection within it', async () => {
  send(['MULTI'], ['QUIT'], ['SETRANGE', id, 0, 'CHANGED!']);
  expect(await answers(2)).toEqual(['NOT_SUPPORTED', 'OK']);
  await client.ended();
});

it('is of one connection', async () => {
  expect(codeOf(await client.call('MULTI'))).toBe('NOT_SUPPORTED');
  const other = await door.client();
  expect(await other.call('SETRANGE', id, 0, 'CHANGED!')).toBe(8);
  expect(await other.call('CLIENT', 'LIST')).toMatch(/ flags=x .* multi=0 /);
});

describe('without MULTI', () => {
  it.each(['EXEC', 'DISCARD'])('%s is an error', async (command) => {
    expect(codeOf(await client.call(command))).toBe('ERR');
    expect(await client.call('PING')).toBe('PONG');
  });
});
