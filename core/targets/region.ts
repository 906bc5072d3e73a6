/** A region as its backend holds it, with the counts that BaseTarget keeps on it. */
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';

/** Keeps calls away from a region while a transaction writes to it. */
export interface Hold {
  /** Resolves when the transaction has ended. */
  readonly ended: Promise<void>;
  /** Called when a call on the region has ended. */
  readonly onUnpin: () => void;
}

/** A region as its backend holds it. It is the same object as long as the region lives. */
export class Region implements RegionStat {
  /** Calls in flight on the region, and views of it that callers hold. Counted by BaseTarget. */
  pins = 0;
  /** The part of `pins` that is mappings, and parts that receive bytes. Transactions do not wait for them. */
  views = 0;
  /** Erased or being erased: new calls are refused. Set by BaseTarget. */
  isErased = false;
  /** @internal While it is set, calls that would pin the region wait for its end, and then look again. */
  hold: Hold | undefined = undefined;

  constructor(
    /** Its ID, the same as long as it lives. */
    readonly id: RegionId,
    /** Exact size, bytes. */
    readonly size: number,
    /** Time of creation, milliseconds since the epoch. */
    readonly createdAt: number,
  ) {}
}

/** A region that a caller reads in many calls. It stays in place until it is released. */
export interface KeptRegion {
  /** Whether the region is erased. Its space is still kept. */
  readonly isErased: boolean;
  /** Like `Target.readInto`, even if the region is erased. */
  readInto(offset: number, buffer: Uint8Array): Promise<void>;
  /** Unpins the region. A second call does nothing. */
  release(): void;
}

/**
 * What a listing needs of a region: its object if there is one, else its numbers. A listing does
 * not pin it.
 */
export type ListedRegion = RegionStat & Partial<Pick<Region, 'isErased'>>;
