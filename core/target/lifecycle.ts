/**
 * The lifecycle of a target: `closed -> opening -> open -> closing -> closed`, one transition after another, and the counting of
 * the calls in flight that close waits for.
 */
import { BedrockError } from '../errors.js';
import type { Logger } from '../logging.js';
import type { RecoveryReport, TargetState } from './target.js';

/** What a hook gives: nothing to wait for, or a promise. */
export type Eventually<T> = T | Promise<T>;

const NOTHING_RECOVERED: RecoveryReport = { regions: 0, bytes: 0, quarantined: 0, durationMs: 0 };

export abstract class Lifecycle {
  abstract readonly type: string;

  #state: TargetState = 'closed';
  /** The transitions asked for, one after another. */
  #transitions: Promise<unknown> = Promise.resolve();
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  #recovery = NOTHING_RECOVERED;

  protected constructor(protected readonly logger: Logger) {}

  /** Makes the storage ready. May have taken half of what it needs when it throws: `closeStorage` is called then. */
  protected abstract openStorage(): Eventually<RecoveryReport | undefined>;
  /** Ends durable and gives back what `openStorage` took. */
  protected abstract closeStorage(): Eventually<void>;
  /** Deletes all data; the storage is closed. */
  protected abstract destroyStorage(): Eventually<void>;

  get state(): TargetState {
    return this.#state;
  }

  /** What the last open found. */
  protected get recovery(): RecoveryReport {
    return this.#recovery;
  }

  open(): Promise<void> {
    return this.#transition(async () => {
      if (this.#state === 'open') return;
      this.#state = 'opening';
      try {
        this.#recovery = (await this.openStorage()) ?? NOTHING_RECOVERED;
        this.#state = 'open';
      } catch (error) {
        await this.#closeAfterFailure();
        this.#state = 'closed';
        throw error;
      }
    });
  }

  close(): Promise<void> {
    this.#refuseCalls();
    return this.#transition(() => this.#closeNow());
  }

  destroy(): Promise<void> {
    this.#refuseCalls();
    return this.#transition(async () => {
      await this.#closeNow();
      await this.destroyStorage();
    });
  }

  /** @throws TARGET_CLOSED */
  protected checkOpen(): void {
    if (this.#state !== 'open') {
      throw new BedrockError('TARGET_CLOSED', `the ${this.type} target is ${this.#state}, not open`);
    }
  }

  /** Begins a call, which `close` will wait for until `leave`. @throws TARGET_CLOSED */
  protected enter(): void {
    this.checkOpen();
    this.#inFlight++;
  }

  protected leave(): void {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  }

  /** From the moment close is called, not from the next turn on. */
  #refuseCalls(): void {
    if (this.#state === 'open') this.#state = 'closing';
  }

  async #closeNow(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    this.#whenIdle = undefined;
    try {
      await this.closeStorage();
    } finally {
      this.#state = 'closed';
    }
  }

  async #closeAfterFailure(): Promise<void> {
    try {
      await this.closeStorage();
    } catch (error) {
      this.logger.warning('after a failed open, closing failed too', { error: String(error) });
    }
  }

  #transition(step: () => Promise<void>): Promise<void> {
    const done = this.#transitions.then(step);
    this.#transitions = done.catch(() => undefined);
    return done;
  }
}
