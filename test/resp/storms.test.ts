/**
 * Storms of bytes that begin as good requests and were then mutated, cut, reordered and broken off, over many connections at once.
 * After each the daemon answers a new client, has given back what the storm took, and has touched no region that was not named. All
 * regions that a storm makes get names, so none without a name is left over, but by a request that lost its name in a mutation.
 * The long test has more storms. RESP_ROUNDS is how many, RESP_SEED where they begin; a failure names its storm.
 */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { RegionId, Target } from '../../core/index.js';
import { turns } from '../fixtures/held-time.js';
import { liveBufferBytes } from '../fixtures/live-memory.js';
import { Random } from '../fixtures/random.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { RawClient, encode } from './raw-client.js';
import { RunningDoor, closeDoors, eventually } from './running-door.js';

const ROUNDS = Number(process.env.RESP_ROUNDS ?? (isThorough ? 50 : 5));
const SEED = Number(process.env.RESP_SEED ?? 7481);
const CONNECTIONS = 12;
const SIZE = 50_000;
const GUARD = Buffer.alloc(SIZE, 'guard');

type Request = (string | number | Uint8Array)[];

let door: RunningDoor;
/** Regions that requests name, of `store` and `gated`. */
let named: string[];
/** Regions that nobody has named: at each provider, between the others. */
let guards: { provider: string; id: RegionId }[];
/** The regions of each provider before the storms. */
const before = new Map<string, Set<string>>();
/** How many requests of the storm may make a region without a name, as they were mutated. */
let nameless = 0;

beforeAll(async () => {
  door = await RunningDoor.start({
    resp: {
      max_bulk_bytes: 2 ** 20,
      max_arguments: 64,
      max_request_bytes: 65536,
      max_buffered_bytes: 2 ** 18,
      max_arriving_bytes: 2 ** 20,
      progress_timeout_ms: 300,
    },
  });
  named = [];
  guards = [];
  for (const provider of ['store', 'gated', 'guard']) {
    const target = door.daemon.target(provider);
    for (let n = 0; n < 4; n++) {
      if (provider !== 'guard') named.push(`${provider}/${(await target.create(SIZE)).toString()}`);
      guards.push({ provider, id: await target.createAndWrite(GUARD) });
    }
    before.set(provider, new Set((await target.list()).regions.map(({ id }) => id.toString())));
  }
});
afterAll(closeDoors);

const NUMBERS = [0, 1, 7, -1, 100, 8192, 8193, 40_000, SIZE, SIZE + 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
const NAMES = ['a', 'b', 'c', 'guard'];
const WORDS = ['', 'PERSIST', 'DATA', 'AFTER', '\0\xff', '99999999999999999999', '1e3', '0x10', '-'];

function argument(random: Random): string | number | Uint8Array {
  switch (random.below(6)) {
    case 0:
      return random.pick(named);
    case 1:
    case 2:
      return random.pick(NUMBERS);
    case 3:
      return random.pick(WORDS);
    case 4:
      return Buffer.alloc(random.below(64), random.below(256));
    default:
      return Buffer.alloc(random.below(30_000), random.below(256));
  }
}

/** Commands that make, replace and remove regions with names, none of those that were there before. */
function namedRequests(random: Random): Request[] {
  const name = random.pick(NAMES);
  const size = random.below(random.chance(0.3) ? 40_000 : 64);
  const bytes = Buffer.alloc(size, random.below(256));
  const number = 1 + random.below(4);
  const one: (() => Request)[] = [
    () => ['SET', name, bytes, ...random.pick([[], ['NX'], ['XX', 'GET']])],
    () => ['APPEND', name, bytes],
    () => ['SETRANGE', name, random.below(SIZE), bytes],
    () => ['GET', name],
    () => ['GETDEL', name],
    () => ['DEL', name, random.pick(NAMES)],
    () => ['RENAME', name, random.pick(NAMES)],
    () => ['COPY', name, random.pick(NAMES), 'REPLACE'],
    () => ['MSET', name, bytes, random.pick(NAMES), bytes],
    () => ['INCR', random.pick(['n', name])],
  ];
  const several: (() => Request[])[] = [
    () => [['BLOB.PUT', name, bytes, ...random.pick([[], ['ABSENT']])]],
    () => [['BLOB.CREATE', size, 'DATA', bytes, 'NAME', name]],
    () => [['BLOB.TRANSACT', 'PUT', name, bytes, 'RENAME', name, random.pick(NAMES)]],
    () => [['BLOB.UPLOAD', size, 'PUT', name]],
    () => [['BLOB.UPLOAD', size, 'NAME', name]],
    () => [['BLOB.UPLOAD.CANCEL', number]],
    () => [['BLOB.UPLOAD.END', number]],
    () => [
      ['BLOB.UPLOAD', size, 'PUT', name],
      ['BLOB.UPLOAD.PART', number, bytes],
      ['BLOB.UPLOAD.END', number],
    ],
    () => [['WATCH', name]],
    () => [['MULTI']],
    () => [['MULTI'], random.pick(one)(), random.pick(one)(), [random.pick(['EXEC', 'DISCARD'])]],
    ...one.map((make) => () => [make()]),
  ];
  return random.pick(several)();
}

/** Mostly well-formed: what is wrong with a request is then its arguments. */
function request(random: Random): Buffer {
  if (random.chance(0.3)) return Buffer.concat(namedRequests(random).map((each) => encode(...each)));
  const id = random.pick(named);
  const offset = random.below(SIZE);
  const bytes = Buffer.alloc(random.below(random.chance(0.3) ? 40_000 : 64), random.below(256));
  const requests: (() => Request)[] = [
    () => ['SETRANGE', id, offset, bytes],
    () => ['BLOB.WRITE', id, offset, bytes, ...(random.chance(0.5) ? ['PERSIST'] : [])],
    () => ['BLOB.WRITEV', id, offset, bytes, 0, bytes],
    () => ['BLOB.READ', id, offset, random.below(SIZE)],
    () => ['GETRANGE', id, -random.below(SIZE), random.pick(NUMBERS)],
    () => ['BLOB.READV', id, 0, 10, offset, 10],
    () => ['BLOB.PERSIST', id, offset, 1],
    () => ['BLOB.STAT', id],
    () => ['EXISTS', ...named],
    () => ['BLOB.LIST', 'COUNT', 5],
    () => ['SCAN', random.below(3)],
    () => ['HELLO', 2 + random.below(3)],
    () => ['SELECT', random.pick(['store', 'gated', 2, 0, 'none'])],
    () => ['ECHO', bytes],
    () => ['INFO'],
    () => ['COMMAND', 'DOCS'],
    () => ['CLIENT', random.pick(['LIST', 'INFO', 'ID', 'KILL'])],
    () => ['RESET'],
    () => [
      random.pick(['SETRANGE', 'BLOB.READ', 'GETRANGE', 'BLOB.WRITEV', 'BLOB.PERSIST', 'STRLEN', '\xff\0']),
      ...Array.from({ length: random.below(8) }, () => argument(random)),
    ],
  ];
  return encode(...random.pick(requests)());
}

const LIES = [
  '*1000000000\r\n',
  '$1000000000\r\n',
  '*-1\r\n',
  '$-1\r\n',
  '*99999999999999999999\r\n',
  '$\r\n',
  '*0\r\n',
  '\r\n',
  '$3\r\n',
  '*3\r\n',
  'PING\r\n',
  'GET / HTTP/1.1\r\n',
  '\n',
  '\0',
];

function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  switch (random.below(6)) {
    case 0:
      return bytes.subarray(0, at);
    case 1: {
      const changed = Buffer.from(bytes);
      for (let n = 1 + random.below(4); n > 0; n--) changed[random.below(changed.length)] = random.below(256);
      return changed;
    }
    case 2:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(LIES)), bytes.subarray(at)]);
    case 3: {
      const to = Math.min(bytes.length, at + random.below(20));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    }
    case 4: {
      // Within the first bytes, where the lengths stand.
      const changed = Buffer.from(bytes);
      changed[random.below(Math.min(40, changed.length))] = 48 + random.below(10);
      return changed;
    }
    default:
      return Buffer.concat([bytes, bytes]);
  }
}

async function assault(random: Random): Promise<void> {
  const client = await RawClient.connect({ host: '127.0.0.1', port: door.port });
  const { socket } = client;
  const requests = Array.from({ length: 1 + random.below(60) }, () => request(random));
  // Most connections are mutated late, so that much is carried out before.
  if (random.chance(0.8)) {
    const last = requests.length - 1;
    const intact = requests[last] as Buffer;
    // It may be sent twice.
    if (/BLOB\.(CREATE|UPLOAD)/.test(intact.toString('latin1'))) nameless += 2;
    requests[last] = mutate(intact, random);
  }
  let bytes = Buffer.concat(requests);
  noteNamed(bytes);
  const never = random.chance(0.15);
  if (never) socket.pause();
  while (bytes.length > 0 && socket.writable) {
    const size = random.chance(0.1) ? 1 : random.below(random.chance(0.5) ? 200 : 60_000);
    socket.write(bytes.subarray(0, size));
    bytes = bytes.subarray(size);
    if (random.chance(0.3)) await turns();
  }
  const end = random.below(4);
  if (never) await turns(random.below(50));
  else if (end < 2) {
    socket.end();
    await client.ended();
  } else if (end === 2) await turns();
  client.close();
}

/** A mutated ID may be a guard's: that one is named then, and guards no more. */
function noteNamed(bytes: Buffer): void {
  const text = bytes.toString('latin1').toLowerCase();
  guards = guards.filter(({ id }) => !text.includes(id.toString()));
}

async function expectNothingBroken(): Promise<void> {
  const client = await RawClient.connect({ host: '127.0.0.1', port: door.port });
  expect(await client.call('PING')).toBe('PONG');
  client.close();
  await eventually(
    () => door.figure('connected_clients'),
    (count) => count === 1,
  );
  // A call may outlive its connection.
  await eventually(
    () => door.figure('arriving_bytes'),
    (bytes) => bytes === 0,
  );
  await eventually(
    async () => (await fetch(`${door.daemon.address ?? ''}/metrics`)).text(),
    (metrics) => /^bedrock_execution_pool_in_flight\{.*\} 0$/m.test(metrics),
  );
  for (const { provider, id } of guards) {
    const bytes = await door.daemon.target(provider).read(id, 0, SIZE);
    expect(Buffer.compare(bytes, GUARD)).toBe(0);
  }
  for (const [provider, old] of before) await expectNothingLeft(door.daemon.target(provider), old);
  nameless = 0;
}

/** Removes what the storm has made. All space is accounted for before, and comes back with it. */
async function expectNothingLeft(target: Target, old: ReadonlySet<string>): Promise<void> {
  const { regions } = await target.list();
  expect(await target.stats()).toMatchObject({
    regions: regions.length,
    usedBytes: regions.reduce((sum, { size }) => sum + size, 0),
  });
  const made = regions.filter(({ id }) => !old.has(id.toString()));
  nameless -= made.filter(({ name }) => name === undefined).length;
  expect(nameless).toBeGreaterThanOrEqual(0);
  for (const { id } of made) await target.erase(id);
  expect(await target.stats()).toMatchObject({ regions: old.size, usedBytes: old.size * SIZE });
}

it(
  'leave a daemon that serves, and regions that nobody named',
  async () => {
    let most = 0;
    for (let round = 0; round < ROUNDS; round++) {
      try {
        await Promise.all(
          Array.from({ length: CONNECTIONS }, (_, number) => assault(new Random(SEED, round, number))),
        );
        await expectNothingBroken();
      } catch (error) {
        throw new Error(`RESP_SEED=${SEED}, storm ${round}`, { cause: error });
      }
      if (round === Math.floor(ROUNDS / 2)) most = await liveBufferBytes();
    }
    // What buffers are kept for use again is bounded; the second half of the storms adds nothing to it.
    expect(await liveBufferBytes()).toBeLessThan(most + 64 * 2 ** 20);
  },
  2 ** 31 - 1,
);
