/**
 * The file of `bedrock.log.file`. It is opened for appending, so that a rotation by copy and
 * truncate leaves no hole. `reopen` opens it again after a rotation by rename.
 *
 * Lines are written in order, many in one write, on the thread pool: so a stalled disk blocks
 * nothing, and the end of the process only for a while. Lines that it does not accept are lost and
 * counted. The log reports them as soon as it can be written again. A named pipe that nobody reads
 * is such a disk; one that nobody has open cannot be opened here either.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { BedrockError, messageOf, systemCodeOf } from './errors.js';
import { withCure } from './system-cure.js';

/** Maximum number of bytes that wait to be written. */
const MAX_WAITING_BYTES = 2 ** 22;

/** Why lines are lost, if not by an error. */
const BEHIND = 'the disk did not keep up';

/** How long the end waits for a stalled disk, milliseconds. */
const CLOSE_MS = 5000;

/** How long to wait for the reader of a full pipe, milliseconds. */
const PIPE_MS = 20;

/** A pipe without a reader must not occupy a thread, which would keep the process from ending. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

export class LogFile {
  /** The stream that a logger writes to. */
  readonly stream = new Writable({
    write: (line: Buffer, _encoding, done) => {
      this.#append(line);
      done();
    },
  });
  /** Called with the reason when lines begin to be lost. */
  onLoss: (reason: string) => void = () => undefined;
  /** Called with the number of lost lines, and the reason, when lines can be written again. */
  onGap: (lines: number, reason: string) => void = () => undefined;

  #handle: FileHandle | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isFlushAhead = false;
  #isClosed = false;
  /** Whether the last step was carried out. */
  #hasEnded = false;
  /** Lines that were lost, and not reported by `onGap` yet. */
  #lost = { lines: 0, reason: '' };
  #lostBefore = 0;
  /** Lines that are being written. */
  #underWay = 0;
  #hasGivenUp = false;
  /** Steps on the file, one after another: writes, opens, the end. None rejects. */
  #steps: Promise<unknown> = Promise.resolve();

  /**
   * Opens nothing yet; lines wait.
   * @param mode permissions of a file that is created
   */
  constructor(
    readonly path: string,
    private readonly mode = 0o666,
  ) {}

  /** @param what the file is, for messages @throws START_FAILED */
  async open(what = 'the log'): Promise<void> {
    try {
      await this.reopen();
    } catch (cause) {
      throw new BedrockError('START_FAILED', `${what} cannot be written: ${withCure(cause)}`, { cause });
    }
  }

  /**
   * Continues with the file that the name now leads to. If that cannot be opened, continues as before.
   * @returns why the old file was not closed properly, if so: it may lack lines
   * @throws errors of the system
   */
  reopen(): Promise<string | undefined> {
    return this.#next(async () => {
      // A signal may come while the daemon stops; the new file would never be closed.
      if (this.#hasEnded) return undefined;
      const found = await open(this.path, FLAGS, this.mode);
      const old = this.#handle;
      this.#handle = found;
      const fault = await old?.close().then(() => undefined, messageOf);
      await this.#flush();
      return fault;
    });
  }

  /** Lines that were lost so far. */
  get lostLines(): number {
    return this.#lostBefore + this.#lost.lines;
  }

  /**
   * Writes the waiting lines, for a while, and ends. Later lines are dropped.
   * @returns the lines that were lost and not reported by `onGap`, and why
   */
  async close(waitMs = CLOSE_MS): Promise<{ lines: number; reason: string }> {
    this.#isClosed = true;
    const done = this.#next(async () => {
      await this.#flush();
      this.#hasEnded = true;
      const handle = this.#handle;
      this.#handle = undefined;
      await handle?.close();
    }).catch(() => undefined);
    const isLate = new AbortController();
    const late = pause(waitMs, true, { signal: isLate.signal }).catch(() => false);
    if ((await Promise.race([done, late])) === true) {
      this.#hasGivenUp = true;
      const left = this.#underWay + this.#waiting.length;
      this.#waiting = [];
      if (left > 0) this.#lose(left, BEHIND);
    }
    isLate.abort();
    return this.#lost;
  }

  #append(line: Buffer): void {
    if (this.#isClosed) return;
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#lose(1, BEHIND);
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (this.#handle === undefined || this.#isFlushAhead) return;
    this.#isFlushAhead = true;
    void this.#next(() => this.#flush());
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#steps.then(step);
    this.#steps = done.catch(() => undefined);
    return done;
  }

  /** Runs only as a step or within one, so the file does not change meanwhile. */
  async #flush(): Promise<void> {
    this.#isFlushAhead = false;
    const handle = this.#handle;
    if (handle === undefined || this.#waiting.length === 0) return;
    const lines = this.#waiting;
    const bytes = Buffer.concat(lines);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#underWay = lines.length;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#write(handle, bytes, at);
    } catch (error) {
      // Otherwise `close` has counted them.
      if (!this.#hasGivenUp) this.#lose(lines.length, messageOf(error));
      return;
    } finally {
      this.#underWay = 0;
    }
    const { lines: lost, reason } = this.#lost;
    if (lost === 0 || this.#hasGivenUp) return;
    this.#lostBefore += lost;
    this.#lost = { lines: 0, reason: '' };
    this.onGap(lost, reason);
  }

  /** @returns bytes that were written; 0 for a full pipe, after a while */
  async #write(handle: FileHandle, bytes: Buffer, at: number): Promise<number> {
    try {
      return (await handle.write(bytes, at)).bytesWritten;
    } catch (error) {
      if (systemCodeOf(error) !== 'EAGAIN' || this.#hasGivenUp) throw error;
      await pause(PIPE_MS);
      return 0;
    }
  }

  #lose(lines: number, reason: string): void {
    if (this.#lost.lines === 0) this.onLoss(reason);
    this.#lost = { lines: this.#lost.lines + lines, reason };
  }
}
