/**
 * A pool's file by asynchronous reads and writes, made durable by fdatasync.
 *
 * Group commit: everybody who asks for durability while an fdatasync runs waits for the next one, together. After one has failed the
 * kernel may have dropped the pages it could not write, so that nothing more can be known to be durable: from then on everything that
 * changes is refused.
 */
import type { MediumSpace, PoolFileIo, PoolMedium, TargetMode } from '../../core/index.js';

const WORD_BYTES = 8;

export interface FileMediumOptions {
  io: PoolFileIo;
  /** Bytes. */
  size: number;
  /** False: nothing waits for the disk, and a power failure may take what was acknowledged. */
  sync: boolean;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
  /** Whether the space of erased regions goes back to the file system. */
  reclaims?: boolean;
  /** Whether free space may lack space on the file system. */
  isSparse?: boolean;
}

export class FileMedium implements PoolMedium {
  readonly size: number;
  readonly isSparse: boolean;
  readonly reclaims: boolean;
  readonly #io: PoolFileIo;
  readonly #sync: boolean;
  readonly #syncWrites: boolean;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor({ io, size, sync, syncWrites, reclaims = false, isSparse = false }: FileMediumOptions) {
    this.size = size;
    this.isSparse = isSparse;
    this.reclaims = reclaims;
    this.#io = io;
    this.#sync = sync;
    this.#syncWrites = syncWrites;
  }

  get mode(): TargetMode {
    if (!this.#io.isSound) return 'read-only';
    return this.#sync ? 'fdatasync' : 'unsynced';
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#io.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(offset, bytes);
    if (this.#syncWrites) await this.barrier();
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(offset, bytes);
    await this.barrier();
  }

  persist(): Promise<void> {
    return this.barrier();
  }

  barrier(): Promise<void> {
    if (this.#sync) return (this.#next ??= this.#commitAfter(this.#running));
    // Nothing waits for the disk; what the file has lost is said all the same.
    this.#io.checkSound();
    return Promise.resolve();
  }

  /** Begins a turn later at the earliest: whoever comes in the same turn, as those whose bytes were written together, is taken along. */
  async #commitAfter(running: Promise<void> | undefined): Promise<void> {
    await running?.catch(() => undefined);
    this.#next = undefined;
    return (this.#running = this.#commit());
  }

  /** A descriptor lies within a sector, so the disk has the old one or the new one. */
  async publish(offset: number, descriptor: Uint8Array): Promise<void> {
    await this.#io.certainly(this.#io.write(offset, descriptor));
    await this.barrier();
  }

  async publishWord(offset: number, word: bigint): Promise<void> {
    const bytes = Buffer.alloc(WORD_BYTES);
    bytes.writeBigUInt64LE(word);
    await this.publish(offset, bytes);
  }

  async clear(offset: number, length: number): Promise<void> {
    await this.#io.space.zero(offset, length);
    await this.barrier();
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.#io.space.discard(offset, length);
    await this.barrier();
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#io.space.allocate(offset, length);
  }

  grow(offset: number, length: number): Promise<void> {
    return this.#io.space.grow(offset, length);
  }

  look(): Promise<void> {
    return this.#io.look();
  }

  fail(why: string, cause: unknown): Error {
    return this.#io.fail(why, cause);
  }

  isZero(offset: number, length: number): Promise<boolean> {
    return this.#io.space.isZero(offset, length);
  }

  space(): Promise<MediumSpace | undefined> {
    return this.#io.space.left();
  }

  checkSound(): void {
    this.#io.checkSound();
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#running)?.catch(() => undefined);
    await this.#io.close();
  }

  async #commit(): Promise<void> {
    try {
      await this.#io.commit();
    } finally {
      this.#running = undefined;
    }
  }
}
