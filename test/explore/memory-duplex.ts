/**
 * A connection to the HTTP door that is only in memory: the daemon's end, as node:http wants one.
 * What the daemon sends is taken, and its buffers read, when it is that write's turn; what comes to
 * it is read no faster than it takes it.
 */
import { Duplex } from 'node:stream';
import type { Schedule } from './schedule.js';

export class MemoryDuplex extends Duplex {
  readonly remoteAddress = '127.0.0.1';
  #hasRoom = true;
  #wantsRoom: (() => void)[] = [];

  /** @param taken is given what was sent */
  constructor(
    private readonly schedule: Schedule,
    private readonly taken: (bytes: Buffer) => void,
  ) {
    super({ highWaterMark: 2 ** 10 });
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.schedule.add(() => {
      if (this.destroyed) return;
      // Only now: whoever uses the buffer again before would be seen.
      this.taken(Buffer.from(bytes));
      done();
    });
  }

  /** The daemon sends nothing more; the client sees that, and leaves. */
  override _final(done: () => void): void {
    done();
    this.schedule.add(() => this.destroy());
  }

  override _read(): void {
    this.#hasRoom = true;
    for (const go of this.#wantsRoom.splice(0)) go();
  }

  /** Something comes from the client, when the daemon takes it. @returns whether it has */
  async arrive(bytes: Buffer): Promise<boolean> {
    while (!this.#hasRoom && !this.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wantsRoom.push(resolve);
        this.once('close', resolve);
      });
    }
    if (this.destroyed || this.writableEnded) return false;
    // It may ask for more in the midst of the push.
    this.#hasRoom = false;
    if (this.push(bytes)) this.#hasRoom = true;
    return true;
  }

  // ---- what node:http and the door ask of a socket ----

  destroySoon(): void {
    this.end();
  }

  /** Nobody is late here. */
  setTimeout(): this {
    return this;
  }
}
