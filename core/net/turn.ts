/**
 * A connection's share of a turn of the event loop: about a millisecond of work, and then everybody else comes first.
 *
 * It counts all work that is done before the event loop goes on: what comes by reads, by promises or by both, as a promise that settles
 * at once, and what it leads to, belong to the same turn. Counting costs an addition; only now and then somebody looks at the clock.
 */

/** Of one connection; where many have more to do than that, each gets less, so that all of them together take ten times as long. */
const SHARE_MS = 1;
const ALL_SHARES_MS = 10;
const LEAST_SHARE_MS = 0.1;

/** Units of work between two looks at the clock. One is a small request of the Redis protocol: a microsecond or two. */
const UNITS_A_LOOK = 64;
/** So many bytes to be moved are a unit. */
const BYTES_A_UNIT = 2 ** 12;

/** Connections that are known to have much to do in this turn. */
let busy = 0;

export class Turn {
  /** Whether it is the turn of others: nothing further may begin before `goOn` is called. */
  isOver = false;
  #units = 0;
  /** From here on the end of the turn is told. */
  #isTimed = false;
  #begun = 0;

  /** @param goOn called when it is the connection's turn again, if it was over */
  constructor(private readonly goOn: () => void) {}

  /**
   * Notes a request and the bytes that it moved.
   * @param units how large the request is beside a small one of the Redis protocol
   * @returns whether the turn is over
   */
  spend(units: number, bytes = 0): boolean {
    this.#units += units + Math.floor(bytes / BYTES_A_UNIT);
    if (this.#units >= UNITS_A_LOOK) this.#look();
    return this.isOver;
  }

  #look(): void {
    this.#units = 0;
    const now = performance.now();
    if (!this.#isTimed) {
      this.#isTimed = true;
      this.#begun = now;
      busy++;
      // Behind all that is to be read, and behind all promises that have settled.
      setImmediate(this.#ended);
      return;
    }
    const share = Math.max(LEAST_SHARE_MS, Math.min(SHARE_MS, ALL_SHARES_MS / busy));
    if (now - this.#begun >= share) this.isOver = true;
  }

  readonly #ended = (): void => {
    busy--;
    this.#isTimed = false;
    if (!this.isOver) return;
    this.isOver = false;
    this.goOn();
  };
}
