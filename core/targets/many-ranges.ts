/**
 * Long lists of ranges: a client may send tens of thousands in a request. Checking and joining them
 * takes tens of milliseconds, so it is done in pieces of about a millisecond, and others can run
 * between two pieces. Short lists cost no turn.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RegionRange } from '../contract/target.js';
import { type CheckedRanges, checkRanges } from './arguments.js';
import { unionOf } from './range-union.js';

/** Ranges in a piece. */
export const PIECE_RANGES = 2048;

/**
 * Like `checkRanges`. If the caller changes a long list meanwhile, the change may be seen or not;
 * what is checked here is what is used.
 * @throws INVALID_ARGUMENT, OUT_OF_RANGE
 */
export function checkManyRanges(
  action: string,
  ranges: readonly RegionRange[],
  regionSize: number,
): CheckedRanges | Promise<CheckedRanges> {
  // `checkRanges` refuses anything that is not an array.
  return Array.isArray(ranges) && ranges.length > PIECE_RANGES
    ? checkInPieces(action, ranges, regionSize)
    : checkRanges(action, ranges, regionSize);
}

async function checkInPieces(
  action: string,
  ranges: readonly RegionRange[],
  regionSize: number,
): Promise<CheckedRanges> {
  const checked: RegionRange[] = [];
  let total = 0;
  for (const piece of piecesOf(ranges)) {
    if (checked.length > 0) await nextTurn();
    const { ranges: some, total: bytes } = checkRanges(action, piece, regionSize);
    for (const range of some) checked.push(range);
    total += bytes;
  }
  return { ranges: checked, total };
}

/** Like `unionOf`. */
export function unionOfMany(
  ranges: readonly RegionRange[],
): readonly RegionRange[] | Promise<readonly RegionRange[]> {
  return ranges.length > PIECE_RANGES ? unionInPieces(ranges) : unionOf(ranges);
}

async function unionInPieces(ranges: readonly RegionRange[]): Promise<readonly RegionRange[]> {
  let unions: (readonly RegionRange[])[] = [];
  for (const piece of piecesOf(ranges)) {
    unions.push(unionOf(piece));
    await nextTurn();
  }
  // Joins two at a time; each is already sorted.
  while (unions.length > 1) {
    const merged: (readonly RegionRange[])[] = [];
    for (let at = 0; at < unions.length; at += 2) {
      const [one = [], other = []] = unions.slice(at, at + 2);
      merged.push(other.length === 0 ? one : await merge(one, other));
    }
    unions = merged;
  }
  return unions[0] ?? [];
}

function* piecesOf(ranges: readonly RegionRange[]): Generator<readonly RegionRange[]> {
  for (let at = 0; at < ranges.length; at += PIECE_RANGES) yield ranges.slice(at, at + PIECE_RANGES);
}

/** The union of two unions. */
async function merge(one: readonly RegionRange[], other: readonly RegionRange[]): Promise<RegionRange[]> {
  const union: RegionRange[] = [];
  let start = 0;
  let end = -1;
  let at = 0;
  let otherAt = 0;
  for (let count = one.length + other.length; count > 0; count--) {
    if (count % PIECE_RANGES === 0) await nextTurn();
    const mine = one[at];
    const theirs = other[otherAt];
    const isMine = theirs === undefined || (mine !== undefined && mine.offset <= theirs.offset);
    const { offset, size } = (isMine ? mine : theirs) as RegionRange;
    if (isMine) at++;
    else otherAt++;
    if (offset > end) {
      if (end >= 0) union.push({ offset: start, size: end - start });
      start = offset;
      end = offset;
    }
    end = Math.max(end, offset + size);
  }
  union.push({ offset: start, size: end - start });
  return union;
}
