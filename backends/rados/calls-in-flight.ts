/**
 * The calls of this daemon on each region. An erasure refuses new calls on its region at once, and
 * removes the bytes when the calls in flight have ended.
 */
import { BedrockError } from '../../core/index.js';

/** A region that calls are in flight on, or that is being erased. */
interface Busy {
  calls: number;
  isErased: boolean;
  waiting: { readonly calls: number; readonly resolve: () => void }[];
}

export class CallsInFlight {
  readonly #busy = new Map<string, Busy>();

  /** @throws REGION_NOT_FOUND if the region is being erased here */
  begin(key: string): void {
    const busy = this.#of(key);
    if (busy.isErased) throw new BedrockError('REGION_NOT_FOUND', `region ${key} is erased`);
    busy.calls++;
  }

  end(key: string): void {
    const busy = this.#of(key);
    busy.calls--;
    const due = busy.waiting.filter(({ calls }) => busy.calls <= calls);
    busy.waiting = busy.waiting.filter(({ calls }) => busy.calls > calls);
    for (const { resolve } of due) resolve();
    this.#leave(key, busy);
  }

  isErased(key: string): boolean {
    return this.#busy.get(key)?.isErased === true;
  }

  /** New calls are refused while this is set. */
  setErased(key: string, isErased: boolean): void {
    const busy = this.#of(key);
    busy.isErased = isErased;
    this.#leave(key, busy);
  }

  /** Waits until there are at most so many calls on a region. */
  async atMost(key: string, calls: number): Promise<void> {
    const busy = this.#busy.get(key);
    if (busy === undefined || busy.calls <= calls) return;
    await new Promise<void>((resolve) => busy.waiting.push({ calls, resolve }));
  }

  #of(key: string): Busy {
    const busy = this.#busy.get(key) ?? { calls: 0, isErased: false, waiting: [] };
    this.#busy.set(key, busy);
    return busy;
  }

  #leave(key: string, busy: Busy): void {
    if (busy.calls === 0 && !busy.isErased && busy.waiting.length === 0) this.#busy.delete(key);
  }
}
