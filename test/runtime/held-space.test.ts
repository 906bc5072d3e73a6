/** Space that clients hold for what has not all come: who gives way where others find none, and who does not. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { AttendedClock } from '../../core/net/standstill.js';
import { HeldSpace, type Sender } from '../../core/runtime/held-space.js';
import { holdTimers, stopClock } from '../fixtures/held-time.js';

const MIB = 2 ** 20;
const DAY_MS = 86_400_000;

let now: number;
let space: HeldSpace;
let store: Store;

/** So much space, and what takes it. */
class Store {
  used = 0;

  constructor(readonly capacity: number) {}

  readonly take = (size: number): void => {
    const free = this.capacity - this.used;
    if (size > free) throw new BedrockError('OUT_OF_SPACE', 'it does not fit', { details: { free } });
    this.used += size;
  };

  /** As `create` of a target. */
  create(size: number): Promise<void> {
    return space.make(size, () => Promise.resolve(size).then(this.take));
  }
}

/** A client that uploads a region. */
class Client implements Sender {
  isAwaited = true;
  movedBytes = 0;
  readonly failed: Promise<unknown>;
  #end: ((error: BedrockError) => void) | undefined;

  constructor(readonly size: number) {
    const never = new Promise<Uint8Array>((_, reject) => (this.#end = reject));
    async function* source(): AsyncGenerator<Uint8Array> {
      yield await never;
    }
    const uploading = space.receive(
      { size, source: source() },
      async (contents) => {
        store.take(size);
        try {
          for await (const piece of contents.source) void piece;
        } finally {
          store.used -= size;
        }
      },
      this,
    );
    this.failed = uploading.catch((error: unknown) => error);
  }

  readonly end = (error: BedrockError): void => this.#end?.(error);

  get isThere(): Promise<boolean> {
    return Promise.race([
      this.failed.then(() => false),
      new Promise<boolean>((told) => setImmediate(told, true)),
    ]);
  }
}

beforeEach(() => {
  now = 0;
  space = new HeldSpace(() => now);
  store = new Store(4 * MIB);
});

describe('an upload', () => {
  it('that comes slowly gives way to a region for which there is no space', async () => {
    const client = new Client(4 * MIB);
    await expect(store.create(MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    now = 1000;
    client.movedBytes = 2 ** 14 - 1;
    await store.create(MIB);
    expect(await client.failed).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    expect(store.used).toBe(MIB);
  });

  it('goes on while there is space, however slow it is', async () => {
    const client = new Client(MIB);
    now = DAY_MS;
    await store.create(MIB);
    expect(await client.isThere).toBe(true);
  });

  it.each([
    ['that is fast enough', MIB, 2 ** 14, true],
    ['that waits for the daemon', MIB, 0, false],
  ])('%s goes on', async (_title, size, movedBytes, isAwaited) => {
    const client = new Client(size);
    await store.create(3 * MIB);
    now = 1000;
    Object.assign(client, { movedBytes, isAwaited });
    await expect(store.create(1)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    expect(await client.isThere).toBe(true);
  });

  it('of much space has to come faster', async () => {
    store = new Store(2 ** 40);
    const client = new Client(2 ** 40);
    for (const bytesASecond of [2 ** 24, 2 ** 23]) {
      now += 1000;
      client.movedBytes += bytesASecond;
      if (bytesASecond === 2 ** 24)
        await expect(store.create(1)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
      else await store.create(1);
    }
    expect(await client.isThere).toBe(false);
  });

  it('gains nothing for later by being fast at first', async () => {
    const client = new Client(4 * MIB);
    now = 1000;
    client.movedBytes = 3 * MIB;
    await expect(store.create(1)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    now = 2000;
    client.movedBytes += 1;
    await store.create(1);
    expect(await client.isThere).toBe(false);
  });

  it('gives way to another upload, whose contents are asked for once', async () => {
    const slow = new Client(4 * MIB);
    now = 1000;
    const next = new Client(4 * MIB);
    expect(await slow.failed).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    expect(await next.isThere).toBe(true);
  });

  it('goes on where all that are slow together would not make room', async () => {
    const clients = [new Client(MIB), new Client(MIB)];
    await store.create(2 * MIB);
    now = 1000;
    await expect(store.create(3 * MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    for (const client of clients) expect(await client.isThere).toBe(true);
  });
});

it('the slowest give way, and no more of them than others need at a time', async () => {
  const clients = [5, 1, 9, 3].map((moved) => Object.assign(new Client(MIB), { movedBytes: 0, moved }));
  now = 1000;
  for (const client of clients) client.movedBytes = client.moved;
  await Promise.all([store.create(MIB), store.create(MIB / 2), store.create(MIB / 2)]);
  const there = await Promise.all(clients.map((client) => client.isThere));
  expect(there).toEqual([true, false, true, false]);
});

it('what is given up for other reasons is not tried again', async () => {
  new Client(4 * MIB);
  now = 1000;
  await expect(
    space.make(1, () => Promise.reject(new BedrockError('READ_ONLY', 'it is'))),
  ).rejects.toMatchObject({ code: 'READ_ONLY' });
});

describe('the clock of those who wait for clients', () => {
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('goes while the process does, and counts hardly anything of a standstill', () => {
    const time = stopClock();
    holdTimers('setInterval');
    let isNeeded = true;
    const clock = new AttendedClock(() => isNeeded);
    clock.start();
    for (let tick = 0; tick < 20; tick++) {
      time.pass(100);
      jest.advanceTimersByTime(100);
    }
    expect(clock.now()).toBe(2000);
    time.pass(600_000);
    expect(clock.now()).toBe(2200);
    isNeeded = false;
    jest.advanceTimersByTime(100);
    expect(jest.getTimerCount()).toBe(0);
  });
});
