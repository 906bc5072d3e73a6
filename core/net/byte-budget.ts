/**
 * Memory that all connections of a door share: for what they send, or for answers that they have
 * not read yet.
 *
 * Bytes are counted as they arrive, not as they are announced. When the budget is used up, the slow
 * holders with the most bytes are evicted: those that the door waits for, and that have moved
 * almost nothing meanwhile. If nobody is that slow, the holder that asks for more is refused. So
 * clients that stall or trickle cannot keep the others out, and too many fast clients are told to
 * try again later. Time in which the process itself stood still does not count against anyone.
 */
import { AttendedClock } from './standstill.js';

/** The owner of a share. */
export interface ShareHolder {
  /** Whether the door is waiting for its peer. */
  readonly isAwaited: boolean;
  /** Bytes that its peer has sent, or read, so far. */
  readonly movedBytes: number;
  /** Gives back everything that it holds. */
  evict(): void;
}

/** A holder that moves fewer bytes than this in the time limit is slow. */
const SLOW_BYTES = 2 ** 16;
const SLOW_MS = 1000;
/** Minimum time between two searches for slow holders, if the first found none. */
const LOOK_MS = 10;

export class ByteBudget {
  /** Number of holders that were evicted. */
  evicted = 0;
  #total = 0;
  #nextLook = 0;
  /** Shares that hold something and may be evicted. */
  readonly #shares = new Set<Share>();

  readonly #attended = new AttendedClock(() => this.#shares.size > 0);

  /** @param now milliseconds; by default those in which the process did not stand still */
  constructor(
    private readonly limit: number,
    private readonly now: () => number = this.#attended.now,
  ) {}

  /** Bytes in use. */
  get total(): number {
    return this.#total;
  }

  get isFull(): boolean {
    return this.#total >= this.limit;
  }

  /** @param holder the one to evict; without one the bytes are never evicted */
  share(holder?: ShareHolder): Share {
    return new Share(this, holder, this.now);
  }

  /**
   * @internal Makes room for more bytes. A share that is alone may exceed the budget.
   * @returns whether there is room
   */
  makeRoom(bytes: number, asker: Share): boolean {
    if (this.#fits(bytes, asker)) return true;
    const now = this.now();
    if (now >= this.#nextLook && !this.#evictSlow(bytes, asker, now)) this.#nextLook = now + LOOK_MS;
    return this.#fits(bytes, asker);
  }

  #fits(bytes: number, asker: Share): boolean {
    return this.#total + bytes <= this.limit || this.#total === asker.bytes;
  }

  /** @returns whether there is now room */
  #evictSlow(bytes: number, asker: Share, now: number): boolean {
    const slow = [...this.#shares].filter((share) => share !== asker && share.isSlow(now));
    slow.sort((one, other) => other.bytes - one.bytes);
    for (const { holder } of slow) {
      if (this.#fits(bytes, asker)) return true;
      this.evicted++;
      holder?.evict();
    }
    return this.#fits(bytes, asker);
  }

  /** @internal Called before a share begins to hold bytes. */
  starts(): void {
    this.#attended.start();
  }

  /** @internal */
  changed(share: Share, by: number): void {
    this.#total += by;
    if (share.holder === undefined) return;
    if (share.bytes === 0) this.#shares.delete(share);
    else if (share.bytes === by) this.#shares.add(share);
  }
}

/** The bytes of one holder. Created by a budget. */
export class Share {
  bytes = 0;
  /** How much its holder had moved when it was last found not to be slow. */
  #markBytes = 0;
  #markedAt = 0;

  constructor(
    private readonly budget: ByteBudget,
    readonly holder: ShareHolder | undefined,
    private readonly now: () => number,
  ) {}

  /** Takes the bytes if there is room. @returns whether it did */
  take(bytes: number): boolean {
    if (!this.budget.makeRoom(bytes, this)) return false;
    this.#add(bytes);
    return true;
  }

  /**
   * Takes bytes that are few, or have already arrived: others make room for them, or the budget is
   * exceeded.
   */
  force(bytes: number): void {
    this.budget.makeRoom(bytes, this);
    this.#add(bytes);
  }

  give(bytes: number): void {
    if (bytes > 0) this.#add(-bytes);
  }

  /** Sets the number of bytes that it holds. */
  set(bytes: number): void {
    const more = bytes - this.bytes;
    if (more > 0) this.force(more);
    else this.give(-more);
  }

  #add(bytes: number): void {
    if (this.bytes === 0 && this.holder !== undefined) {
      this.budget.starts();
      this.#mark(this.holder.movedBytes, this.now());
    }
    this.bytes += bytes;
    this.budget.changed(this, bytes);
  }

  #mark(bytes: number, now: number): void {
    this.#markBytes = bytes;
    this.#markedAt = now;
  }

  /** @internal */
  isSlow(now: number): boolean {
    const { holder } = this;
    if (holder === undefined) return false;
    const { movedBytes } = holder;
    if (holder.isAwaited && movedBytes - this.#markBytes < SLOW_BYTES) return now - this.#markedAt >= SLOW_MS;
    this.#mark(movedBytes, now);
    return false;
  }
}
