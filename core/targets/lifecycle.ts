/**
 * The lifecycle of a target: `closed -> opening -> open -> closing -> closed`, one transition after another, and the counting of
 * the calls in flight that close waits for.
 */
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RecoveryReport, TargetState } from '../contract/target.js';

/** What a hook gives: nothing to wait for, or a promise. */
export type Eventually<T> = T | Promise<T>;

/** What an open found; the time is measured where a backend does not say it. */
export type Recovered = Omit<RecoveryReport, 'durationMs'> & { readonly durationMs?: number };

const NOTHING_RECOVERED: RecoveryReport = { regions: 0, bytes: 0, quarantined: 0, durationMs: 0 };

export abstract class Lifecycle {
  abstract readonly type: string;

  #state: TargetState;
  /** The transitions asked for, one after another. */
  #transitions: Promise<unknown> = Promise.resolve();
  /** Whether a close has something to do: the state does not say, as it is `closing` from the call of close on. */
  #isStorageOpen: boolean;
  /** Closes that were asked for and have not begun. What opens before them serves nothing. */
  #closesAhead = 0;
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  #recovery = NOTHING_RECOVERED;

  /** @param state in which it begins; open only for one that has nothing to recover */
  protected constructor(
    protected readonly logger: Logger,
    state: 'closed' | 'open' = 'closed',
  ) {
    this.#state = state;
    this.#isStorageOpen = state === 'open';
  }

  /** Makes the storage ready. May have taken half of what it needs when it throws: `closeStorage` is called then. */
  protected abstract openStorage(): Eventually<Recovered | undefined>;
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
      if (this.#isStorageOpen) return;
      this.#state = 'opening';
      try {
        const begun = performance.now();
        const recovered = await this.openStorage();
        const durationMs = performance.now() - begun;
        this.#recovery = recovered === undefined ? NOTHING_RECOVERED : { durationMs, ...recovered };
      } catch (error) {
        await this.#closeAfterFailure();
        this.#state = 'closed';
        throw error;
      }
      this.#isStorageOpen = true;
      this.#state = this.#closesAhead > 0 ? 'closing' : 'open';
    });
  }

  close(): Promise<void> {
    return this.#refuseCallsUntil(() => this.#closeNow());
  }

  destroy(): Promise<void> {
    return this.#refuseCallsUntil(async () => {
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

  /** Refuses from the moment close is called, not from the next turn on. */
  #refuseCallsUntil(step: () => Promise<void>): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    this.#closesAhead++;
    return this.#transition(() => {
      this.#closesAhead--;
      return step();
    });
  }

  async #closeNow(): Promise<void> {
    if (!this.#isStorageOpen) return;
    this.#state = 'closing';
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    this.#whenIdle = undefined;
    try {
      await this.closeStorage();
    } finally {
      this.#isStorageOpen = false;
      this.#state = 'closed';
    }
  }

  async #closeAfterFailure(): Promise<void> {
    try {
      await this.closeStorage();
    } catch (error) {
      this.logger.warning(`after a failed open, closing failed too: ${explain(error)}`);
    }
  }

  #transition(step: () => Promise<void>): Promise<void> {
    const done = this.#transitions.then(step);
    this.#transitions = done.catch(() => undefined);
    return done;
  }
}
