/**
 * The file of `bedrock.log.file`. It is opened for appending, so that a rotation by copy and
 * truncate leaves no hole. `reopen` opens it again after a rotation by rename.
 *
 * Lines are written in order, many in one write, on the thread pool: so a stalled disk blocks
 * nothing. Lines that it does not accept are lost and counted. The log reports them as soon as it
 * can be written again.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { BedrockError, messageOf } from './errors.js';
import { withCure } from './system-cure.js';

/** Maximum number of bytes that wait to be written. */
const MAX_WAITING_BYTES = 2 ** 22;

export class LogFile {
  /** The stream that a logger writes to. */
  readonly stream = new Writable({
    write: (line: Buffer, _encoding, done) => {
      this.#append(line);
      done();
    },
  });
  /** Called with the number of lost lines, and the reason, when lines can be written again. */
  onGap: (lines: number, reason: string) => void = () => undefined;

  #handle: FileHandle | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isFlushAhead = false;
  #isClosed = false;
  /** Whether the last step was carried out. */
  #hasEnded = false;
  #lost = { lines: 0, reason: '' };
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
      const found = await open(this.path, 'a', this.mode);
      const old = this.#handle;
      this.#handle = found;
      const fault = await old?.close().then(() => undefined, messageOf);
      await this.#flush();
      return fault;
    });
  }

  /** Writes the waiting lines, and ends. Later lines are dropped. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#next(async () => {
      await this.#flush();
      this.#hasEnded = true;
      const handle = this.#handle;
      this.#handle = undefined;
      await handle?.close();
    }).catch(() => undefined);
  }

  #append(line: Buffer): void {
    if (this.#isClosed) return;
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#lose(1, 'the disk did not keep up');
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
    try {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
    } catch (error) {
      this.#lose(lines.length, messageOf(error));
      return;
    }
    const { lines: lost, reason } = this.#lost;
    if (lost === 0) return;
    this.#lost = { lines: 0, reason: '' };
    this.onGap(lost, reason);
  }

  #lose(lines: number, reason: string): void {
    this.#lost = { lines: this.#lost.lines + lines, reason };
  }
}
