/**
 * Answers that nobody reads: all connections together hold no more of them than they may, and others are served. The connections are unix
 * sockets, whose own buffers in the system are small.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { RegionId } from '../../core/index.js';
import { stopClock } from '../fixtures/held-time.js';
import { sampled } from '../fixtures/thoroughness.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  memoryStore,
  runDaemon,
  type RunningDaemon,
} from './running-daemon.js';

const LIMIT = 2 ** 24;
const PIECE = 2 ** 18;
const REGIONS = '/v1/providers/store/regions';
const LARGE_ANSWERS = fileURLToPath(new URL('../fixtures/large-answers-library.ts', import.meta.url));

let folder: string;
let socketPath: string;
let daemon: RunningDaemon;
let small: string;
let crowd: RawConnection[] = [];
/** It stands still: nobody is slow, who would be closed for others. */
let clock: ReturnType<typeof stopClock>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  socketPath = path.join(folder, 'socket');
  daemon = await runDaemon({
    address: `unix:${socketPath}`,
    http: { max_answers_bytes: LIMIT },
    providers: [
      memoryStore('store', 42),
      { name: 'large', type: 'large-answers', provider_id: 7, config: {} },
    ],
    libraries: [LARGE_ANSWERS],
  });
  small = await daemon.regionOf(Buffer.alloc(8));
  clock = stopClock();
});
afterEach(async () => {
  for (const each of crowd.splice(0)) each.destroy();
  await eventually(buffered, (bytes) => bytes === 0);
});
afterAll(async () => {
  jest.restoreAllMocks();
  await closeDaemons();
  await rm(folder, { recursive: true });
});

async function figure(name: string): Promise<number> {
  const text = (await daemon.call('GET', '/metrics')).bytes.toString();
  return Number(new RegExp(`^bedrock_http_${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

function buffered(): Promise<number> {
  return figure('buffered_bytes');
}

/** Has many clients ask, who read nothing, and more than there is memory for. @returns when no more is held of the answers */
async function flood(line: string, count: number): Promise<void> {
  crowd = await Promise.all(Array.from({ length: count }, () => RawConnection.open({ path: socketPath })));
  for (const each of crowd) {
    each.socket.pause();
    each.send(head(line).repeat(3));
  }
  // However many turns it takes until all have been looked at.
  const held: number[] = [];
  await eventually(buffered, (bytes) => {
    held.push(bytes);
    return bytes > 0.9 * LIMIT && held.slice(-3).every((each) => each === bytes);
  });
}

const ANSWERS: readonly [what: string, place: () => Promise<string>, bytes: number][] = [
  ['a part of a region', () => daemon.regionOf(Buffer.alloc(PIECE)), PIECE],
  ['a large region', () => daemon.regionOf(Buffer.alloc(2 ** 23)), 2 ** 16],
  ['a list', () => Promise.resolve(`${REGIONS}?limit=4000`), 4000 * 96],
  ['bytes of a provider', () => Promise.resolve('/v1/providers/large/bytes'), 2 ** 20],
  ['JSON of a provider', () => Promise.resolve('/v1/providers/large/json'), 2 ** 20],
  ['a stream of a provider', () => Promise.resolve('/v1/providers/large/stream'), 2 ** 20],
];

/** Whatever was asked for, it is the connection that is closed. The long test has all of them. */
const CLOSED = sampled(2, ANSWERS).map(([what]) => what);

describe.each(ANSWERS)('clients that ask for %s and read nothing', (what, placeOf, bytes) => {
  let place: string;
  const made: RegionId[] = [];
  beforeAll(async () => {
    const store = daemon.daemon.target('store');
    place = await placeOf();
    if (place.includes('limit')) for (let n = 0; n < 4000; n++) made.push(await store.create(1));
  });
  afterAll(async () => {
    for (const id of made) await daemon.daemon.target('store').erase(id);
  });

  it('hold no more than there is for all, and the others get small answers', async () => {
    await flood(`GET ${place}`, Math.ceil((1.5 * LIMIT) / bytes));
    expect(await buffered()).toBeLessThanOrEqual(LIMIT + 2 ** 17);
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', small, '/v1/providers'])
      expect((await daemon.call('GET', path)).status).toBe(200);
    expectProblem(await daemon.call('GET', place), 503, 'OVERLOADED');
    for (const each of crowd.splice(0)) each.destroy();
    await eventually(buffered, (held) => held === 0);
    expect((await daemon.call('GET', place)).status).toBe(200);
  });

  if (!CLOSED.includes(what)) return;

  it('are closed when they have taken hardly anything for a second, and others want memory', async () => {
    await flood(`GET ${place}`, Math.ceil((1.5 * LIMIT) / bytes));
    const before = await figure('connections_evicted_total');
    expectProblem(await daemon.call('GET', place), 503, 'OVERLOADED');
    // What the system still took of their answers is seen after the first second.
    const ask = async (): Promise<number> => {
      clock.pass(1000);
      return (await daemon.call('GET', place)).status;
    };
    await eventually(ask, (status) => status === 200);
    expect(await figure('connections_evicted_total')).toBeGreaterThan(before);
  });
});
