/**
 * Token buckets of many clients, in bounded memory.
 *
 * The buckets are in two generations. A bucket that is used moves to the young one. When that is
 * full, it becomes the old one, and the old one is forgotten: a client that was not seen meanwhile
 * has a full bucket again, as after a pause. So a flood of addresses takes no more memory than two
 * generations, and each step takes the same time, however many clients there are.
 */

/** Clients of one generation. */
const GENERATION = 16_384;

/** How fast a bucket fills, and how much it holds. */
export class Rate {
  constructor(
    readonly perSecond: number,
    readonly most: number,
  ) {}
}

interface Bucket {
  /** The amount that may be taken. Less than 0: it was taken in advance. */
  left: number;
  /** The time of this amount, milliseconds. */
  at: number;
}

export class RateTable {
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  /** @param now milliseconds. If it goes back, the buckets continue to fill from there. */
  constructor(
    private readonly rate: Rate,
    private readonly now: () => number,
    private readonly generation = GENERATION,
  ) {}

  /** Clients that are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Takes 1 if the bucket holds it. @returns 0, or how long to wait for it, milliseconds */
  take(client: string): number {
    const bucket = this.#find(client);
    const wait = this.#waitFor(bucket, 1);
    if (wait === 0) bucket.left--;
    return wait;
  }

  /** @returns 0 if the bucket holds so much, or how long to wait for that, milliseconds */
  waitFor(client: string, amount: number): number {
    return this.#waitFor(this.#find(client), amount);
  }

  /** Takes an amount, even if the bucket does not hold it. */
  spend(client: string, amount: number): void {
    this.#find(client).left -= amount;
  }

  #waitFor({ left }: Bucket, amount: number): number {
    return left >= amount ? 0 : ((amount - left) / this.rate.perSecond) * 1000;
  }

  #find(client: string): Bucket {
    const { perSecond, most } = this.rate;
    const now = this.now();
    const found = this.#young.get(client);
    const bucket = found ?? this.#old.get(client) ?? { left: most, at: now };
    if (found === undefined) this.#add(client, bucket);
    const passed = Math.max(0, now - bucket.at);
    bucket.left = Math.min(most, bucket.left + (passed / 1000) * perSecond);
    bucket.at = now;
    return bucket;
  }

  #add(client: string, bucket: Bucket): void {
    this.#old.delete(client);
    if (this.#young.size >= this.generation) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(client, bucket);
  }
}
