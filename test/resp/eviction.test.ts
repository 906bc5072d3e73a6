/** Whose connection ends where the memory for what clients send is full: at a clock that stands still, and without a network. */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { expect, it } from '@jest/globals';
import type { Target } from '../../core/index.js';
import { ByteBudget } from '../../core/net/byte-budget.js';
import { Connection } from '../../core/resp/connection.js';
import { Cursors } from '../../core/resp/cursors.js';
import type { Door } from '../../core/resp/door.js';
import { UploadWatch } from '../../core/resp/uploads.js';
import { AdmissionQueue } from '../../core/runtime/admission-queue.js';
import type { RunningProvider } from '../../core/runtime/running-provider.js';
import { ServedTarget } from '../../core/runtime/served-target.js';
import { encode } from './raw-client.js';

/** The daemon's end of a connection: keeps what it is sent. */
class Sink extends Writable {
  sent = '';

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.sent += bytes.toString('latin1');
    done();
  }
  pause(): this {
    return this;
  }
  resume(): this {
    return this;
  }
}

/** A door that has so much memory for what clients send. */
class FullDoor {
  now = 0;
  evicted = 0;
  written: Uint8Array | undefined;
  readonly #door: Door;

  constructor(limit: number) {
    const target = {
      writev: (_id: unknown, _ranges: unknown, bytes: Uint8Array) => {
        this.written = Uint8Array.from(bytes);
        return Promise.resolve();
      },
    } as unknown as Target;
    const executionPool = new AdmissionQueue('pool', { maxInFlight: 8, maxQueued: 8 });
    const provider = { executionPool, targets: [target], state: 'running' } as unknown as RunningProvider;
    const served = new ServedTarget(provider, 0, target);
    this.#door = {
      access: undefined,
      audit: undefined,
      rates: undefined,
      limits: {
        ...{ maxArguments: 64, maxBulkBytes: 2 ** 20, maxRequestBytes: 2 ** 20 },
        ...{ maxBufferedBytes: 2 ** 20, longArgumentBytes: 2 ** 13 },
      },
      daemon: {} as Door['daemon'],
      cursors: new Cursors(),
      isReady: () => true,
      served: () => served,
      arriving: new ByteBudget(limit, () => this.now),
      replies: new ByteBudget(Infinity, () => this.now),
      uploads: new UploadWatch(1000),
      noteEvicted: () => this.evicted++,
      logFailure: (error) => {
        throw error;
      },
    };
  }

  connect(): { client: Connection; sink: Sink } {
    const client = new Connection(1, this.#door);
    const sink = new Sink();
    client.attach(sink as unknown as Socket);
    return { client, sink };
  }
}

const PIECE = Buffer.alloc(8000, 'p');
const PAIRS = Array.from({ length: 9 }, (_, index) => [index * PIECE.length, PIECE] as const).flat();
/** Each of its arguments is too short for a place of its own; the call keeps a copy of them all. */
const REQUEST = encode('BLOB.WRITEV', '0'.repeat(32), ...PAIRS);
const BEGUN = 40_000;
/** More comes behind it, so that the client is waited for. */
const REST = Buffer.concat([REQUEST.subarray(BEGUN), encode('PING').subarray(0, -3)]);
const LAST = encode('PING').subarray(-3);

const settled = (): Promise<void> => new Promise(setImmediate);

it('a slow client whose own request asks for more is refused, and stays', async () => {
  const door = new FullDoor(150_000);
  const { client, sink } = door.connect();
  client.take(REQUEST.subarray(0, BEGUN));
  door.now = 1000;
  client.take(REST);
  client.take(LAST);
  await settled();
  expect(sink.sent).toMatch(/^-OVERLOADED [^\r]*\r\n\+PONG\r\n$/);
  expect(door.evicted).toBe(0);
  expect(sink.destroyed).toBe(false);
  client.closed();
});

it('another slow client gives way to it, though it holds less', async () => {
  const door = new FullDoor(220_000);
  const { client, sink } = door.connect();
  const other = door.connect();
  for (const each of [client, other.client]) each.take(REQUEST.subarray(0, BEGUN));
  door.now = 1000;
  client.take(REST);
  client.take(LAST);
  await settled();
  expect(sink.sent).toBe('+OK\r\n+PONG\r\n');
  expect(Buffer.compare(Buffer.from(door.written ?? []), Buffer.alloc(72_000, 'p'))).toBe(0);
  expect([door.evicted, other.sink.destroyed]).toEqual([1, true]);
  client.closed();
});
