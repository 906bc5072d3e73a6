/**
 * Random pipelines of commands on a few regions, cut anywhere: each reply is what a byte array gives, in the order of the requests.
 * RESP_ROUNDS is how many pipelines (of each provider), RESP_SEED where they begin.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encode, type RawClient, type Value } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

const ROUNDS = Number(process.env.RESP_ROUNDS ?? 60);
const SEED = process.env.RESP_SEED;
const SIZE = 40_000;

let door: RunningDoor;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-resp-'));
  const pool = { path: path.join(folder, 'pool'), create_if_missing_with_size: 2 ** 23 };
  const targets = { fast: { type: 'memory', config: {} }, slow: { type: 'file', config: pool } };
  door = await RunningDoor.start({
    providers: Object.entries(targets).map(([name, target], n) => ({
      name,
      type: 'warabi',
      provider_id: n + 1,
      config: { target },
    })),
  });
});
afterAll(async () => {
  await closeDoors();
  await rm(folder, { recursive: true });
});

/** What an error must begin with. */
class Fails {
  constructor(readonly code: string) {}
}

interface Step {
  readonly kind: (typeof KINDS)[number];
  readonly region: number;
  readonly offset: number;
  readonly size: number;
  readonly byte: number;
  readonly persist: boolean;
}

const KINDS = [
  ...(['write', 'setrange', 'writev', 'read', 'getrange', 'getrange from the end', 'readv'] as const),
  ...(['persist', 'stat', 'exists', 'erase', 'del', 'scan', 'echo', 'nonsense'] as const),
] as const;

/** Most offsets and sizes are small, so that they overlap; some are large, and some beyond the end. */
const number = fc.oneof(
  { weight: 6, arbitrary: fc.nat(64) },
  { weight: 2, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(SIZE + 10) },
);

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  region: fc.nat(2),
  offset: number,
  size: number,
  byte: fc.nat(255),
  persist: fc.boolean(),
});

type Request = (string | number | Uint8Array)[];

/** The same regions as byte arrays; a region that was erased is none. */
class Model {
  constructor(
    readonly ids: readonly string[],
    readonly regions: (Buffer | undefined)[],
  ) {}

  /** A step as a request, and what the reply to it must be. */
  take({ kind, region: number, offset, size, byte, persist }: Step): [Request, Value | Fails] {
    const id = this.ids[number] as string;
    const region = this.regions[number];
    const bytes = Buffer.alloc(size, byte);
    const suffix = persist ? ['PERSIST'] : [];
    const gone = new Fails('REGION_NOT_FOUND');
    const outside = new Fails('OUT_OF_RANGE');
    const write = (at: number, reply: Value): Value | Fails => {
      if (region === undefined) return gone;
      if (at + size > SIZE) return outside;
      bytes.copy(region, at);
      return reply;
    };
    const read = (at: number, length: number): string | Fails => {
      if (region === undefined) return gone;
      return at + length > SIZE ? outside : region.toString('latin1', at, at + length);
    };
    switch (kind) {
      case 'write':
        return [['BLOB.WRITE', id, offset, bytes, ...suffix], write(offset, 'OK')];
      case 'setrange':
        return [['SETRANGE', id, offset, bytes], write(offset, SIZE)];
      case 'writev': {
        const request = ['BLOB.WRITEV', id, offset, bytes, 0, Buffer.from('head'), ...suffix];
        const reply = write(offset, 'OK');
        if (reply === 'OK') region?.write('head');
        return [request, reply];
      }
      case 'read':
        return [['BLOB.READ', id, offset, size], read(offset, size)];
      case 'getrange':
        return [['GETRANGE', id, offset, offset + size], read(offset, size + 1)];
      case 'getrange from the end': {
        if (region !== undefined && offset + 1 > SIZE) return [['GETRANGE', id, -offset - 1, -1], outside];
        return [['GETRANGE', id, -offset - 1, -1], read(SIZE - offset - 1, offset + 1)];
      }
      case 'readv': {
        const parts = [read(offset, size), read(0, 4)];
        const failed = parts.find((part) => part instanceof Fails);
        return [['BLOB.READV', id, offset, size, 0, 4], failed ?? (parts as string[])];
      }
      case 'persist': {
        const reply = read(offset, size);
        return [['BLOB.PERSIST', id, offset, size], reply instanceof Fails ? reply : 'OK'];
      }
      case 'stat':
        return [['STRLEN', id], region === undefined ? gone : SIZE];
      case 'exists':
        return [['EXISTS', ...this.ids, id], this.#live.length + (region === undefined ? 0 : 1)];
      case 'erase':
        // Seldom, so that there is something left.
        if (byte > 32) return [['PING'], 'PONG'];
        this.regions[number] = undefined;
        return [['BLOB.ERASE', id], region === undefined ? gone : 'OK'];
      case 'del':
        if (byte > 32) return [['PING', 'x'], 'x'];
        this.regions[number] = undefined;
        return [['DEL', id, id], region === undefined ? 0 : 1];
      case 'scan':
        return [
          ['SCAN', 0, 'COUNT', 100],
          ['0', this.#live],
        ];
      case 'echo':
        return [['ECHO', bytes], bytes.toString('latin1')];
      case 'nonsense':
        return [['BLOB.READ', id, -1 - offset, size], new Fails('INVALID_ARGUMENT')];
    }
  }

  get #live(): string[] {
    return this.ids.filter((_, number) => this.regions[number] !== undefined);
  }
}

function expectReply(found: Value, expected: Value | Fails): void {
  if (expected instanceof Fails) expect((found as Error).message.split(' ')[0]).toBe(expected.code);
  else if (Array.isArray(expected) && Array.isArray(expected[1])) {
    const [cursor, ids] = found as [string, string[]];
    expect([cursor, ids.sort()]).toEqual([expected[0], [...expected[1]].sort()]);
  } else if (found !== expected) expect(found).toEqual(expected);
}

it.each(['fast', 'slow'])(
  'behaves like byte arrays: the provider %s',
  async (provider) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 80, size: 'max' }),
        fc.array(fc.nat(30_000), { maxLength: 6 }),
        async (steps, cuts) => {
          const client: RawClient = await door.client();
          await client.call('SELECT', provider);
          const ids: string[] = [];
          while (ids.length < 3) ids.push((await client.call('BLOB.CREATE', SIZE)) as string);
          const model = new Model(
            ids,
            ids.map(() => Buffer.alloc(SIZE)),
          );
          const pipeline = steps.map((each) => model.take(each));
          let bytes = Buffer.concat(pipeline.map(([request]) => encode(...request)));
          for (const cut of cuts) {
            client.socket.write(bytes.subarray(0, cut));
            bytes = bytes.subarray(cut);
            await new Promise(setImmediate);
          }
          client.socket.write(bytes);
          for (const [, expected] of pipeline) expectReply(await client.reply(), expected);
          await client.call('DEL', ...ids);
          client.close();
        },
      ),
      { numRuns: ROUNDS, ...(SEED !== undefined && { seed: Number(SEED) }) },
    );
  },
  2 ** 31 - 1,
);
