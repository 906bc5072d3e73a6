/**
 * A pool's file by asynchronous reads and writes, made durable by fdatasync.
 *
 * Group commit: everybody who asks for durability while an fdatasync runs waits for the next one, together. After one has failed the
 * kernel may have dropped the pages it could not write, so that nothing more can be known to be durable: from then on everything that
 * changes is refused.
 */
import type { FileHandle } from 'node:fs/promises';
import {
  BedrockError,
  messageOf,
  systemCodeOf,
  type FileOperations,
  type PoolMedium,
} from '../../core/index.js';

/** fs takes no more at once. */
const MAX_TRANSFER_BYTES = 2 ** 30;
const WORD_BYTES = 8;

export interface FileMediumOptions {
  file: FileHandle;
  path: string;
  /** Bytes. */
  size: number;
  /** False: nothing waits for the disk, and a power failure may take what was acknowledged. */
  sync: boolean;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
  operations: FileOperations;
}

export class FileMedium implements PoolMedium {
  readonly mode: string;
  readonly size: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #sync: boolean;
  readonly #syncWrites: boolean;
  readonly #operations: FileOperations;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: unknown;

  constructor({ file, path, size, sync, syncWrites, operations }: FileMediumOptions) {
    this.mode = sync ? 'fdatasync' : 'unsynced';
    this.size = size;
    this.#file = file;
    this.#path = path;
    this.#sync = sync;
    this.#syncWrites = syncWrites;
    this.#operations = operations;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      const length = Math.min(into.length - at, MAX_TRANSFER_BYTES);
      const { bytesRead } = await this.#file.read(into, at, length, offset + at);
      if (bytesRead === 0) {
        throw new BedrockError(
          'POOL_CORRUPT',
          `the pool ${this.#path} ends at ${offset + at}, before bytes that it should have`,
        );
      }
      at += bytesRead;
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#store(offset, bytes);
    if (this.#syncWrites) await this.barrier();
  }

  async #store(offset: number, bytes: Uint8Array): Promise<void> {
    this.#checkSound();
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_TRANSFER_BYTES);
      at += (await this.#file.write(bytes, at, length, offset + at)).bytesWritten;
    }
  }

  async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#store(offset, bytes);
    await this.barrier();
  }

  persist(): Promise<void> {
    return this.barrier();
  }

  barrier(): Promise<void> {
    if (!this.#sync) return Promise.resolve();
    if (this.#running === undefined) return (this.#running = this.#commit());
    return (this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#running = this.#commit());
      }));
  }

  /** A descriptor lies within a sector, so the disk has the old one or the new one. */
  async publish(offset: number, descriptor: Uint8Array): Promise<void> {
    await this.#certainly(this.#store(offset, descriptor));
    await this.barrier();
  }

  async publishWord(offset: number, word: bigint): Promise<void> {
    const bytes = Buffer.alloc(WORD_BYTES);
    bytes.writeBigUInt64LE(word);
    await this.publish(offset, bytes);
  }

  async clear(offset: number, length: number): Promise<void> {
    this.#checkSound();
    await this.#operations.clear(this.#file, offset, length);
    await this.barrier();
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

  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    await this.#file.close();
  }

  async #commit(): Promise<void> {
    try {
      this.#checkSound();
      await this.#certainly(this.#file.datasync());
    } finally {
      this.#running = undefined;
    }
  }

  /** Does what, if it fails, leaves the disk in a state that nobody knows. */
  async #certainly(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      this.#failure ??= error;
      throw this.#refusal(error);
    }
  }

  #checkSound(): void {
    if (this.#failure !== undefined) throw this.#refusal(this.#failure);
  }

  #refusal(cause: unknown): BedrockError {
    if (cause instanceof BedrockError) return cause;
    return new BedrockError(
      'READ_ONLY',
      `${this.#path} takes no more changes, as the disk failed to make some durable: ${messageOf(cause)}; see to the disk, then restart`,
      { cause },
    );
  }
}
