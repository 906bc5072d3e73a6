/**
 * What one connection may do before others come: counted in requests, on a clock that goes on by a
 * millisecond at each look.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turn } from '../../core/net/turn.js';
import { PIECE_REGIONS } from '../../core/runtime/list-pieces.js';
import { RawConnection, head } from '../http/raw-connection.js';
import { RawClient, encode } from '../resp/raw-client.js';
import { RunningDoor, closeDoors } from '../resp/running-door.js';

let time: number;

beforeEach(() => {
  time = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => time);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await closeDoors();
});

describe('a turn', () => {
  it('is over when a millisecond of work was seen, and goes on in the next turn of the event loop', async () => {
    let resumed = 0;
    const turn = new Turn(() => resumed++);
    let done = 0;
    while (!turn.spend(1)) {
      done++;
      time += 0.01;
    }
    expect(done).toBeGreaterThan(100);
    expect(done).toBeLessThan(300);
    // Promises are no turn of the event loop.
    for (let step = 0; step < 100; step++) await Promise.resolve();
    expect(turn.isOver).toBe(true);
    await nextTurn();
    expect(turn.isOver).toBe(false);
    expect(resumed).toBe(1);
  });

  it('is shorter where many connections have much to do', async () => {
    const turns = Array.from({ length: 50 }, () => new Turn(() => undefined));
    for (const turn of turns) turn.spend(64);
    const [first] = turns as [Turn, ...Turn[]];
    time += 0.3;
    expect(first.spend(64)).toBe(true);
    await nextTurn();
    first.spend(64);
    time += 0.3;
    expect(first.spend(64)).toBe(false);
    await nextTurn();
  });

  it('is over after work that is larger than a share by itself, whatever the clock says', async () => {
    let resumed = 0;
    const turn = new Turn(() => resumed++);
    expect(turn.spend(10_000)).toBe(true);
    await nextTurn();
    expect(resumed).toBe(1);
    expect(turn.spend(1)).toBe(false);
  });

  it('counts bytes that are moved', async () => {
    const turn = new Turn(() => undefined);
    turn.spend(1, 2 ** 20);
    time += 1;
    expect(turn.spend(1, 2 ** 20)).toBe(true);
    await nextTurn();
  });
});

describe('a long pipeline', () => {
  beforeEach(() => {
    jest.spyOn(performance, 'now').mockImplementation(() => time++);
  });

  it.each([
    ['is answered at once', (id: string) => ['BLOB.READ', id, 0, 4]],
    ['is answered by promises', (id: string) => ['STRLEN', id]],
    ['makes regions', () => ['BLOB.CREATE', 1]],
  ])('of the Redis protocol that %s lets others be served meanwhile', async (_how, request) => {
    const door = await RunningDoor.start();
    const id = (await door.daemon.target('store').create(64)).toString();
    const other = await door.client();
    const flood = await door.client();
    let ended = false;
    const count = 10_000;
    flood.socket.end(Buffer.concat(Array<Buffer>(count).fill(encode(...request(id)))));
    void flood.ended().then(() => (ended = true));
    await flood.reply();
    const before = Number(await requestsOf(other));
    for (let n = 0; n < 5; n++) expect(await other.call('PING')).toBe('PONG');
    const after = Number(await requestsOf(other));
    expect(ended).toBe(false);
    // Seven requests of the other one are among them; each waited for a turn or two of the flood.
    expect(after - before).toBeLessThan(count / 2);
    for (let n = 1; n < count; n++) await flood.reply();
  });

  it('of HTTP lets others be served meanwhile', async () => {
    const door = await RunningDoor.start();
    const port = Number(new URL(door.daemon.address ?? '').port);
    const flood = await RawConnection.open(port);
    const count = 1000;
    flood.send(head('GET /healthz').repeat(count));
    await flood.answer();
    const other = await RawClient.connect({ host: '127.0.0.1', port });
    other.socket.write(head('GET /healthz'));
    await once(other.socket, 'data');
    const answered = flood.unread.split('HTTP/1.1 200').length;
    expect(answered).toBeLessThan(count / 2);
    for (let n = 1; n < count; n++) expect((await flood.answer()).status).toBe(200);
    flood.destroy();
    other.close();
  });
});

it('a flood of long lists over HTTP lets another connection in between after a few, where the clock stands still', async () => {
  const door = await RunningDoor.start();
  const store = door.daemon.target('store');
  for (let made = 0; made < PIECE_REGIONS; made++) await store.create(1);
  const port = Number(new URL(door.daemon.address ?? '').port);
  const flood = await RawConnection.open(port);
  const other = await RawConnection.open(port);
  const count = 200;
  flood.send(head(`GET /v1/providers/store/regions?limit=${PIECE_REGIONS}`).repeat(count));
  await flood.answer();
  const its = { isAnswered: false };
  void other
    .send(head('GET /healthz'))
    .answer()
    .then(() => (its.isAnswered = true));
  let answered = 1;
  for (; !its.isAnswered; answered++) await flood.answer();
  expect(answered).toBeLessThan(count / 8);
  flood.destroy();
  other.destroy();
});

/** As INFO has them. */
async function requestsOf(client: RawClient): Promise<string | undefined> {
  return /^total_commands_processed:(\d+)/m.exec((await client.call('INFO')) as string)?.[1];
}
