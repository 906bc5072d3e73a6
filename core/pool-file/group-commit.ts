/**
 * Group commit: all who want durability while an fdatasync runs share the next one, and so do all
 * of one turn of the event loop, such as those whose bytes were written together. A caller never
 * joins an fdatasync that has begun, as it may have passed the caller's bytes.
 *
 * One runs at a time. The kernel reports a failure to one fdatasync only.
 */
import { endOfTurn } from '../base/end-of-turn.js';
import type { FlushMeter } from '../base/flush-meter.js';

export class GroupCommit {
  readonly #commit: () => Promise<void>;
  readonly #meter: FlushMeter;
  /** Those who share the next one. */
  #callers = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(commit: () => Promise<void>, meter: FlushMeter) {
    this.#commit = commit;
    this.#meter = meter;
  }

  /** Makes durable what was written before the call. @throws what the commit throws, to all who share it */
  join(): Promise<void> {
    this.#callers++;
    return (this.#next ??= this.#commitAfter(this.#running));
  }

  /** Waits for those that were asked for. */
  async ended(): Promise<void> {
    await (this.#next ?? this.#running)?.catch(() => undefined);
  }

  async #commitAfter(running: Promise<void> | undefined): Promise<void> {
    await running?.catch(() => undefined);
    await endOfTurn();
    this.#next = undefined;
    const callers = this.#callers;
    this.#callers = 0;
    return (this.#running = this.#meter
      .measure(callers, this.#commit)
      .finally(() => (this.#running = undefined)));
  }
}
