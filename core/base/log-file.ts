/**
 * The file of `bedrock.log.file`. It is opened for appending, so that a rotation that copies and truncates leaves no hole in it, and
 * opened anew by `reopen`, after a rotation that renames.
 *
 * Lines are written in the order in which they came, many with one write, on the thread pool: a disk that stands still holds nobody
 * up. What it does not take is lost and counted, and told in the log as soon as that can be written again.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { BedrockError, messageOf } from './errors.js';
import { withCure } from './system-cure.js';

/** Most bytes that wait to be written. */
const MAX_WAITING_BYTES = 2 ** 22;

export class LogFile {
  /** Where a logger writes to. */
  readonly stream = new Writable({
    write: (line: Buffer, _encoding, done) => {
      this.#append(line);
      done();
    },
  });
  /** Told how many lines were lost, and why, when lines can be written again. */
  onGap: (lines: number, reason: string) => void = () => undefined;

  #handle: FileHandle | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isFlushAhead = false;
  #isClosed = false;
  /** The last step was carried out. */
  #hasEnded = false;
  #lost = { lines: 0, reason: '' };
  /** Steps on the file, one after another: writes, openings, the end. None rejects. */
  #steps: Promise<unknown> = Promise.resolve();

  /** Nothing is opened yet; lines wait. */
  constructor(readonly path: string) {}

  /** @throws START_FAILED */
  async open(): Promise<void> {
    try {
      await this.reopen();
    } catch (cause) {
      throw new BedrockError('START_FAILED', `the log cannot be written: ${withCure(cause)}`, { cause });
    }
  }

  /** Goes on with whatever the name leads to now. If that cannot be opened, it goes on as before. @throws errors of the system */
  reopen(): Promise<void> {
    return this.#next(async () => {
      // A signal may come while the daemon stops: nobody would close the file any more.
      if (this.#hasEnded) return;
      const found = await open(this.path, 'a');
      const old = this.#handle;
      this.#handle = found;
      await old?.close();
      await this.#flush();
    });
  }

  /** Writes what waits, and ends. Later lines are dropped. */
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

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#steps.then(step);
    this.#steps = done.catch(() => undefined);
    return done;
  }

  /** Only ever runs as a step or within one, so the file stays the same under it. */
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
