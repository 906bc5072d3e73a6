/**
 * Lists long pages of regions and names for the doors. Finding and writing ten thousand of them
 * takes tens of milliseconds. So it is done in pieces, with a turn for everybody else in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NamesOptions, NamesPage } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { ListOptions, RegionStat, Target } from '../contract/target.js';

/** Regions or names per piece: about a millisecond of work. */
export const PIECE_REGIONS = 500;

/**
 * Lists a page.
 * @param take gets the regions piece by piece; it may throw, which ends the listing
 * @returns the ID to continue after, if there are more
 * @throws what the target throws
 */
export async function listInPieces(
  target: Target,
  { after, limit }: { after: RegionId | undefined; limit: number },
  take: (regions: readonly RegionStat[]) => void,
): Promise<RegionId | undefined> {
  let left = limit;
  let last = after;
  for (;;) {
    const options: ListOptions = { limit: Math.min(left, PIECE_REGIONS) };
    if (last !== undefined) options.after = last;
    const { regions, next } = await target.list(options);
    take(regions);
    left -= regions.length;
    // An empty page that promises more is a fault of the target. Without this check the loop would
    // never end.
    if (next === undefined || left === 0 || regions.length === 0) return next;
    last = next;
    await nextTurn();
    // Safe: regions may come and go between pages; the order of the others does not change.
  }
}

/**
 * The same for names.
 * @param take is given names and common prefixes piece by piece, and may throw, which ends the
 *   listing
 * @returns the text to continue after, if there are more
 * @throws what the target throws
 */
export async function listNamesInPieces(
  target: Target,
  options: NamesOptions & { limit: number },
  take: (page: NamesPage) => void,
): Promise<string | undefined> {
  let left = options.limit;
  const piece: NamesOptions = { ...options };
  for (;;) {
    const page = await target.names({ ...piece, limit: Math.min(left, PIECE_REGIONS) });
    take(page);
    const count = page.names.length + page.prefixes.length;
    left -= count;
    if (page.next === undefined || left === 0 || count === 0) return page.next;
    piece.after = page.next;
    await nextTurn();
    // Safe: names may come and go between pages; the order of the others does not change.
  }
}
