/**
 * Lets one listener, which copies a target while it serves, follow its changes: it learns which
 * regions change, and can hold all changes for a while.
 *
 * BaseTarget passes every change through here, whatever its origin: a door, a program of the same
 * process, a transaction, bytes that land in a region. Without a listener, this costs a look at two
 * fields, and a count for each write in place. A change is reported when it ends, so that a
 * listener that has read some of the bytes before reads them again. A new region is a change when
 * it is published, not while its contents arrive.
 *
 * `hold` makes new changes wait, and resolves when those in flight have ended. Then `release` lets
 * the waiting changes continue, or `refuse` ends them, and every later one, with an error.
 */
import { BedrockError } from '../base/errors.js';
import { withTimeout } from '../base/timeout.js';
import type { RegionId } from '../contract/region-id.js';
import { ChangeCounts } from './change-counts.js';
import type { Eventually } from './lifecycle.js';

/** Is told of changes when they have ended, before their callers know. It must not throw. */
export interface ChangeListener {
  /** Bytes of a region were written; if the call failed, they may have been. */
  wrote(id: RegionId, offset: number, size: number): void;
  /** A region appeared, was erased, or has another name; if the call failed, that may have happened. */
  changed(id: RegionId): void;
}

/** The use of a gate by its listener. */
export interface ChangeWatch {
  /**
   * Makes new changes wait, and resolves when none is in flight. If that takes too long, changes
   * continue as before.
   * @throws TIMEOUT
   */
  hold(patienceMs: number): Promise<void>;
  /** Lets changes go on. */
  release(): void;
  /** Ends the reports, and lets changes continue. */
  end(): void;
}

/**
 * Reports the changes of a target to one listener, and can hold them: for a target that is copied
 * while it serves, and is based on none of the base classes, which have one.
 */
export class ChangeGate {
  /** Whether changes that begin now must `enter`, and may have to wait there. */
  isShut = false;
  /** Who is told of changes. */
  listener: ChangeListener | undefined;
  /** @internal How often regions were changed in place, with or without a listener. */
  readonly counts = new ChangeCounts();
  /** Changes in flight that end later, and places in which bytes may still land. */
  #inFlight = 0;
  /** Mappings whose holders may store to the region at any time. */
  #mappings = 0;
  #refusal: BedrockError | undefined;
  #opened: Promise<void> | undefined;
  #open: () => void = () => undefined;
  #whenQuiet: (() => void) | undefined;

  /** Bytes of a region were written in place; if the call failed, they may have been. */
  wrote(id: RegionId, offset: number, size: number): void {
    this.counts.raise(id.slot);
    this.listener?.wrote(id, offset, size);
  }

  /**
   * Begins a change that ends with `leave`.
   * @returns nothing if it may continue at once
   * @throws the error of `refuse`
   */
  enter(): Eventually<void> {
    if (this.isShut) return this.#enterLater();
    this.#inFlight++;
  }

  async #enterLater(): Promise<void> {
    while (this.isShut) {
      if (this.#refusal !== undefined) throw this.#refusal;
      await this.#opened;
    }
    // Safe: nothing runs between the last look and this.
    this.#inFlight++;
  }

  /** Like `enter`, for a change that found the gate open in the same step. */
  begin(): void {
    this.#inFlight++;
  }

  /** Ends what `enter` or `begin` began. Call it once for each. */
  leave(): void {
    if (--this.#inFlight === 0) this.#look();
  }

  /** A mapping is made. */
  mapped(): void {
    this.#mappings++;
  }

  /** A mapping is released. Nobody knows what was stored to it. */
  unmapped({ id, size }: { readonly id: RegionId; readonly size: number }): void {
    this.wrote(id, 0, size);
    if (--this.#mappings === 0) this.#look();
  }

  /** See ChangeWatch. */
  async hold(patienceMs: number): Promise<void> {
    this.#shut();
    if (this.#isQuiet) return;
    const quiet = new Promise<void>((resolve) => (this.#whenQuiet = resolve));
    try {
      await withTimeout(quiet, patienceMs, () => this.#tooLate(patienceMs));
    } catch (error) {
      this.release();
      throw error;
    } finally {
      this.#whenQuiet = undefined;
    }
  }

  #tooLate(patienceMs: number): BedrockError {
    const what =
      this.#inFlight === 0
        ? `${this.#mappings} mappings of regions are held by programs of this process; release them`
        : `${this.#inFlight} changes are still in flight`;
    return new BedrockError('TIMEOUT', `changes of the target did not end within ${patienceMs} ms: ${what}`);
  }

  /** Lets changes go on. */
  release(): void {
    if (this.#refusal !== undefined) return;
    this.isShut = false;
    this.#open();
  }

  /** Refuses every change from now on, and those that wait. Without an error, lets changes continue again. */
  refuse(error: BedrockError | undefined): void {
    this.#refusal = error;
    if (error === undefined) {
      this.release();
      return;
    }
    this.#shut();
    this.#open();
  }

  #shut(): void {
    if (this.isShut) return;
    this.isShut = true;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  get #isQuiet(): boolean {
    return this.#inFlight === 0 && this.#mappings === 0;
  }

  #look(): void {
    if (this.#isQuiet) this.#whenQuiet?.();
  }
}
