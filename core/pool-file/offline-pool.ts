/**
 * A pool's file opened by a command, without a daemon: opened as it is, locked, read and written in
 * place. It is not mapped, and nothing is created, so a file with any kind of damage can be
 * inspected.
 */
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { fileOperations } from './file-operations.js';
import { PoolFileIo } from './pool-file-io.js';
import { type FoundFile, openPoolAsItIs } from './pool-file.js';

export class OfflinePool {
  readonly path: string;
  readonly #io: PoolFileIo;
  #size: number;

  private constructor({ path, size }: FoundFile, io: PoolFileIo) {
    this.path = path;
    this.#size = size;
    this.#io = io;
  }

  /**
   * @param given the pool's file, or the directory that contains pool.pmem
   * @param isReadOnly whether others may read it at the same time; otherwise nobody else may have it open
   * @throws POOL_NOT_FOUND, POOL_IN_USE, POOL_CORRUPT (not a regular file), NATIVE_UNAVAILABLE (no
   *   lock), errors of the system
   */
  static async open(given: string, isReadOnly: boolean): Promise<OfflinePool> {
    const operations = await fileOperations();
    try {
      const found = await openPoolAsItIs(given, isReadOnly, operations);
      return new OfflinePool(found, await PoolFileIo.take(found, operations));
    } catch (error) {
      throw madePlain(error);
    }
  }

  /** Size of the file, bytes. */
  get size(): number {
    return this.#size;
  }

  /**
   * Offset of the first byte from an offset on that is not zero; undefined if there is none, or if
   * it is unknown.
   */
  async firstNonZero(offset: number): Promise<number | undefined> {
    return this.#io.space.firstNonZero(offset, this.#size);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#io.read(offset, into);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#io.write(offset, bytes);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  async barrier(): Promise<void> {
    await this.#io.file.sync();
  }

  /** Extends the file with zeros, with space allocated. @throws OUT_OF_SPACE */
  async extend(size: number): Promise<void> {
    await this.#io.space.allocate(this.#size, size - this.#size);
    this.#size = size;
  }

  /** Truncates the file. */
  async truncate(size: number): Promise<void> {
    await this.#io.file.truncate(size);
    this.#size = size;
  }

  close(): Promise<void> {
    return this.#io.close();
  }
}

/** A command reports the system's own error. */
function madePlain(error: unknown): unknown {
  const system = error instanceof BedrockError && error.code === 'START_FAILED' ? error.cause : error;
  return systemCodeOf(system) === undefined || system instanceof BedrockError ? error : system;
}
