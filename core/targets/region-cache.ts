/**
 * The objects of regions that are in use, or were recently. Finding one takes one array read, even
 * in a large table.
 *
 * Each slot shares one of a few thousand entries, chosen by its low bits, which holds the region
 * that came last. If a region is still in use when another one takes its entry, it is displaced: it
 * can be found elsewhere until nobody uses it any more. So the number of unused objects is bounded,
 * and a region in use has one object only.
 *
 * Pins are counted on the object. With a second object for the same region, its space could be
 * given away under a reader. So code that changes a row reports it here in the same synchronous
 * step: `keep` with the change to live, `forget` with the change to erasing. If there were a
 * promise between them, someone could find the row and have another object made. A second object is
 * refused in any case.
 */
import { BedrockError } from '../base/errors.js';
import type { Region } from './region.js';

const ENTRIES = 4096;
/** At first; there are more once a higher slot is in use. */
const FIRST_ENTRIES = 32;
/** With fewer displaced regions than this, they are not searched for ones that may go. */
const LEAST_SWEPT = 64;

export class RegionCache<R extends Region> {
  /** As long as there are fewer than `ENTRIES`, every slot has one of its own. */
  #entries = noRegions<R>(FIRST_ENTRIES);
  /** By slot. */
  readonly #displaced = new Map<number, R>();
  #sweepAt = LEAST_SWEPT;

  /** The object of the region in a slot, if it is kept. Accepts any unsigned 32-bit integer. */
  get(slot: number): R | undefined {
    const entries = this.#entries;
    const region = entries[slot & (entries.length - 1)];
    if (region?.id.slot === slot) return region;
    return this.#displaced.size === 0 ? undefined : this.#displaced.get(slot);
  }

  /**
   * Keeps a region's object while it is in use, and for some time after.
   * @throws INTERNAL if there is another object for its slot; then nothing changes
   */
  keep(region: R): void {
    const { slot } = region.id;
    const other = this.get(slot);
    if (other === region) return;
    if (other !== undefined) throw secondObject(region, other);
    if (slot >= this.#entries.length && this.#entries.length < ENTRIES) this.#grow(slot);
    const entries = this.#entries;
    const entry = slot & (entries.length - 1);
    const before = entries[entry];
    entries[entry] = region;
    if (before === undefined || before.pins === 0) return;
    this.#displaced.set(before.id.slot, before);
    if (this.#displaced.size >= this.#sweepAt) this.#sweep();
  }

  /** Drops the object of a region that is gone. */
  forget(region: R): void {
    const { slot } = region.id;
    const entry = slot & (this.#entries.length - 1);
    if (this.#entries[entry] === region) this.#entries[entry] = undefined;
    else if (this.#displaced.get(slot) === region) this.#displaced.delete(slot);
  }

  #grow(slot: number): void {
    let length = this.#entries.length;
    while (length < ENTRIES && length <= slot) length *= 2;
    this.#entries = [...this.#entries, ...noRegions<R>(length - this.#entries.length)];
  }

  #sweep(): void {
    for (const [slot, { pins }] of this.#displaced) if (pins === 0) this.#displaced.delete(slot);
    this.#sweepAt = Math.max(LEAST_SWEPT, 2 * this.#displaced.size);
  }
}

function noRegions<R>(count: number): (R | undefined)[] {
  return new Array<R | undefined>(count).fill(undefined);
}

/** The objects of regions that cannot be made again. It keeps all of them. */
export class AllRegions<R extends Region> {
  readonly #regions = new Map<number, R>();

  get(slot: number): R | undefined {
    return this.#regions.get(slot);
  }

  /** @throws INTERNAL if there is another object for its slot; then nothing changes */
  keep(region: R): void {
    const other = this.get(region.id.slot);
    if (other !== undefined && other !== region) throw secondObject(region, other);
    this.#regions.set(region.id.slot, region);
  }

  forget(region: R): void {
    if (this.get(region.id.slot) === region) this.#regions.delete(region.id.slot);
  }
}

function secondObject(region: Region, other: Region): BedrockError {
  return new BedrockError(
    'INTERNAL',
    `region ${region.id.toString()} has a second object: the slot already keeps ${other.id.toString()}`,
  );
}
