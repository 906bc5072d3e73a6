/**
 * Records what a connection's requests in flight do to regions: rule 2 of the order in
 * `connection.ts`. A client that sends a write and, without waiting, a read of the same bytes must
 * read what it wrote. Requests that do not touch the same bytes run at the same time.
 */
import type { RegionRef } from '../contract/names.js';
import type { Target } from '../contract/target.js';

/**
 * Part of a region that a request changes or reads. If the region is given by name, a change also
 * covers the name.
 */
export class RegionUse {
  constructor(
    readonly target: Target,
    readonly ref: RegionRef,
    readonly offset: number,
    /** The byte after the last; Infinity for the whole region. */
    readonly end: number,
    readonly isChange: boolean,
  ) {}
}

export class Conflicts {
  readonly #inFlight: RegionUse[] = [];

  get count(): number {
    return this.#inFlight.length;
  }

  /** Whether a request must wait for an earlier one. */
  meets({ target, ref, offset, end, isChange }: RegionUse): boolean {
    for (const other of this.#inFlight) {
      if (!isChange && !other.isChange) continue;
      // The whole region meets any part of it, also one without bytes: it may be gone afterwards.
      const isWhole = end === Infinity || other.end === Infinity;
      if (!isWhole && (offset >= other.end || other.offset >= end)) continue;
      if (target === other.target && mayBeSame(ref, other.ref)) return true;
    }
    return false;
  }

  begin(use: RegionUse): void {
    this.#inFlight.push(use);
  }

  end(use: RegionUse): void {
    const inFlight = this.#inFlight;
    const index = inFlight.indexOf(use);
    const last = inFlight.pop() as RegionUse;
    if (index < inFlight.length) inFlight[index] = last;
  }
}

/**
 * Until the requests in flight have ended, nobody knows which region has a name: it may be that of
 * any ID.
 */
function mayBeSame(one: RegionRef, other: RegionRef): boolean {
  if (typeof one === 'string') return typeof other !== 'string' || one === other;
  return typeof other === 'string' || one.equals(other);
}
