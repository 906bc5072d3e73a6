/**
 * Maps of the space of targets, for the doors. A map is given to all callers for a hundred times as
 * long as it took to make. So maps take at most a hundredth of a processor for each target, however
 * many callers there are.
 */
import { BedrockError } from '../base/errors.js';
import type { SpaceMap } from '../contract/space-map.js';
import type { Target } from '../contract/target.js';

/** Fine enough for a screen, and about 15 KiB of JSON. */
const BUCKETS = 1024;
const KEPT_FOR = 100;

interface Kept {
  readonly map: Promise<SpaceMap>;
  /** By performance.now(); Infinity while it is being made. */
  until: number;
}

export class SpaceMaps {
  readonly #kept = new WeakMap<Target, Kept>();

  /** @throws NOT_SUPPORTED, what the target throws */
  of(target: Target): Promise<SpaceMap> {
    const kept = this.#kept.get(target);
    if (kept !== undefined && performance.now() < kept.until) return kept.map;
    const made: Kept = { map: make(target), until: Infinity };
    this.#kept.set(target, made);
    const begun = performance.now();
    made.map.then(
      () => {
        const now = performance.now();
        made.until = now + KEPT_FOR * (now - begun);
      },
      () => (made.until = 0),
    );
    return made.map;
  }
}

async function make(target: Target): Promise<SpaceMap> {
  if (typeof target.spaceMap !== 'function')
    throw new BedrockError('NOT_SUPPORTED', `a ${target.type} target has no map of its space`);
  const map: unknown = await target.spaceMap(BUCKETS);
  if (isMap(map)) return map;
  throw new BedrockError('INTERNAL', `spaceMap of the backend "${target.type}" gave no map`);
}

/** A library is not trusted. */
function isMap(given: unknown): given is SpaceMap {
  const { totalBytes, bucketBytes, freeBytes, regions, freeExtents, freeExtentsBySize } = (given ??
    {}) as Record<string, unknown>;
  return (
    [totalBytes, bucketBytes, freeExtents].every(isCount) &&
    isCounts(freeBytes) &&
    isCounts(regions) &&
    isCounts(freeExtentsBySize) &&
    freeBytes.length === regions.length
  );
}

function isCounts(given: unknown): given is number[] {
  return Array.isArray(given) && given.length <= BUCKETS && given.every(isCount);
}

function isCount(given: unknown): given is number {
  return Number.isSafeInteger(given) && (given as number) >= 0;
}
