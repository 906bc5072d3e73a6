/**
 * The space of a pool's file: allocates, keeps and frees it, and reports how much its file system
 * has left. A file system may have too little, or be filled by others, so each of these can be
 * refused. A refusal allocates nothing, and everything else continues.
 */
import type { FileHandle } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import type { MediumSpace } from '../pool/medium.js';
import type { FileOperations } from './file-operations.js';
import { MAX_GROUPED_WRITE_BYTES } from './write-group.js';

/** The unit in which stat(2) counts the blocks of a file. */
const BLOCK_BYTES = 512;
/** The errors of a file system that lacks a call. */
const LACKING = ['ENOTSUP', 'EOPNOTSUPP'];
/** The errors for no more bytes: of a file system, of a user, of a process's files. */
const REFUSALS = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const ZEROS = new Uint8Array(MAX_GROUPED_WRITE_BYTES);
/**
 * Maximum range of one job that searches for a nonzero byte, as it must not occupy a thread of the
 * pool for long.
 */
const SEARCH_BYTES = 2 ** 26;
const READ_BYTES = 2 ** 20;

/** The parts of the pool's file that its space needs; `PoolFileIo` describes them. */
export interface SpaciousFile {
  readonly file: FileHandle;
  readonly path: string;
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  look(): Promise<void>;
  checkSound(): void;
  checkBeforeChange(end: number): Promise<void> | undefined;
  refused(error: unknown, length: number): Promise<never>;
}

/** The space of a pool's file on its disk. */
export class FileSpace {
  readonly #io: SpaciousFile;
  readonly #operations: FileOperations;

  /** @internal */
  constructor(io: SpaciousFile, operations: FileOperations) {
    this.#io = io;
    this.#operations = operations;
  }

  /**
   * Allocates a range after the present end of the pool, zero and durable, as a header that names
   * it may reach the disk at once. Its former contents belong to no one, for example those of a
   * larger pool that was overwritten with a backup of a smaller one.
   * @throws OUT_OF_SPACE if it is refused for any reason; READ_ONLY
   */
  async grow(offset: number, length: number): Promise<void> {
    // If nothing can be discarded, allocation writes zeros.
    if (this.canDiscard) await this.discard(offset, length);
    await this.allocate(offset, length);
  }

  /**
   * Allocates a free range, durably. Nobody else uses it.
   * @throws OUT_OF_SPACE if it is refused for any reason; READ_ONLY
   */
  async allocate(offset: number, length: number): Promise<void> {
    const io = this.#io;
    // Otherwise a truncated file would get its former length back.
    await io.look();
    await this.#operations
      .allocate(io.file, offset, length)
      .catch((error: unknown) => this.#noneHad(error, length));
    await io.commit();
  }

  /**
   * Allocates the holes below `end`, durably, for example those of a sparse copy. No other call may
   * be in progress.
   * @throws OUT_OF_SPACE, also if allocation is not possible and something is missing; READ_ONLY,
   *   errors of the system
   */
  async fillHoles(end: number): Promise<void> {
    const io = this.#io;
    io.checkSound();
    const missing = end - (await io.file.stat()).blocks * BLOCK_BYTES;
    const left = missing > 0 ? await this.left() : undefined;
    // Checked first, so that other programs do not run out of space for a moment.
    if (left !== undefined && missing > left.freeBytes) await this.#noneHad(undefined, missing);
    if (this.#operations.fill === undefined)
      return missing > 0 ? this.#noneHad(undefined, missing) : undefined;
    try {
      await this.#operations.fill(io.file, 0, end);
    } catch (error) {
      if (isLacking(error)) return missing > 0 ? this.#noneHad(error, missing) : undefined;
      return isFull(error) ? this.#noneHad(error, Math.max(missing, 0)) : io.refused(error, end);
    }
    await io.commit();
  }

  /**
   * Allocates separate space for what is shared with a reflink copy below `end`, durably. Does
   * nothing if the file system cannot, for example because it copies on every write. No other call
   * may be in progress.
   * @throws OUT_OF_SPACE, READ_ONLY, errors of the system
   */
  async unshare(end: number): Promise<void> {
    const io = this.#io;
    if (this.#operations.unshare === undefined || end === 0) return;
    io.checkSound();
    try {
      await this.#operations.unshare(io.file, 0, end);
    } catch (error) {
      if (isLacking(error)) return;
      return isFull(error) ? this.#noneHad(error, end) : io.refused(error, end);
    }
    await io.commit();
  }

  /** Free space of the file system; undefined if unknown. */
  async left(): Promise<MediumSpace | undefined> {
    const { file, path } = this.#io;
    const freeBytes = await this.#operations.freeBytes?.(file, path);
    return freeBytes === undefined ? undefined : { freeBytes, path };
  }

  /** Whether `firstNonZero` works without reading holes. */
  get knowsHoles(): boolean {
    return this.#operations.firstNonZero !== undefined;
  }

  /** Offset of the first byte of a range that is not zero; undefined if there is none. */
  async firstNonZero(offset: number, end: number): Promise<number | undefined> {
    return this.#operations.firstNonZero?.(this.#io.file, offset, end);
  }

  /** Whether a range is all zeros. False if it cannot be read. */
  async isZero(offset: number, length: number): Promise<boolean> {
    const end = offset + length;
    try {
      const piece = this.knowsHoles ? SEARCH_BYTES : READ_BYTES;
      for (let at = offset; at < end; at += piece)
        if (!(await this.#isPieceZero(at, Math.min(at + piece, end)))) return false;
      return true;
    } catch {
      return false;
    }
  }

  async #isPieceZero(offset: number, end: number): Promise<boolean> {
    if (this.knowsHoles) return (await this.firstNonZero(offset, end)) === undefined;
    const bytes = Buffer.alloc(end - offset);
    await this.#io.read(offset, bytes);
    return bytes.equals(Buffer.alloc(bytes.length));
  }

  /** Zeros a range, and keeps its space allocated. @throws OUT_OF_SPACE, READ_ONLY, errors of the system */
  async zero(offset: number, length: number): Promise<void> {
    const io = this.#io;
    // A small range is better written, together with others.
    if (length <= MAX_GROUPED_WRITE_BYTES) return io.write(offset, ZEROS.subarray(0, length));
    await io.checkBeforeChange(offset + length);
    await this.#operations.zero(io.file, offset, length).catch((error: unknown) => io.refused(error, length));
  }

  /** Whether `discard` is available. */
  get canDiscard(): boolean {
    return this.#operations.discard !== undefined;
  }

  /**
   * Zeros a range, and frees its space if the file system can.
   * @throws OUT_OF_SPACE, READ_ONLY, errors of the system
   */
  async discard(offset: number, length: number): Promise<void> {
    const io = this.#io;
    io.checkSound();
    try {
      await this.#operations.discard?.(io.file, offset, length);
    } catch (error) {
      if (!isLacking(error)) return io.refused(error, length);
      await this.zero(offset, length);
    }
  }

  async #noneHad(error: unknown, length: number): Promise<never> {
    const left = await this.left();
    const free = left === undefined ? '' : `, which has ${left.freeBytes} bytes free`;
    const why = error === undefined ? '' : ` (${messageOf(error)})`;
    throw new BedrockError(
      'OUT_OF_SPACE',
      `the file system of ${this.#io.path} cannot provide ${length} more bytes${free}${why}`,
      { ...(error !== undefined && { cause: error }) },
    );
  }
}

function isLacking(error: unknown): boolean {
  return LACKING.includes(systemCodeOf(error) ?? '');
}

/** Whether the system has no more bytes, as opposed to a failure. */
export function isFull(error: unknown): boolean {
  return REFUSALS.includes(systemCodeOf(error) ?? '');
}
