/**
 * Random sequences of the commands that Redis has, by two clients in turns, to our door and to a real redis-server: replies are the same,
 * errors word by word. What docs/resp.md names as different is left out. REDIS_ROUNDS is how many sequences, REDIS_SEED where they begin.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hasCommand, needs } from '../fixtures/needs.js';
import { isThorough } from '../fixtures/thoroughness.js';
import type { RawClient, Value } from './raw-client.js';
import { RedisTwin } from './redis-twin.js';
import { closeDoors, RunningDoor } from './running-door.js';

const ROUNDS = Number(process.env.REDIS_ROUNDS ?? (isThorough ? 2000 : 40));
const SEED = process.env.REDIS_SEED;

type Request = (string | number | Uint8Array)[];

/** Stands for more bytes than are waited for. */
const LONG = 'LONG';
const LONG_BYTES = Buffer.alloc(20_000, 'long');

const key = fc.constantFrom('a', 'b', 'c', 'key:1', 'key:2', 'größer', 'k[1]', 'a*');

const integer = fc.oneof(
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.constantFrom('9223372036854775807', '-9223372036854775808', '9223372036854775806', '9007199254740993'),
  fc.constantFrom(
    '',
    ' 1',
    '1 ',
    '01',
    '-0',
    '+1',
    '1.0',
    'x',
    '9223372036854775808',
    '-9223372036854775809',
  ),
);

const float = fc.oneof(
  integer,
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(String),
  fc.constantFrom(
    '1.5',
    '-.25',
    '3.',
    '1e3',
    '1E-5',
    '5e-324',
    '1e4000',
    '0x10',
    '0x1p-3',
    '0.1',
    '0.2',
    '1e-17',
  ),
  fc.constantFrom('inf', '-inf', 'nan', '1e5000', '1.2.3', '.', 'e5', ' 1.5', '1.5 ', '--1'),
);

const value = fc.oneof(
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 3, arbitrary: integer },
  { weight: 1, arbitrary: float },
  { weight: 1, arbitrary: fc.constant(LONG) },
);

const position = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -30, max: 50 }).map(String) },
  { weight: 1, arbitrary: integer },
  { weight: 1, arbitrary: fc.constantFrom('20010', '-20010', '600000000') },
);

const setOption = fc.constantFrom('NX', 'xx', 'GET', 'get', 'KEEPTTL', 'nonsense');
const pattern = fc.constantFrom(
  '*',
  'key:*',
  '?',
  '[a-b]',
  '[^a]',
  'k\\[*',
  'a\\*',
  '*1',
  '[b',
  'gr*er',
  '',
  'a',
  '**:?',
);

/** A command and its arguments. */
function command(name: string, ...args: fc.Arbitrary<string | Uint8Array>[]): fc.Arbitrary<Request> {
  return fc.tuple(...args).map((all) => [name, ...all]);
}

function many(
  name: string,
  each: fc.Arbitrary<(string | Uint8Array)[]>,
  maxLength = 4,
): fc.Arbitrary<Request> {
  return fc.array(each, { minLength: 1, maxLength }).map((all) => [name, ...all.flat()]);
}

const one = key.map((name) => [name]);
const pair = fc.tuple(key, value).map((both): (string | Uint8Array)[] => both);

const right = fc.oneof(
  { weight: 4, arbitrary: command('SET', key, value) },
  fc
    .tuple(key, value, fc.array(setOption, { maxLength: 3 }))
    .map(([k, v, o]): Request => ['SET', k, v, ...o]),
  { weight: 3, arbitrary: command('GET', key) },
  command('GETDEL', key),
  command('GETSET', key, value),
  command('SETNX', key, value),
  many('MSET', pair),
  many('MSETNX', pair, 2),
  many('MGET', one),
  command('STRLEN', key),
  { weight: 2, arbitrary: command('GETRANGE', key, position, position) },
  { weight: 2, arbitrary: command('SETRANGE', key, position, value) },
  { weight: 2, arbitrary: command('APPEND', key, value) },
  many('DEL', one),
  many('UNLINK', one, 2),
  many('EXISTS', one),
  { weight: 2, arbitrary: command('RENAME', key, key) },
  command('RENAMENX', key, key),
  command('COPY', key, key),
  command('COPY', key, key, fc.constantFrom('REPLACE', 'nonsense')),
  command('TYPE', key),
  command('KEYS', pattern),
  command(
    'SCAN',
    fc.constantFrom('0', 'x'),
    fc.constant('MATCH'),
    pattern,
    fc.constant('COUNT'),
    fc.constantFrom('100', '0', 'x'),
  ),
  command('RANDOMKEY'),
  command('DBSIZE'),
  command('INCR', key),
  command('DECR', key),
  command('INCRBY', key, integer),
  command('DECRBY', key, integer),
  { weight: 2, arbitrary: command('INCRBYFLOAT', key, float) },
  command('PING'),
  command('ECHO', value),
);

const ofTransactions = fc.oneof(
  command('MULTI'),
  { weight: 2, arbitrary: command('EXEC') },
  command('DISCARD'),
  many('WATCH', one, 2),
  command('UNWATCH'),
);

/** Too few or too many arguments. */
const wrong = fc
  .tuple(right, fc.boolean())
  .map(([request, isShort]): Request => (isShort ? request.slice(0, -1) : [...request, 'more']))
  .filter(
    (request) => request.length > 0 && !['PING', 'ECHO', 'SCAN', 'DBSIZE'].includes(String(request[0])),
  );

const ENDS_WATCH = new Set(['EXEC', 'DISCARD', 'UNWATCH']);

/** Commands that look at the target as a whole cannot be queued here. */
const WHOLE = new Set(['KEYS', 'SCAN', 'RANDOMKEY', 'DBSIZE']);

const step = fc.record({
  client: fc.nat(1),
  request: fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 5, arbitrary: ofTransactions },
    { weight: 1, arbitrary: wrong },
  ),
});

const redis = needs('redis-server', hasCommand('redis-server'));
redis.describe('replies', () => {
  let door: RunningDoor;
  let twin: RedisTwin;
  beforeAll(async () => {
    twin = await RedisTwin.start();
    door = await RunningDoor.start();
  });
  afterAll(async () => {
    await closeDoors();
    await twin.stop();
  });

  /** The ID of the region that a name has. */
  const regionOf = async (name: string): Promise<string> => {
    const found = await door.daemon
      .target('store')
      .find(name)
      .catch(() => undefined);
    return found === undefined ? 'none' : found.id.toString();
  };
  const areThoseOf = async (regions: ReadonlyMap<string, string>): Promise<boolean> => {
    for (const [name, id] of regions) if ((await regionOf(name)) !== id) return false;
    return regions.size > 0;
  };

  it(
    'are those of a real server',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
          const ours = await Promise.all([door.client(), door.client()]);
          const theirs = await Promise.all([twin.client(), twin.client()]);
          await theirs[0].call('FLUSHALL');
          const left = (await ours[0].call('KEYS', '*')) as string[];
          for (const name of left) await ours[0].call('DEL', Buffer.from(name, 'latin1'));
          const isQueueing = [false, false];
          const watched = [new Map<string, string>(), new Map<string, string>()];
          try {
            for (const { client, request } of steps) {
              const [name = ''] = request as string[];
              if (isQueueing[client] === true && WHOLE.has(name)) continue;
              const regions = watched[client] as Map<string, string>;
              const areSame = name === 'EXEC' && (await areThoseOf(regions));
              const [found, wanted] = await Promise.all(
                [ours, theirs].map(async (pairOf) =>
                  (pairOf[client] as RawClient).call(
                    ...request.map((each) => (each === LONG ? LONG_BYTES : each)),
                  ),
                ),
              );
              if (name === 'MULTI') isQueueing[client] = true;
              if (name === 'EXEC' || name === 'DISCARD') isQueueing[client] = false;
              if (name === 'WATCH' && found === 'OK')
                for (const each of request.slice(1) as string[])
                  if (!regions.has(each)) regions.set(each, await regionOf(each));
              const isWithout = found instanceof Error && found.message.endsWith(' without MULTI');
              if (isQueueing[client] === false && ENDS_WATCH.has(name) && !isWithout) regions.clear();
              // As documented: a name that has the same region again, or again none, counts as unchanged.
              if (areSame && wanted === null && Array.isArray(found)) return;
              expect([request, compared(name, found as Value)]).toEqual([
                request,
                compared(name, wanted as Value),
              ]);
            }
          } finally {
            for (const each of [...ours, ...theirs]) each.close();
          }
        }),
        { numRuns: ROUNDS, ...(SEED !== undefined && { seed: Number(SEED) }) },
      );
    },
    2 ** 31 - 1,
  );
});

/** Errors by their words, and lists without their order where Redis has none. */
function compared(name: string, reply: Value): unknown {
  if (reply instanceof Error) return reply.message;
  if (name === 'RANDOMKEY') return reply === null;
  if (name === 'KEYS') return [...(reply as string[])].sort();
  if (name === 'SCAN') return [...((reply as Value[])[1] as string[])].sort();
  if (name === 'EXEC' && Array.isArray(reply)) return reply.map((each) => compared('', each));
  return reply;
}
