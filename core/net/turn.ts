/**
 * A connection's share of one turn of the event loop: about a millisecond of work; then all others
 * come first.
 *
 * It counts all work until the event loop continues, whether it is caused by reads or by promises:
 * a promise that settles at once, and what follows from it, belong to the same turn. Counting costs
 * an addition; the clock is read only now and then.
 */

/**
 * For one connection. If many have more to do, each gets less, so that all of them together take
 * ten times as long.
 */
const SHARE_MS = 1;
const ALL_SHARES_MS = 10;
const LEAST_SHARE_MS = 0.1;

/**
 * Units of work between two readings of the clock. A unit is a small request of the Redis protocol:
 * 1 or 2 µs.
 */
const UNITS_A_LOOK = 64;
/**
 * This many units at once are a whole share, whatever the clock says: work done in one piece is
 * measured only when it is over.
 */
const UNITS_A_SHARE = 2 ** 10;
/** Moving this many bytes is one unit. */
const BYTES_A_UNIT = 2 ** 12;

/** Connections that are known to have much to do in this turn. */
let busy = 0;

export class Turn {
  /** Whether the turn is over: nothing further may begin before `goOn` is called. */
  isOver = false;
  #units = 0;
  /** Whether the end of this turn will be reported. */
  #isTimed = false;
  #begun = 0;

  /** @param goOn called when it is the connection's turn again, after it was over */
  constructor(private readonly goOn: () => void) {}

  /**
   * Counts a request and the bytes that it moved.
   * @param units size of the request, relative to a small one of the Redis protocol
   * @returns whether the turn is over
   */
  spend(units: number, bytes = 0): boolean {
    this.#units += units + Math.floor(bytes / BYTES_A_UNIT);
    if (this.#units >= UNITS_A_LOOK) this.#look();
    return this.isOver;
  }

  #look(): void {
    if (this.#units >= UNITS_A_SHARE) this.isOver = true;
    this.#units = 0;
    const now = performance.now();
    if (!this.#isTimed) {
      this.#isTimed = true;
      this.#begun = now;
      busy++;
      // After all pending input, and after all settled promises.
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
