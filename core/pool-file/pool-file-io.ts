/**
 * A pool's file, read and written on the thread pool, and what both media that lie on it do when it fails or is full.
 *
 * Once something could not be made durable nobody knows what the medium has, so from then on everything that changes is refused. The same
 * holds for a file that others have changed under the pool (file-change.ts): what it would be given is lost with it. A medium that is full
 * has not failed: what it refuses is OUT_OF_SPACE, and everything else goes on. That is so for writes alone. An fdatasync that reports
 * ENOSPC may have dropped bytes that were acknowledged as written, and is a failure.
 */
import { fstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import { changeOf, type KnownFile } from './file-change.js';
import type { FileOperations } from './file-operations.js';
import { FileSpace, type SpaciousFile } from './file-space.js';
import { MAX_PIECE_BYTES, WriteGroup } from './write-group.js';

/** fs takes no more at once. */
const MAX_TRANSFER_BYTES = 2 ** 30;
/** How often the file is looked at, besides at each commit: an idle pool that has lost its file is to be known as well. */
const WATCH_INTERVAL_MS = 1000;
/** What the system says when it takes no more bytes: of a file system, of a user, of a process's files. */
const REFUSALS = ['ENOSPC', 'EDQUOT', 'EFBIG'];

export class PoolFileIo implements SpaciousFile {
  readonly file: FileHandle;
  readonly path: string;
  readonly space: FileSpace;
  readonly #known: KnownFile;
  readonly #operations: FileOperations;
  /** Absent where writes are better made one by one. */
  readonly #group: WriteGroup | undefined;
  readonly #failed: (error: BedrockError) => void;
  #failure: BedrockError | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** For those who ask before it has begun. */
  #nextLook: Promise<void> | undefined;
  /** Looks under way. Each has the file open for itself, and with it the lock. */
  readonly #looking = new Set<Promise<void>>();
  readonly #held: { close(): void } | undefined;

  /** @param failed is told, once, why nothing that changes is taken any more */
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
    if (operations.writeMany !== undefined)
      this.#group = new WriteGroup((pieces) => operations.writeMany?.(file, pieces) ?? Promise.resolve());
  }

  /** The same, but the file is closed if that fails: there may be no descriptor left. */
  static async take(...given: ConstructorParameters<typeof PoolFileIo>): Promise<PoolFileIo> {
    try {
      return new PoolFileIo(...given);
    } catch (error) {
      await given[0].file.close();
      throw error;
    }
  }

  /** Whether changes are taken. */
  get isSound(): boolean {
    return this.#failure === undefined;
  }

  /** Looks after the file from now on, until `close`. */
  watch(): void {
    this.#timer = setInterval(() => void this.#look(), WATCH_INTERVAL_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    // The next to open the pool would meet a lock that is nobody's.
    await Promise.all(this.#looking);
    this.#held?.close();
    await this.file.close();
  }

  /** Fills `into` from `offset` on. @throws POOL_CORRUPT at the file's end, what the system says */
  async read(offset: number, into: Uint8Array): Promise<void> {
    // Asked once: the array may become longer meanwhile, and behind the range that was checked another region begins.
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

  /** Stores bytes; nothing is said of when they are durable. @throws OUT_OF_SPACE, READ_ONLY, what the system says */
  async write(offset: number, given: Uint8Array): Promise<void> {
    // Of a fixed length, as the caller's array may become longer before the system takes it: what follows is another region's.
    const bytes = given.subarray(0, given.length);
    const looked = this.checkBeforeChange(offset + bytes.length);
    if (looked !== undefined) await looked;
    if (this.#group === undefined || bytes.length > MAX_PIECE_BYTES) return this.#writeAlone(offset, bytes);
    // What failed was perhaps the write of another: a region without space must cost neither a descriptor nor a header its own.
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
   * Before bytes up to `end` are changed.
   * @throws READ_ONLY after a failure
   */
  checkBeforeChange(end: number): undefined | Promise<void> {
    this.checkSound();
    // The change alone could hide that the file was cut off, by making it as long as it was.
    return end >= this.#known.size ? this.look() : undefined;
  }

  /** @throws READ_ONLY after a failure */
  checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Awaits what, if it fails, leaves the medium in a state that nobody knows: what is durable of it, or half done.
   * @throws READ_ONLY then; OUT_OF_SPACE for a write that was refused
   */
  certainly<T>(step: Promise<T>): Promise<T> {
    return step.catch((error: unknown) => {
      if (isOutOfSpace(error)) throw error;
      const cure =
        this.#operations.dropCache === undefined
          ? ', remount its file system (as nothing else drops what the kernel has cached and the medium may lack), and restart'
          : ', and restart';
      throw this.fail(`the medium failed to make some durable: ${messageOf(error)}; see to it${cure}`, error);
    });
  }

  /**
   * Makes durable what was written before, and looks whether the file is still what was opened: what is made durable is in it then, and is
   * found by the next start.
   * @throws READ_ONLY if either is not so
   */
  async commit(): Promise<void> {
    this.checkSound();
    const { file, path, name = path, size } = this.#known;
    if (this.#operations.commit === undefined) {
      // What is committed was written before, so it may be looked for meanwhile; a file that is cut off later was whole and durable.
      await Promise.all([this.certainly(file.datasync()), this.look()]);
      return;
    }
    const isSame = await this.certainly(this.#operations.commit(file, name, size));
    if (isSame) this.checkSound();
    else await this.look();
  }

  /**
   * Looks whether the file is still what was opened: what was stored before is in it, then, and is found by the next start. All who ask
   * in one turn of the event loop share it.
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
      // What it is about is asked below.
    }
    const change = await changeOf(this.#known);
    if (change !== undefined) this.fail(change);
  }

  /** The mapping of the file has lost pages. @returns why nothing that changes is taken any more */
  failMapping(cause: unknown): BedrockError {
    const { size } = this.#known;
    // Of an open file, and once: nothing that a disk is waited for.
    const now = fstatSync(this.file.fd).size;
    return this.fail(
      now < size
        ? `its file was cut off while it was open, from ${size} to ${now} bytes`
        : 'pages of its mapping are lost, as where a copy-on-write file system is full, or memory has errors; see to it, and restart',
      cause,
    );
  }

  /**
   * Refuses changes from now on: nobody knows any more what the medium has. The first failure is the cause of all that follow.
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
   * Of a change that the system did not take; of what it has taken before, each byte is old or new.
   * @throws OUT_OF_SPACE, READ_ONLY, what the system says
   */
  async refused(error: unknown, length: number): Promise<never> {
    const code = systemCodeOf(error);
    if (code === undefined || !REFUSALS.includes(code)) {
      await this.#look();
      throw error;
    }
    throw new BedrockError(
      'OUT_OF_SPACE',
      `the file system has no ${length} bytes more for ${this.path} (${code})`,
      { cause: error },
    );
  }
}

function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
