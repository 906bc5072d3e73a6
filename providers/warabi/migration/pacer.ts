/** Keeps a transfer below a rate: each part waits for its turn before its bytes are sent. */
import { setTimeout as pass } from 'node:timers/promises';

export class Pacer {
  /** When the bytes that were granted so far will be sent, at the rate; by performance.now(). */
  #free = 0;

  /** @param bytesPerSecond 0: unlimited */
  constructor(private readonly bytesPerSecond: number) {}

  /** @throws the reason of the signal */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.bytesPerSecond === 0) return;
    const now = performance.now();
    const begin = Math.max(now, this.#free);
    this.#free = begin + (bytes / this.bytesPerSecond) * 1000;
    if (begin > now) await pass(begin - now, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
