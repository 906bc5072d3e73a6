/**
 * The daemon's end of a connection that is only in memory: what it sends is taken, and its buffers
 * read, when it is that write's turn.
 */
import { Writable } from 'node:stream';
import type { Schedule } from './schedule.js';

export class MemorySocket extends Writable {
  readonly connecting = false;
  #isReading = true;
  #wantsBytes: (() => void)[] = [];

  /** @param take is given what was sent */
  constructor(
    private readonly schedule: Schedule,
    private readonly take: (bytes: Buffer) => void,
  ) {
    super({ highWaterMark: 2 ** 12 });
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.schedule.add(() => {
      if (this.destroyed) return;
      // Only now: whoever uses the buffer again before would be seen.
      this.take(Buffer.from(bytes));
      done();
    });
  }

  override _final(done: () => void): void {
    done();
    this.destroy();
  }

  pause(): this {
    this.#isReading = false;
    return this;
  }

  resume(): this {
    this.#isReading = true;
    for (const read of this.#wantsBytes.splice(0)) read();
    return this;
  }

  /** Waits until the daemon reads, or the connection is gone. */
  async readable(): Promise<void> {
    while (!this.#isReading && !this.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wantsBytes.push(resolve);
        this.once('close', resolve);
      });
    }
  }
}
