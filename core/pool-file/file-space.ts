/**
 * The space of a pool's file: given to it, kept, given back to its file system, and how much of that there is. A file system may have too
 * little, or be full of what others store, so each of these can be refused; a refusal takes nothing, and all else goes on.
 */
import type { FileHandle } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import type { MediumSpace } from '../pool/medium.js';
import type { FileOperations } from './file-operations.js';
import { MAX_PIECE_BYTES } from './write-group.js';

/** In which the blocks of a file are counted (stat(2)). */
const BLOCK_BYTES = 512;
/** What a file system says of a call that it does not have. */
const LACKING = ['ENOTSUP', 'EOPNOTSUPP'];
const ZEROS = new Uint8Array(MAX_PIECE_BYTES);
/** Searched for a byte that is not zero in one job, which must not keep a thread of the pool for long; less where it is read first. */
const SEARCH_BYTES = 2 ** 26;
const READ_BYTES = 2 ** 20;

/** The pool's file, as far as its space needs it; `PoolFileIo` says what each of them does. */
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

export class FileSpace {
  readonly #io: SpaciousFile;
  readonly #operations: FileOperations;

  constructor(io: SpaciousFile, operations: FileOperations) {
    this.#io = io;
    this.#operations = operations;
  }

  /**
   * Gives a range behind what the pool has had its space, zero and durable: a header that names it may reach the disk at once. What stood
   * there is nobody's, as of a larger pool that a backup of a smaller one was written over.
   * @throws OUT_OF_SPACE if there is none to be had, for whatever reason; READ_ONLY
   */
  async grow(offset: number, length: number): Promise<void> {
    // Where nothing can be discarded, allocating is writing zeros.
    if (this.canDiscard) await this.discard(offset, length);
    await this.allocate(offset, length);
  }

  /**
   * Gives a range that holds nothing its space, durably. Nobody else uses it.
   * @throws OUT_OF_SPACE if there is none to be had, for whatever reason; READ_ONLY
   */
  async allocate(offset: number, length: number): Promise<void> {
    const io = this.#io;
    // A file that was cut off would come back as long as it was.
    await io.look();
    await this.#operations
      .allocate(io.file, offset, length)
      .catch((error: unknown) => this.#noneHad(error, length));
    await io.commit();
  }

  /**
   * Gives what is a hole below `end` its space, durably, as of a copy that was made sparse. No other call is under way.
   * @throws OUT_OF_SPACE
   */
  async fillHoles(end: number): Promise<void> {
    const io = this.#io;
    io.checkSound();
    const missing = end - (await io.file.stat()).blocks * BLOCK_BYTES;
    const left = missing > 0 ? await this.left() : undefined;
    // Asked first, so that others need not do without for a moment.
    if (left !== undefined && missing > left.freeBytes) await this.#noneHad(undefined, missing);
    if (this.#operations.fill === undefined)
      return missing > 0 ? this.#noneHad(undefined, missing) : undefined;
    await this.#operations
      .fill(io.file, 0, end)
      .catch((error: unknown) => this.#noneHad(error, Math.max(missing, 0)));
    await io.commit();
  }

  /**
   * Gives what is shared with a reflinked copy below `end` its own space, durably. Nothing is done where the file system cannot, as one that
   * copies on every write. No other call is under way.
   * @throws OUT_OF_SPACE
   */
  async unshare(end: number): Promise<void> {
    const io = this.#io;
    if (this.#operations.unshare === undefined || end === 0) return;
    io.checkSound();
    try {
      await this.#operations.unshare(io.file, 0, end);
    } catch (error) {
      if (LACKING.includes(systemCodeOf(error) ?? '')) return;
      await this.#noneHad(error, end);
    }
    await io.commit();
  }

  /** What the file system has left; nothing where it does not say. */
  async left(): Promise<MediumSpace | undefined> {
    const { file, path } = this.#io;
    const freeBytes = await this.#operations.freeBytes?.(file, path);
    return freeBytes === undefined ? undefined : { freeBytes, path };
  }

  /** Whether `firstNonZero` can tell, without reading the holes. */
  get knowsHoles(): boolean {
    return this.#operations.firstNonZero !== undefined;
  }

  /** The first byte of a range that is not zero; nothing if there is none. */
  async firstNonZero(offset: number, end: number): Promise<number | undefined> {
    return this.#operations.firstNonZero?.(this.#io.file, offset, end);
  }

  /** Whether a range is all zeros. Of what cannot be read nobody knows. */
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

  /** Makes a range zero, and leaves it its space. @throws OUT_OF_SPACE, READ_ONLY, what the system says */
  async zero(offset: number, length: number): Promise<void> {
    const io = this.#io;
    // A small one is better written, together with others.
    if (length <= MAX_PIECE_BYTES) return io.write(offset, ZEROS.subarray(0, length));
    await io.checkBeforeChange(offset + length);
    await this.#operations.zero(io.file, offset, length).catch((error: unknown) => io.refused(error, length));
  }

  /** Whether `discard` can be asked for. */
  get canDiscard(): boolean {
    return this.#operations.discard !== undefined;
  }

  /** Makes a range zero, and gives its space back if the file system can. @throws OUT_OF_SPACE, READ_ONLY, what the system says */
  async discard(offset: number, length: number): Promise<void> {
    const io = this.#io;
    io.checkSound();
    try {
      await this.#operations.discard?.(io.file, offset, length);
    } catch (error) {
      if (!LACKING.includes(systemCodeOf(error) ?? '')) return io.refused(error, length);
      await this.zero(offset, length);
    }
  }

  async #noneHad(error: unknown, length: number): Promise<never> {
    const left = await this.left();
    const free = left === undefined ? '' : `, which has ${left.freeBytes} bytes free`;
    const why = error === undefined ? '' : ` (${messageOf(error)})`;
    throw new BedrockError(
      'OUT_OF_SPACE',
      `${length} bytes more are not to be had of the file system of ${this.#io.path}${free}${why}`,
      { ...(error !== undefined && { cause: error }) },
    );
  }
}
