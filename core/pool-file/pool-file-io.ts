/**
 * A pool's file, read and written on the thread pool, and the common handling of failures and of a
 * full medium.
 *
 * If something could not be made durable, it is unknown what the medium contains. From then on all
 * changes are refused. The same is true of a file that others have changed under the pool
 * (file-change.ts): later writes would be lost with it. A full medium has not failed: a refused
 * write is OUT_OF_SPACE, and everything else continues. This applies to writes only. An fdatasync
 * that reports ENOSPC may have dropped bytes that were acknowledged as written, and is a failure.
 * While the pool is being opened, nothing has been acknowledged yet: what the open itself has
 * written is dropped then, so that reads show what the medium contains, and the error is
 * OUT_OF_SPACE.
 */
import { fstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { FlushMeter } from '../base/flush-meter.js';
import { withCure } from '../base/system-cure.js';
import { changeOf, type KnownFile } from './file-change.js';
import type { FileOperations, FilePiece } from './file-operations.js';
import { FileSpace, isFull } from './file-space.js';
import { GroupCommit } from './group-commit.js';
import { MAX_GROUPED_WRITE_BYTES, WriteGroup } from './write-group.js';

/** Maximum size of one call of fs. */
const MAX_TRANSFER_BYTES = 2 ** 30;
/**
 * Reads of up to this many bytes are tried in the page cache first. The event loop must not be
 * blocked for longer than that takes.
 */
const MAX_CACHED_READ_BYTES = 2 ** 20;
/**
 * After so many bytes or reads from the page cache, the next read goes to the thread pool: a loop
 * that only awaits reads would otherwise never let the event loop turn. It takes about 2 ms.
 */
const CACHED_BYTES_IN_A_ROW = 2 ** 24;
const CACHED_READS_IN_A_ROW = 1024;
/**
 * Interval of checks of the file, in addition to those at each commit: so an idle pool notices the
 * loss of its file too.
 */
const WATCH_INTERVAL_MS = 1000;

/**
 * The file of an open pool: reads, writes, commits. It refuses changes once one could not be made
 * durable.
 */
export class PoolFileIo {
  /** The open file. It is closed by `close`. */
  readonly file: FileHandle;
  /** Its path, for errors. */
  readonly path: string;
  /** Allocates and frees space of the file on the disk. */
  readonly space: FileSpace;
  readonly #known: KnownFile;
  readonly #operations: FileOperations;
  /** Absent if single writes are better. */
  readonly #group: WriteGroup | undefined;
  /** Of its commits. */
  readonly flushes = new FlushMeter();
  readonly #commits = new GroupCommit(() => this.#commitNow(), this.flushes);
  readonly #failed: (error: BedrockError) => void;
  #failure: BedrockError | undefined;
  /**
   * Whether the pool is still being opened: everything that was read was durable, and nothing has
   * been acknowledged since.
   */
  #isOpening = true;
  #timer: NodeJS.Timeout | undefined;
  /** Shared by all who ask before it has begun. */
  #nextLook: Promise<void> | undefined;
  /** Checks in progress. Each has the file open itself, and so holds its lock. */
  readonly #looking = new Set<Promise<void>>();
  readonly #held: { close(): void } | undefined;
  /** Whether the file system can tell what is in the page cache, as far as is known. */
  #tellsCached: boolean;
  /** Those that may still come from the page cache before one has to come from the thread pool. */
  #cachedBytesLeft = CACHED_BYTES_IN_A_ROW;
  #cachedReadsLeft = CACHED_READS_IN_A_ROW;

  /** @internal @param failed called once, with the reason why changes are refused from now on */
  constructor(
    known: KnownFile,
    operations: FileOperations,
    failed: (error: BedrockError) => void = () => undefined,
  ) {
    const { file, path } = known;
    this.file = file;
    this.#known = known;
    this.path = path;
    this.space = new FileSpace(this, operations);
    this.#operations = operations;
    this.#failed = failed;
    this.#held = operations.hold?.(file);
    this.#tellsCached = operations.readNow !== undefined;
    if (operations.writeMany !== undefined)
      this.#group = new WriteGroup((pieces) => operations.writeMany?.(file, pieces) ?? Promise.resolve());
  }

  /** @internal The same, but the file is closed if this fails: there may be no descriptor left. */
  static async take(...given: ConstructorParameters<typeof PoolFileIo>): Promise<PoolFileIo> {
    try {
      return new PoolFileIo(...given);
    } catch (error) {
      await given[0].file.close();
      throw error;
    }
  }

  /** Whether changes are accepted. */
  get isSound(): boolean {
    return this.#failure === undefined;
  }

  /** Checks the file from now on, until `close`. */
  watch(): void {
    this.#timer = setInterval(() => void this.#look(), WATCH_INTERVAL_MS).unref();
  }

  /**
   * Waits for commits, ends the checks and waits for those in progress, then closes the file, which
   * releases the lock.
   * @throws errors of the system
   */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#commits.ended();
    // Otherwise the next open of the pool would find it still locked.
    await Promise.all(this.#looking);
    this.#held?.close();
    await this.file.close();
  }

  /**
   * Fills `into` from the page cache. It never waits for the disk.
   * @returns whether it did; if not, `into` has to be filled by `read`, which tells what is wrong,
   *   if anything is
   */
  readNow(offset: number, into: Uint8Array): boolean {
    const { length } = into;
    if (!this.#tellsCached || length > MAX_CACHED_READ_BYTES) return false;
    if (this.#cachedReadsLeft === 0 || this.#cachedBytesLeft < length) {
      this.#cachedReadsLeft = CACHED_READS_IN_A_ROW;
      this.#cachedBytesLeft = CACHED_BYTES_IN_A_ROW;
      return false;
    }
    this.#cachedReadsLeft--;
    this.#cachedBytesLeft -= length;
    try {
      const isThere = this.#operations.readNow?.(this.file, into, offset);
      this.#tellsCached = isThere !== undefined;
      return isThere === true;
    } catch {
      return false;
    }
  }

  /** Fills `into` from `offset` on. @throws POOL_CORRUPT at the end of the file, errors of the system */
  async read(offset: number, into: Uint8Array): Promise<void> {
    // Read once: the array may grow meanwhile, and another region begins after the checked range.
    const { length: size } = into;
    for (let at = 0; at < size;) {
      const length = Math.min(size - at, MAX_TRANSFER_BYTES);
      const { bytesRead } = await this.file.read(into, at, length, offset + at);
      if (bytesRead === 0) {
        await this.#look();
        throw new BedrockError(
          'POOL_CORRUPT',
          `the pool ${this.path} ends at ${offset + at}, before bytes that it should have`,
        );
      }
      at += bytesRead;
    }
  }

  /**
   * Stores bytes, without a guarantee of durability.
   * @throws OUT_OF_SPACE, READ_ONLY, errors of the system
   */
  async write(offset: number, given: Uint8Array): Promise<void> {
    // With a fixed length, as the caller's array may grow before the system reads it: the following
    // bytes belong to another region.
    const bytes = given.subarray(0, given.length);
    const looked = this.checkBeforeChange(offset + bytes.length);
    if (looked !== undefined) await looked;
    if (this.#group === undefined || bytes.length > MAX_GROUPED_WRITE_BYTES)
      return this.#writeAlone(offset, bytes);
    // Another write of the group may have failed: a region without space must not make a descriptor
    // or a header fail.
    return this.#group.write(offset, bytes).catch(() => this.#writeAlone(offset, bytes));
  }

  /** @param bytes of a fixed length */
  async #writeAlone(offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_TRANSFER_BYTES);
      const { bytesWritten } = await this.file
        .write(bytes, at, length, offset + at)
        .catch((error: unknown) => this.refused(error, length));
      at += bytesWritten;
    }
  }

  /**
   * Called before bytes up to `end` are changed.
   * @throws READ_ONLY after a failure
   */
  checkBeforeChange(end: number): undefined | Promise<void> {
    this.checkSound();
    // The change could hide a truncation by restoring the file's length.
    return end >= this.#known.size ? this.look() : undefined;
  }

  /**
   * Refuses a change once the medium has failed.
   * @throws READ_ONLY
   */
  checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Awaits a step whose failure leaves the medium in an unknown state: durable or not, or half done.
   * @throws READ_ONLY then; OUT_OF_SPACE for a refused write
   */
  certainly<T>(step: Promise<T>): Promise<T> {
    return step.catch(async (error: unknown) => {
      if (isOutOfSpace(error)) throw error;
      if (this.#isOpening && isFull(error) && (await this.#dropStored())) return this.refused(error, 0);
      const cure =
        this.#operations.dropCache === undefined
          ? ', remount its file system (as nothing else drops what the kernel has cached and the medium may lack), and restart'
          : ', and restart';
      throw this.fail(`the medium failed to make some durable: ${withCure(error)}; see to it${cure}`, error);
    });
  }

  /** The pool is open, and acknowledges changes from now on. */
  opened(): void {
    this.#isOpening = false;
  }

  /** Drops what was written and not made durable. @returns whether reads now show what the medium contains */
  async #dropStored(): Promise<boolean> {
    const operations = this.#operations;
    if (operations.dropCache === undefined) return false;
    try {
      await operations.dropCache(this.file);
      await this.file.datasync();
      await operations.dropCache(this.file);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Makes all earlier writes durable, and checks that the file is still the one that was opened:
   * then the durable bytes are in it, and the next start finds them. All who ask while a commit
   * runs share the next one.
   * @throws READ_ONLY if either fails
   */
  commit(): Promise<void> {
    return this.#commits.join();
  }

  /** Whether `writeThrough` is possible. */
  get canWriteThrough(): boolean {
    return this.#operations.writeThrough !== undefined;
  }

  /**
   * Makes bytes durable, and nothing else, then writes pieces. It also checks that the file is
   * still the one that was opened.
   * @param callers how many wait for it, for the figures
   * @throws READ_ONLY if any of that fails
   */
  writeThrough(
    offset: number,
    bytes: Uint8Array,
    pieces: readonly FilePiece[],
    callers: number,
  ): Promise<void> {
    return this.flushes.measure(callers, () => this.#writeThroughNow({ offset, bytes }, pieces));
  }

  async #writeThroughNow(first: FilePiece, pieces: readonly FilePiece[]): Promise<void> {
    this.checkSound();
    const { path, name = path, size } = this.#known;
    const written = this.#operations.writeThrough?.(this.file, { path: name, size }, first, pieces);
    const isSame = await this.certainly(written ?? Promise.resolve(false));
    if (isSame) this.checkSound();
    else await this.look();
  }

  async #commitNow(): Promise<void> {
    this.checkSound();
    const { file, path, name = path, size } = this.#known;
    if (this.#operations.commit === undefined) {
      // The bytes were written before, so the check may run concurrently; a file that is truncated
      // later was whole and durable.
      await Promise.all([this.certainly(file.datasync()), this.look()]);
      return;
    }
    const isSame = await this.certainly(this.#operations.commit(file, name, size));
    if (isSame) this.checkSound();
    else await this.look();
  }

  /**
   * Checks that the file is still the one that was opened: then earlier writes are in it, and the
   * next start finds them. All who ask in one turn of the event loop share a check.
   * @throws READ_ONLY if it is not
   */
  async look(): Promise<void> {
    this.#nextLook ??= Promise.resolve().then(() => {
      this.#nextLook = undefined;
      return this.#look();
    });
    await this.#nextLook;
    this.checkSound();
  }

  #look(): Promise<void> {
    const looking = this.#lookNow().finally(() => this.#looking.delete(looking));
    this.#looking.add(looking);
    return looking;
  }

  async #lookNow(): Promise<void> {
    if (!this.isSound) return;
    const { file, path, name = path, size } = this.#known;
    try {
      if (this.#operations.verify !== undefined) return await this.#operations.verify(file, name, size);
    } catch {
      // The state is checked below.
    }
    const change = await changeOf(this.#known);
    if (change !== undefined) this.fail(change);
  }

  /** The mapping of the file has lost pages. @returns the reason why changes are refused from now on */
  failMapping(cause: unknown): BedrockError {
    const { size } = this.#known;
    // On an open file, and once: this does not wait for a disk.
    const now = fstatSync(this.file.fd).size;
    return this.fail(
      now < size
        ? `its file was truncated while it was open, from ${size} to ${now} bytes`
        : 'pages of its mapping are lost, as where a copy-on-write file system is full, or memory has errors; see to it, and restart',
      cause,
    );
  }

  /**
   * Refuses changes from now on, as it is unknown what the medium contains. The first failure is
   * the cause of all later ones.
   * @returns the error of all changes
   */
  fail(why: string, cause?: unknown): BedrockError {
    if (this.#failure === undefined) {
      this.#failure = new BedrockError(
        'READ_ONLY',
        `the pool ${this.path} can be read, and takes no more changes: ${why}`,
        { details: { path: this.path }, ...(cause !== undefined && { cause }) },
      );
      this.#failed(this.#failure);
    }
    return this.#failure;
  }

  /**
   * Handles a change that the system refused. Of what it accepted before, each byte is old or new.
   * @throws OUT_OF_SPACE, READ_ONLY, errors of the system
   */
  async refused(error: unknown, length: number): Promise<never> {
    if (!isFull(error)) {
      await this.#look();
      throw error;
    }
    const asked = length === 0 ? 'no room' : `no ${length} bytes more`;
    throw new BedrockError(
      'OUT_OF_SPACE',
      `the file system has ${asked} for ${this.path} (${systemCodeOf(error)})`,
      { cause: error },
    );
  }
}

function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
