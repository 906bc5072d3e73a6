/**
 * A pool's file in the hands of a command, with no daemon around it: opened as it is, locked, read and written in place. Nothing is
 * mapped and nothing made, so a file that is damaged in any way can be looked at.
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
   * @param given the pool's file, or the directory with pool.pmem inside
   * @param isReadOnly then others may look at it too; otherwise nobody else has it open
   * @throws POOL_NOT_FOUND, POOL_IN_USE, POOL_CORRUPT (no regular file), NATIVE_UNAVAILABLE (no lock), what the system says
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

  /** Bytes of the file. */
  get size(): number {
    return this.#size;
  }

  /** The first byte from an offset on that is not zero; nothing if there is none, or if nobody can tell. */
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

  /** Gives the file more bytes, all zero, with space behind them. @throws OUT_OF_SPACE */
  async extend(size: number): Promise<void> {
    await this.#io.space.allocate(this.#size, size - this.#size);
    this.#size = size;
  }

  /** Cuts the file off. */
  async truncate(size: number): Promise<void> {
    await this.#io.file.truncate(size);
    this.#size = size;
  }

  close(): Promise<void> {
    return this.#io.close();
  }
}

/** A command names the system's own error, with what is to be done about it. */
function madePlain(error: unknown): unknown {
  const system = error instanceof BedrockError && error.code === 'START_FAILED' ? error.cause : error;
  const code = systemCodeOf(system);
  if (!(system instanceof Error) || code === undefined || system instanceof BedrockError) return error;
  const cure = CURES[code];
  if (cure !== undefined) system.message += `; ${cure}`;
  return system;
}

const CURES: Record<string, string> = {
  EACCES: 'run the command as the user who owns the pool',
  EPERM: 'run the command as the user who owns the pool',
  EROFS: 'the file system is mounted for reading only, so the pool can be checked there but not repaired',
  ENOTDIR: 'a part of the path is a file',
};
