/**
 * Memory that all connections of a door share: for what they send, or for what they have not taken of what was sent to them.
 *
 * Bytes are counted as they come, not as they are announced. When all is taken, those give way who hold most of it and have been waited
 * for without moving anything worth the name: they are evicted. Where nobody is that slow, whoever asks for more is refused. So neither
 * clients that stall nor those that drip keep the others out, and a crowd that is merely large is told to come back later.
 */

/** Who has a share of it. */
export interface ShareHolder {
  /** Whether it is its peer that is waited for. */
  readonly isAwaited: boolean;
  /** Bytes that its peer has sent, or taken, so far. */
  readonly movedBytes: number;
  /** Gives back everything that it holds. */
  evict(): void;
}

/** Whoever moves fewer bytes in so long a time is slow. */
const SLOW_BYTES = 2 ** 16;
const SLOW_MS = 1000;
/** Where nobody was slow, it is not looked again before. */
const LOOK_MS = 10;

export class ByteBudget {
  #total = 0;
  #nextLook = 0;
  /** Those that hold something and may be evicted. */
  readonly #shares = new Set<Share>();

  /** @param now milliseconds */
  constructor(
    private readonly limit: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Bytes that are taken. */
  get total(): number {
    return this.#total;
  }

  get isFull(): boolean {
    return this.#total >= this.limit;
  }

  /** @param holder who is evicted for it; nobody, where the bytes are in use */
  share(holder?: ShareHolder): Share {
    return new Share(this, holder, this.now);
  }

  /** @internal Sees to it that there is room for more bytes. One that is alone may have more than there are. @returns whether there is */
  makeRoom(bytes: number, asker: Share): boolean {
    if (this.#fits(bytes, asker)) return true;
    const now = this.now();
    if (now >= this.#nextLook && !this.#evictSlow(bytes, asker, now)) this.#nextLook = now + LOOK_MS;
    return this.#fits(bytes, asker);
  }

  #fits(bytes: number, asker: Share): boolean {
    return this.#total + bytes <= this.limit || this.#total === asker.bytes;
  }

  /** @returns whether there is room now */
  #evictSlow(bytes: number, asker: Share, now: number): boolean {
    const slow = [...this.#shares].filter((share) => share !== asker && share.isSlow(now));
    slow.sort((one, other) => other.bytes - one.bytes);
    for (const { holder } of slow) {
      if (this.#fits(bytes, asker)) return true;
      holder?.evict();
    }
    return this.#fits(bytes, asker);
  }

  /** @internal */
  changed(share: Share, by: number): void {
    this.#total += by;
    if (share.holder === undefined) return;
    if (share.bytes === 0) this.#shares.delete(share);
    else if (share.bytes === by) this.#shares.add(share);
  }
}

/** What one of them holds. Made by a budget. */
export class Share {
  bytes = 0;
  /** How much its holder had moved when it was last seen not to be slow. */
  #markBytes = 0;
  #markedAt = 0;

  constructor(
    private readonly budget: ByteBudget,
    readonly holder: ShareHolder | undefined,
    private readonly now: () => number,
  ) {}

  /** @returns whether there are as many bytes, which are then taken */
  take(bytes: number): boolean {
    if (!this.budget.makeRoom(bytes, this)) return false;
    this.#add(bytes);
    return true;
  }

  /** Takes bytes that are few, or there already: others make room for them, or more are taken than there should be. */
  force(bytes: number): void {
    this.budget.makeRoom(bytes, this);
    this.#add(bytes);
  }

  give(bytes: number): void {
    if (bytes > 0) this.#add(-bytes);
  }

  /** Has it hold as many bytes as are there. */
  set(bytes: number): void {
    const more = bytes - this.bytes;
    if (more > 0) this.force(more);
    else this.give(-more);
  }

  #add(bytes: number): void {
    if (this.bytes === 0 && this.holder !== undefined) this.#mark(this.holder.movedBytes, this.now());
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
