/**
 * What a connection's requests in flight do to regions. A client that sends a write and then, without waiting, a read of the same
 * bytes is to read what it wrote; requests that do not touch the same bytes run at the same time.
 */
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';

/** Part of a region that a request changes, or only looks at. */
export class RegionUse {
  constructor(
    readonly target: Target,
    readonly id: RegionId,
    readonly offset: number,
    /** The byte behind the last; Infinity for the region as a whole. */
    readonly end: number,
    readonly isChange: boolean,
  ) {}
}

export class Conflicts {
  readonly #inFlight: RegionUse[] = [];

  get count(): number {
    return this.#inFlight.length;
  }

  /** Whether a request must wait for one that came before it. */
  meets({ target, id, offset, end, isChange }: RegionUse): boolean {
    for (const other of this.#inFlight) {
      if (!isChange && !other.isChange) continue;
      if (offset >= other.end || other.offset >= end) continue;
      if (target === other.target && id.equals(other.id)) return true;
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
