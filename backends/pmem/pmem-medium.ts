/**
 * A pool's file mapped into memory. On persistent memory loads and stores are those of memory, and a store is durable after a cache
 * flush, in the call itself. Anything else has pages that may first have to come from a disk, which the event loop must not wait for:
 * there bytes go by read(2) and write(2) on the thread pool, coherent with the mapping, and are durable after an msync, shared by all
 * who wait. `mode` says which it is. Views are of the mapping in both cases.
 *
 * Space is allocated before it is mapped or promised, as a store into a hole of a full disk ends the process.
 */
import { setImmediate } from 'node:timers/promises';
import type { MediumRange, PoolFileIo, PoolMedium } from '../../core/index.js';
import type { Mapping } from '../../native/index.js';

/** The layout of windows, see native/mapping.ts. */
const WINDOW_STRIDE = 2 ** 31;
const WINDOW_SPAN = 2 ** 32;

/** What a call does at once; more goes to the thread pool, or in pieces with turns of the event loop in between. */
const AT_ONCE_BYTES = 2 ** 20;
const PIECE_BYTES = 2 ** 22;
const WORD_BYTES = 8;

const WORD = new DataView(new ArrayBuffer(WORD_BYTES));
const NEXT_TURN = Promise.resolve();

export interface PmemMediumOptions {
  io: PoolFileIo;
  mapping: Mapping;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
}

export class PmemMedium implements PoolMedium {
  readonly size: number;
  readonly #io: PoolFileIo;
  readonly #mapping: Mapping;
  readonly #syncWrites: boolean;
  /** Of those who wait for the next drain. */
  #drained: Promise<void> | undefined;

  constructor({ io, mapping, syncWrites }: PmemMediumOptions) {
    this.size = mapping.size;
    this.#io = io;
    this.#mapping = mapping;
    this.#syncWrites = syncWrites;
  }

  get mode(): string {
    return this.#io.isSound ? this.#mapping.mode : 'read-only';
  }

  read(offset: number, into: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.readCarefully(offset, into);
    if (into.length > PIECE_BYTES) return this.#readInPieces(offset, into);
    into.set(this.#mapping.view(offset, into.length));
    return undefined;
  }

  async #readInPieces(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; at += PIECE_BYTES) {
      if (at > 0) await setImmediate();
      const length = Math.min(PIECE_BYTES, into.length - at);
      into.set(this.#mapping.view(offset + at, length), at);
    }
  }

  /** By read(2): a line that the memory has lost is an error then, and not the end of the process. */
  readCarefully(offset: number, into: Uint8Array): Promise<void> {
    return this.#io.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, this.#syncWrites);
    if (this.#syncWrites) return this.writeDurably(offset, bytes);
    this.#io.checkSound();
    if (bytes.length > PIECE_BYTES) {
      return this.#inPieces(bytes.length, (at, length) => {
        this.#mapping.copy(offset + at, bytes, at, length);
        return undefined;
      });
    }
    this.#mapping.copy(offset, bytes);
    return undefined;
  }

  /**
   * A store is on its way when it has left the processor's caches, and there when a drain has waited for it. Others may store, and the
   * caller's own code run, while it is on its way: so a drain comes a turn later, one for all that were stored since the last.
   */
  storeDurably(offset: number, bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#mapping.isPmem || bytes.length > PIECE_BYTES) return undefined;
    this.#io.checkSound();
    this.#mapping.copy(offset, bytes);
    return (this.#drained ??= NEXT_TURN.then(this.#drain));
  }

  readonly #drain = (): void => {
    this.#drained = undefined;
    // It waits for what this thread has flushed, and returns nothing on persistent memory.
    void this.#mapping.drain();
  };

  writeDurably(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, true);
    this.#io.checkSound();
    if (bytes.length > PIECE_BYTES) {
      return this.#io.certainly(
        this.#inPieces(bytes.length, (at, length) =>
          this.#mapping.copyPersist(offset + at, bytes, at, length),
        ),
      );
    }
    return this.#io.certainly(this.#mapping.copyPersist(offset, bytes));
  }

  async #writeThrough(offset: number, bytes: Uint8Array, isDurable: boolean): Promise<void> {
    await this.#io.write(offset, bytes);
    if (isDurable) await this.#io.certainly(this.#mapping.persist(offset, bytes.length));
  }

  async #inPieces(
    total: number,
    step: (at: number, length: number) => undefined | Promise<void>,
  ): Promise<void> {
    for (let at = 0; at < total; at += PIECE_BYTES) {
      await (step(at, Math.min(PIECE_BYTES, total - at)) ?? setImmediate());
    }
  }

  persist(ranges: readonly MediumRange[]): undefined | Promise<void> {
    this.#io.checkSound();
    const total = ranges.reduce((sum, { size }) => sum + size, 0);
    if (total <= AT_ONCE_BYTES) return this.#io.certainly(this.#mapping.persistRanges(ranges));
    return this.#io.certainly(
      Promise.all(ranges.map(({ offset, size }) => this.#mapping.persistAsync(offset, size))).then(
        () => undefined,
      ),
    );
  }

  barrier(): undefined | Promise<void> {
    this.#io.checkSound();
    return this.#io.certainly(this.#mapping.isPmem ? this.#mapping.drain() : this.#io.file.datasync());
  }

  publish(offset: number, descriptor: Uint8Array): undefined | Promise<void> {
    // A descriptor lies within a sector, which goes out as it is, so there is nothing to order.
    if (!this.#mapping.isPmem) return this.#io.certainly(this.#writeThrough(offset, descriptor, true));
    this.#io.checkSound();
    void this.#mapping.copyPersist(offset + WORD_BYTES, descriptor, WORD_BYTES);
    return this.#mapping.storePersist64(offset, firstWord(descriptor));
  }

  publishWord(offset: number, word: bigint): undefined | Promise<void> {
    if (!this.#mapping.isPmem) {
      const bytes = Buffer.alloc(WORD_BYTES);
      bytes.writeBigUInt64LE(word);
      return this.#io.certainly(this.#writeThrough(offset, bytes, true));
    }
    this.#io.checkSound();
    return this.#mapping.storePersist64(offset, word);
  }

  clear(offset: number, length: number): undefined | Promise<void> {
    this.#io.checkSound();
    if (length > AT_ONCE_BYTES || !this.#mapping.isPmem)
      return this.#io.certainly(this.#mapping.fillAsync(offset, length, 0));
    return this.#io.certainly(this.#mapping.fillPersist(offset, length, 0));
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#io.allocate(offset, length);
  }

  get isDirect(): boolean {
    return this.#mapping.isPmem;
  }

  map(offset: number, length: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    for (let at = offset; at < offset + length;) {
      const windowEnd = Math.floor(at / WINDOW_STRIDE) * WINDOW_STRIDE + WINDOW_SPAN;
      const end = Math.min(offset + length, windowEnd);
      views.push(this.#mapping.view(at, end - at));
      at = end;
    }
    return views;
  }

  checkSound(): void {
    this.#io.checkSound();
  }

  async close(): Promise<void> {
    try {
      await this.#mapping.close();
    } finally {
      await this.#io.close();
    }
  }
}

/** The first eight bytes as a number. */
function firstWord(bytes: Uint8Array): bigint {
  for (let index = 0; index < WORD_BYTES; index++) WORD.setUint8(index, bytes[index] as number);
  return WORD.getBigUint64(0, true);
}
