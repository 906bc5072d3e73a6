/** A medium with a log, on a medium that refuses what it is told to: what is lost, and when the log becomes void. */
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { HEADERS_BYTES } from '../../core/pool/extent.js';
import { doneOffset, readLog } from '../../core/pool/log-replay.js';
import { LoggedMedium } from '../../core/pool/logged-medium.js';
import { MemoryMedium } from './memory-medium.js';

const MIB = 2 ** 20;
const PAGE = HEADERS_BYTES + 4096;
const AREA = { offset: MIB / 2, length: MIB / 4 };
const POOL = { poolLow: 1, poolHigh: 2 };
const ONE = Buffer.from('one');

/** A medium on which a record can be refused before it is stored, or a store in its place after it. */
class RefusingMedium extends MemoryMedium {
  refuses: 'nothing' | 'records' | 'places' = 'nothing';
  barriers = 0;
  #failure: Error | undefined;

  checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  fail(why: string, cause: unknown): Error {
    return (this.#failure = new BedrockError('READ_ONLY', why, { cause }));
  }

  override barrier(): void {
    this.checkSound();
    this.barriers++;
  }

  writeThrough(
    offset: number,
    bytes: Uint8Array,
    pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    this.checkSound();
    if (this.refuses === 'records') return Promise.reject(new Error('EIO'));
    this.write(offset, bytes);
    if (this.refuses === 'places' && pieces.length > 0) return Promise.reject(new Error('EIO'));
    for (const piece of pieces) this.write(piece.offset, piece.bytes);
    return Promise.resolve();
  }
}

let inner: RefusingMedium;
let medium: LoggedMedium;
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
  inner = new RefusingMedium(new Uint8Array(MIB));
  medium = new LoggedMedium(inner);
  medium.use(AREA, POOL, 0, false);
});
afterEach(() => {
  jest.useRealTimers();
});

const pendingRecords = async (): Promise<number> => {
  const { records } = await readLog(inner, { capacity: MIB, ...POOL } as never, AREA);
  return records;
};

it.each(['records', 'places'] as const)(
  'refuses all that needs a page whose change was refused: %s',
  async (what) => {
    inner.refuses = what;
    await expect(medium.publish(PAGE, ONE)).rejects.toMatchObject({ code: 'READ_ONLY' });
    inner.refuses = 'nothing';
    // Large, so it would go past the log, and has to wait for the page.
    const large = Buffer.alloc(8192, 1);
    await expect(medium.write(PAGE, large)).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(medium.barrier()).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(medium.publish(PAGE, ONE)).rejects.toMatchObject({ code: 'READ_ONLY' });
    await medium.close();
    // A record that is stored counts after the next open, though its caller got an error.
    expect(await pendingRecords()).toBe(what === 'records' ? 0 : 1);
    expect(inner.bytes.subarray(PAGE, PAGE + 3)).toEqual(Buffer.alloc(3));
  },
);

it('keeps what was acknowledged before a record was refused', async () => {
  await medium.publish(PAGE, ONE);
  inner.refuses = 'records';
  await expect(medium.publish(PAGE, Buffer.from('two'))).rejects.toMatchObject({ code: 'READ_ONLY' });
  await medium.close();
  expect(await pendingRecords()).toBe(1);
  expect(inner.bytes.toString('latin1', PAGE, PAGE + 3)).toBe('one');
});

it('is refused with a count of void records that no pool reaches', async () => {
  inner.bytes.writeBigUInt64LE(2n ** 60n, doneOffset(AREA));
  await expect(pendingRecords()).rejects.toMatchObject({ code: 'POOL_CORRUPT' });
});

it('becomes void when nothing was stored for a while, and costs nothing from then on', async () => {
  await medium.publish(PAGE, ONE);
  expect(await pendingRecords()).toBe(1);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(await pendingRecords()).toBe(0);
  expect(inner.barriers).toBeGreaterThan(0);
  expect(jest.getTimerCount()).toBe(0);
  // Stores to that page may go past the log again.
  expect(medium.isInLog(PAGE, 4096)).toBe(false);
  await medium.close();
});
