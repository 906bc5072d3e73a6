/**
 * A pool's file accessed by asynchronous reads and writes, and made durable by fdatasync, which all
 * waiting calls share. A short read of bytes that are in the page cache is done at once.
 *
 * After an fdatasync has failed, the kernel may have dropped the pages that it could not write, so
 * nothing more is known to be durable. From then on all changes are refused.
 */
import type { FlushMeter, MediumSpace, PoolFileIo, PoolMedium, TargetMode } from '../../core/index.js';

const WORD_BYTES = 8;

export interface FileMediumOptions {
  io: PoolFileIo;
  /** Size of the file, bytes. */
  size: number;
  /** False: nothing waits for the disk, and a power failure may lose what was acknowledged. */
  sync: boolean;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
  /** Whether the space of erased regions returns to the file system. */
  reclaims?: boolean;
  /** Whether free space may not be allocated on the file system. */
  isSparse?: boolean;
  /** Whether bytes of the file that have space can always be overwritten, so the pool may have a log. */
  overwrites?: boolean;
}

export class FileMedium implements PoolMedium {
  readonly size: number;
  readonly isSparse: boolean;
  readonly reclaims: boolean;
  readonly #io: PoolFileIo;
  readonly #sync: boolean;
  readonly #syncWrites: boolean;
  readonly writeThrough?: NonNullable<PoolMedium['writeThrough']>;

  constructor({
    io,
    size,
    sync,
    syncWrites,
    reclaims = false,
    isSparse = false,
    overwrites = false,
  }: FileMediumOptions) {
    this.size = size;
    this.isSparse = isSparse;
    this.reclaims = reclaims;
    this.#io = io;
    this.#sync = sync;
    this.#syncWrites = syncWrites;
    if (overwrites && sync && !reclaims && !isSparse && io.canWriteThrough)
      this.writeThrough = (offset, bytes, pieces, callers) => io.writeThrough(offset, bytes, pieces, callers);
  }

  get mode(): TargetMode {
    if (!this.#io.isSound) return 'read-only';
    return this.#sync ? 'fdatasync' : 'unsynced';
  }

  get flushes(): FlushMeter {
    return this.#io.flushes;
  }

  read(offset: number, into: Uint8Array): undefined | Promise<void> {
    return this.readNow(offset, into) ? undefined : this.readCarefully(offset, into);
  }

  readNow(offset: number, into: Uint8Array): boolean {
    return this.#io.readNow(offset, into);
  }

  /** From the thread pool. */
  readCarefully(offset: number, into: Uint8Array): Promise<void> {
    return this.#io.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(offset, bytes);
    if (this.#syncWrites) await this.barrier();
  }

  stage(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#io.write(offset, bytes);
  }

  stageWord(offset: number, word: bigint): Promise<void> {
    return this.#io.certainly(this.#io.write(offset, wordBytes(word)));
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(offset, bytes);
    await this.barrier();
  }

  persist(): Promise<void> {
    return this.barrier();
  }

  barrier(): Promise<void> {
    if (this.#sync) return this.#io.commit();
    // Nothing waits for the disk, but a file that has lost bytes is still reported.
    this.#io.checkSound();
    return Promise.resolve();
  }

  /** A descriptor lies within a sector, so the disk has the old one or the new one. */
  async publish(offset: number, descriptor: Uint8Array): Promise<void> {
    await this.#io.certainly(this.#io.write(offset, descriptor));
    await this.barrier();
  }

  async publishWord(offset: number, word: bigint): Promise<void> {
    await this.publish(offset, wordBytes(word));
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

  opened(): void {
    this.#io.opened();
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

  close(): Promise<void> {
    return this.#io.close();
  }
}

function wordBytes(word: bigint): Buffer {
  const bytes = Buffer.alloc(WORD_BYTES);
  bytes.writeBigUInt64LE(word);
  return bytes;
}
