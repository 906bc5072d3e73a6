/**
 * A pool's file mapped into memory. On persistent memory loads and stores are those of memory, and a store is durable after a cache
 * flush, in the call itself. Anything else has pages that may first have to come from a disk, which the event loop must not wait for:
 * there bytes go by read(2) and write(2) on the thread pool, coherent with the mapping, and are durable after an msync, shared by all
 * who wait. `mode` says which it is. Views are of the mapping in both cases.
 *
 * Space is allocated before it is mapped or promised, as a store into a hole of a full disk ends the process.
 */
import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import {
  BedrockError,
  messageOf,
  systemCodeOf,
  type FileOperations,
  type MediumRange,
  type PoolMedium,
} from '../../core/index.js';
import type { Mapping } from '../../native/index.js';

/** The layout of windows, see native/mapping.ts. */
const WINDOW_STRIDE = 2 ** 31;
const WINDOW_SPAN = 2 ** 32;

/** What a call does at once; more goes to the thread pool, or in pieces with turns of the event loop in between. */
const AT_ONCE_BYTES = 2 ** 20;
const PIECE_BYTES = 2 ** 22;
/** fs takes no more at once. */
const MAX_TRANSFER_BYTES = 2 ** 30;
const WORD_BYTES = 8;

export interface PmemMediumOptions {
  file: FileHandle;
  path: string;
  mapping: Mapping;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
  operations: FileOperations;
}

export class PmemMedium implements PoolMedium {
  readonly mode: string;
  readonly size: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #mapping: Mapping;
  readonly #syncWrites: boolean;
  readonly #operations: FileOperations;
  #failure: unknown;

  constructor({ file, path, mapping, syncWrites, operations }: PmemMediumOptions) {
    this.mode = mapping.mode;
    this.size = mapping.size;
    this.#file = file;
    this.#path = path;
    this.#mapping = mapping;
    this.#syncWrites = syncWrites;
    this.#operations = operations;
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
  async readCarefully(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      const { bytesRead } = await this.#file.read(
        into,
        at,
        Math.min(into.length - at, MAX_TRANSFER_BYTES),
        offset + at,
      );
      if (bytesRead === 0) {
        throw new BedrockError(
          'POOL_CORRUPT',
          `the pool ${this.#path} ends at ${offset + at}, before bytes that it should have`,
        );
      }
      at += bytesRead;
    }
  }

  write(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, this.#syncWrites);
    if (this.#syncWrites) return this.writeDurably(offset, bytes);
    this.#checkSound();
    if (bytes.length > PIECE_BYTES) {
      return this.#inPieces(bytes.length, (at, length) => {
        this.#mapping.copy(offset + at, bytes, at, length);
        return undefined;
      });
    }
    this.#mapping.copy(offset, bytes);
    return undefined;
  }

  writeDurably(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, true);
    this.#checkSound();
    if (bytes.length > PIECE_BYTES) {
      return this.#certainly(
        this.#inPieces(bytes.length, (at, length) =>
          this.#mapping.copyPersist(offset + at, bytes, at, length),
        ),
      );
    }
    return this.#certainly(this.#mapping.copyPersist(offset, bytes));
  }

  async #writeThrough(offset: number, bytes: Uint8Array, isDurable: boolean): Promise<void> {
    this.#checkSound();
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_TRANSFER_BYTES);
      at += (await this.#file.write(bytes, at, length, offset + at)).bytesWritten;
    }
    if (isDurable) await this.#certainly(this.#mapping.persist(offset, bytes.length));
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
    this.#checkSound();
    const total = ranges.reduce((sum, { size }) => sum + size, 0);
    if (total <= AT_ONCE_BYTES) return this.#certainly(this.#mapping.persistRanges(ranges));
    return this.#certainly(
      Promise.all(ranges.map(({ offset, size }) => this.#mapping.persistAsync(offset, size))).then(
        () => undefined,
      ),
    );
  }

  barrier(): undefined | Promise<void> {
    this.#checkSound();
    return this.#certainly(this.#mapping.isPmem ? this.#mapping.drain() : this.#file.datasync());
  }

  publish(offset: number, descriptor: Uint8Array): undefined | Promise<void> {
    // A descriptor lies within a sector, which goes out as it is, so there is nothing to order.
    if (!this.#mapping.isPmem) return this.#certainly(this.#writeThrough(offset, descriptor, true));
    this.#checkSound();
    void this.#mapping.copyPersist(offset + WORD_BYTES, descriptor, WORD_BYTES);
    const word = new DataView(descriptor.buffer, descriptor.byteOffset).getBigUint64(0, true);
    return this.#mapping.storePersist64(offset, word);
  }

  publishWord(offset: number, word: bigint): undefined | Promise<void> {
    if (!this.#mapping.isPmem) {
      const bytes = Buffer.alloc(WORD_BYTES);
      bytes.writeBigUInt64LE(word);
      return this.#certainly(this.#writeThrough(offset, bytes, true));
    }
    this.#checkSound();
    return this.#mapping.storePersist64(offset, word);
  }

  clear(offset: number, length: number): undefined | Promise<void> {
    this.#checkSound();
    if (length > AT_ONCE_BYTES || !this.#mapping.isPmem)
      return this.#certainly(this.#mapping.fillAsync(offset, length, 0));
    return this.#certainly(this.#mapping.fillPersist(offset, length, 0));
  }

  async allocate(offset: number, length: number): Promise<void> {
    this.#checkSound();
    try {
      await this.#operations.allocate(this.#file, offset, length);
    } catch (cause) {
      if (systemCodeOf(cause) !== 'ENOSPC') throw cause;
      throw new BedrockError(
        'OUT_OF_SPACE',
        `the file system has no ${length} bytes more for ${this.#path}`,
        { cause },
      );
    }
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

  async close(): Promise<void> {
    try {
      await this.#mapping.close();
    } finally {
      await this.#file.close();
    }
  }

  /** Notes the failure of what, if it fails, leaves the medium in a state that nobody knows. */
  #certainly(step: undefined | Promise<void>): undefined | Promise<void> {
    return step?.catch((error: unknown) => {
      this.#failure ??= error;
      throw this.#refusal(error);
    });
  }

  #checkSound(): void {
    if (this.#failure !== undefined) throw this.#refusal(this.#failure);
  }

  #refusal(cause: unknown): BedrockError {
    if (cause instanceof BedrockError) return cause;
    return new BedrockError(
      'READ_ONLY',
      `${this.#path} takes no more changes, as the medium failed to make some durable: ${messageOf(cause)}; see to it, then restart`,
      { cause },
    );
  }
}
