/**
 * The lifecycle of a target: `closed -> opening -> open -> closing -> closed`. It runs one
 * transition at a time, and counts the calls in flight, which close waits for.
 */
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RecoveryReport, TargetState } from '../contract/target.js';

/** The result of a hook: the value itself, or a promise of it. */
export type Eventually<T> = T | Promise<T>;

/** What an open found. If the backend gives no duration, it is measured. */
export type Recovered = Omit<RecoveryReport, 'durationMs'> & { readonly durationMs?: number };

const NOTHING_RECOVERED: RecoveryReport = { regions: 0, bytes: 0, quarantined: 0, durationMs: 0 };

/**
 * The lifecycle of a target: `closed`, `opening`, `open`, `closing`, and `closed` again. It runs
 * one transition at a time, and counts the calls in flight, which `close` waits for.
 */
export abstract class Lifecycle {
  /** Backend type, such as `memory`; errors name it. */
  abstract readonly type: string;

  /** The error with which every call is refused, whatever the state. */
  protected refusal: BedrockError | undefined;
  #state: TargetState;
  /** The requested transitions, one after another. */
  #transitions: Promise<unknown> = Promise.resolve();
  /**
   * Whether close has something to do. The state does not tell, since it is `closing` as soon as
   * close is called.
   */
  #isStorageOpen: boolean;
  /** Closes that were requested and have not begun. A target that opens before them serves nothing. */
  #closesAhead = 0;
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  #recovery = NOTHING_RECOVERED;

  /** @param state the first state; open only for a target that has nothing to recover */
  protected constructor(
    /** Log of the provider that holds the target. */
    protected readonly logger: Logger,
    state: 'closed' | 'open' = 'closed',
  ) {
    this.#state = state;
    this.#isStorageOpen = state === 'open';
  }

  /**
   * Makes the storage ready. If it throws, it may have taken part of what it needs; then
   * `closeStorage` is called.
   */
  protected abstract openStorage(): Eventually<Recovered | undefined>;
  /** Makes everything durable, and gives back what `openStorage` took. */
  protected abstract closeStorage(): Eventually<void>;
  /** Deletes all data; the storage is closed. */
  protected abstract destroyStorage(): Eventually<void>;

  /** The state of the target. It becomes `closing` when `close` is called, not in the next turn. */
  get state(): TargetState {
    return this.#state;
  }

  /** What the last open found. */
  protected get recovery(): RecoveryReport {
    return this.#recovery;
  }

  /**
   * `Target.open`: calls `openStorage` when earlier transitions have ended. If that fails,
   * `closeStorage` is called and the target is closed.
   * @throws what `openStorage` throws
   */
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
      this.#reopened();
    });
  }

  /**
   * `Target.close`: refuses new calls at once, waits for those in flight, then calls
   * `closeStorage`. The target is closed even if that fails.
   * @throws what `closeStorage` throws
   */
  close(): Promise<void> {
    return this.#refuseCallsUntil(() => this.#closeNow());
  }

  /**
   * `Target.destroy`: closes the target, then calls `destroyStorage`, even if the target was already closed.
   * @throws what `closeStorage` or `destroyStorage` throws
   */
  destroy(): Promise<void> {
    return this.#refuseCallsUntil(async () => {
      await this.#closeNow();
      await this.destroyStorage();
    });
  }

  /**
   * Refuses a call unless the target is open.
   * @throws TARGET_CLOSED, `refusal`
   */
  protected checkOpen(): void {
    if (this.#state !== 'open' || this.refusal !== undefined) {
      if (this.refusal !== undefined) throw this.refusal;
      throw new BedrockError('TARGET_CLOSED', `the ${this.type} target is ${this.#state}, not open`);
    }
  }

  /**
   * Runs a step with the storage alone: new calls are refused, those in flight end first.
   * Afterwards the target is open as before.
   * @throws TARGET_CLOSED; what the step throws, and then the target is closed, unless `before` has thrown it
   * @param before what may refuse the step; nothing is changed then
   */
  protected alone(before: () => void, step: () => Eventually<void>): Promise<void> {
    this.checkOpen();
    before();
    this.#state = 'closing';
    return this.#transition(async () => {
      if (!this.#isStorageOpen) throw new BedrockError('TARGET_CLOSED', `the ${this.type} target is closed`);
      await this.#idle();
      // Safe: nothing is in flight, and new calls are refused. The calls that have just ended may
      // have changed what was looked at.
      try {
        before();
      } catch (error) {
        this.#reopened();
        throw error;
      }
      try {
        await step();
      } catch (error) {
        this.#isStorageOpen = false;
        await this.#closeAfterFailure();
        this.#state = 'closed';
        throw error;
      }
      this.#reopened();
    });
  }

  #reopened(): void {
    this.#state = this.#closesAhead > 0 ? 'closing' : 'open';
  }

  /** Begins a call. `close` waits for it until `leave`. @throws TARGET_CLOSED */
  protected enter(): void {
    this.checkOpen();
    this.#inFlight++;
  }

  /**
   * Like `enter`, within a call that has already begun. The call continues to its end even if
   * `close` was called meanwhile.
   */
  protected enterWithin(): void {
    this.#inFlight++;
  }

  /** Ends a call that `enter` or `enterWithin` began. Call it once for each. */
  protected leave(): void {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  }

  /** Refuses calls from the moment close is called, not from the next turn on. */
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
    await this.#idle();
    try {
      await this.closeStorage();
    } finally {
      this.#isStorageOpen = false;
      this.#state = 'closed';
    }
  }

  async #idle(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    this.#whenIdle = undefined;
  }

  async #closeAfterFailure(): Promise<void> {
    try {
      await this.closeStorage();
    } catch (error) {
      this.logger.warning(`after a failure, closing failed too: ${explain(error)}`);
    }
  }

  #transition(step: () => Promise<void>): Promise<void> {
    const done = this.#transitions.then(step);
    this.#transitions = done.catch(() => undefined);
    return done;
  }
}
