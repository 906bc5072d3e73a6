/**
 * A pool's file, read and written on the thread pool, and what both media that lie on it do when it fails: once something could not
 * be made durable nobody knows what the medium has, so from then on everything that changes is refused.
 */
import type { FileHandle } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import type { FileOperations } from './file-operations.js';
import { MAX_PIECE_BYTES, WriteGroup } from './write-group.js';

/** fs takes no more at once. */
const MAX_TRANSFER_BYTES = 2 ** 30;

export class PoolFileIo {
  readonly file: FileHandle;
  readonly #path: string;
  readonly #operations: FileOperations;
  /** Absent where writes are better made one by one. */
  readonly #group: WriteGroup | undefined;
  #failure: unknown;

  constructor({ file, path }: { file: FileHandle; path: string }, operations: FileOperations) {
    this.file = file;
    this.#path = path;
    this.#operations = operations;
    if (operations.writeMany !== undefined)
      this.#group = new WriteGroup((pieces) => operations.writeMany?.(file, pieces) ?? Promise.resolve());
  }

  /** Fills `into` from `offset` on. @throws POOL_CORRUPT at the file's end, what the system says */
  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      const length = Math.min(into.length - at, MAX_TRANSFER_BYTES);
      const { bytesRead } = await this.file.read(into, at, length, offset + at);
      if (bytesRead === 0) {
        throw new BedrockError(
          'POOL_CORRUPT',
          `the pool ${this.#path} ends at ${offset + at}, before bytes that it should have`,
        );
      }
      at += bytesRead;
    }
  }

  /** Stores bytes; nothing is said of when they are durable. @throws READ_ONLY, what the system says */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.checkSound();
    if (this.#group !== undefined && bytes.length <= MAX_PIECE_BYTES) return this.#group.write(offset, bytes);
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_TRANSFER_BYTES);
      at += (await this.file.write(bytes, at, length, offset + at)).bytesWritten;
    }
  }

  /** Gives a range its space. @throws OUT_OF_SPACE, READ_ONLY */
  async allocate(offset: number, length: number): Promise<void> {
    this.checkSound();
    try {
      await this.#operations.allocate(this.file, offset, length);
    } catch (cause) {
      if (systemCodeOf(cause) !== 'ENOSPC') throw cause;
      throw new BedrockError(
        'OUT_OF_SPACE',
        `the file system has no ${length} bytes more for ${this.#path}`,
        { cause },
      );
    }
  }

  /** Makes a range zero, and gives its space back where that can be. @throws READ_ONLY */
  async clear(offset: number, length: number): Promise<void> {
    this.checkSound();
    await this.#operations.clear(this.file, offset, length);
  }

  /** @throws READ_ONLY after a failure */
  checkSound(): void {
    if (this.#failure !== undefined) throw this.#refusal(this.#failure);
  }

  /** Awaits what, if it fails, leaves the medium in a state that nobody knows. @throws READ_ONLY then */
  certainly(step: undefined | Promise<void>): undefined | Promise<void> {
    return step?.catch((error: unknown) => {
      this.#failure ??= error;
      throw this.#refusal(error);
    });
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
