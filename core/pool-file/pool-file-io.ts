/**
 * A pool's file, read and written on the thread pool, and what both media that lie on it do when it fails: once something could not
 * be made durable nobody knows what the medium has, so from then on everything that changes is refused. The same holds for a file
 * that was deleted, or cut off, under the pool: what it would be given is lost with it.
 */
import { lstat, type FileHandle } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import type { FileOperations } from './file-operations.js';
import { MAX_PIECE_BYTES, WriteGroup } from './write-group.js';

/** fs takes no more at once. */
const MAX_TRANSFER_BYTES = 2 ** 30;
/** How often the file is looked at: a delete is not told, and what is taken until it is noticed goes with the file. */
const WATCH_INTERVAL_MS = 1000;

export interface IoFile {
  readonly file: FileHandle;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

export class PoolFileIo {
  readonly file: FileHandle;
  readonly #path: string;
  readonly #size: number;
  readonly #operations: FileOperations;
  /** Absent where writes are better made one by one. */
  readonly #group: WriteGroup | undefined;
  readonly #failed: (error: BedrockError) => void;
  #failure: BedrockError | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param failed is told, once, why nothing that changes is taken any more */
  constructor(
    { file, path, size }: IoFile,
    operations: FileOperations,
    failed: (error: BedrockError) => void = () => undefined,
  ) {
    this.file = file;
    this.#path = path;
    this.#size = size;
    this.#operations = operations;
    this.#failed = failed;
    if (operations.writeMany !== undefined)
      this.#group = new WriteGroup((pieces) => operations.writeMany?.(file, pieces) ?? Promise.resolve());
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
    await this.file.close();
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

  /** Stores bytes; nothing is said of when they are durable. @throws OUT_OF_SPACE, READ_ONLY, what the system says */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.checkSound();
    if (this.#group === undefined || bytes.length > MAX_PIECE_BYTES) return this.#writeAlone(offset, bytes);
    // What failed was perhaps the write of another: a region without space must cost neither a descriptor nor a header its own.
    return this.#group.write(offset, bytes).catch(() => this.#writeAlone(offset, bytes));
  }

  async #writeAlone(offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_TRANSFER_BYTES);
      const { bytesWritten } = await this.file
        .write(bytes, at, length, offset + at)
        .catch((error: unknown) => this.#noSpace(error, length));
      at += bytesWritten;
    }
  }

  /** Gives a range its space, durably: a header that names it may reach the disk at once. @throws OUT_OF_SPACE, READ_ONLY */
  async allocate(offset: number, length: number): Promise<void> {
    this.checkSound();
    await this.#operations
      .allocate(this.file, offset, length)
      .catch((error: unknown) => this.#noSpace(error, length));
    await this.certainly(this.file.datasync());
  }

  /** Makes a range zero, and gives its space back where that can be. @throws READ_ONLY */
  async clear(offset: number, length: number): Promise<void> {
    this.checkSound();
    await this.#operations.clear(this.file, offset, length);
  }

  /** @throws READ_ONLY after a failure */
  checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Awaits what, if it fails, leaves the medium in a state that nobody knows. @throws READ_ONLY then */
  certainly(step: undefined | Promise<void>): undefined | Promise<void> {
    return step?.catch((error: unknown) => {
      const cure =
        this.#operations.dropCache === undefined
          ? ', remount its file system (as nothing else drops what the kernel has cached and the medium may lack), and restart'
          : ', and restart';
      throw this.#fail(
        `the medium failed to make some durable: ${messageOf(error)}; see to it${cure}`,
        error,
      );
    });
  }

  /** The first failure is the cause of all that follow. */
  #fail(why: string, cause?: unknown): BedrockError {
    if (this.#failure === undefined) {
      this.#failure = new BedrockError(
        'READ_ONLY',
        `the pool ${this.#path} can be read, and takes no more changes: ${why}`,
        { details: { path: this.#path }, ...(cause !== undefined && { cause }) },
      );
      this.#failed(this.#failure);
    }
    return this.#failure;
  }

  async #look(): Promise<void> {
    // One that cannot be asked is closed by now, or fails elsewhere.
    const now = await this.file.stat().catch(() => undefined);
    if (now === undefined || !this.isSound) return;
    if (now.nlink === 0) {
      const isReplaced = await isThere(this.#path);
      // Meanwhile it may have been closed, and its number be another file's.
      if (this.file.fd >= 0) this.#fail(this.#lossOfName(isReplaced));
    } else if (now.size < this.#size) {
      this.#fail(`its file was cut off while it was open, from ${this.#size} to ${now.size} bytes`);
    }
  }

  /** What to save goes beside what was put in its place, and never over it. */
  #lossOfName(isReplaced: boolean): string {
    const save = `cp --sparse=always /proc/${process.pid}/fd/${this.file.fd} ${this.#path}`;
    if (!isReplaced)
      return `its file was deleted while it was open; before the daemon stops, save it: ${save}`;
    return (
      'another file was put in the place of its own while it was open, as a restored backup is; to serve that one, restart; ' +
      `to keep the regions of the old one, save it before the daemon stops: ${save}.replaced`
    );
  }

  #noSpace(error: unknown, length: number): never {
    const code = systemCodeOf(error);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    throw new BedrockError('OUT_OF_SPACE', `the file system has no ${length} bytes more for ${this.#path}`, {
      cause: error,
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
