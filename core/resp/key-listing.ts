/**
 * The keys of a target, for SCAN, KEYS and RANDOMKEY: names in order, then the IDs of regions
 * without a name. A name that exists all the time is found once, however often its region is
 * replaced meanwhile.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { NamesOptions } from '../contract/names.js';
import type { ListOptions, RegionStat, Target } from '../contract/target.js';
import type { ListingPosition } from './cursors.js';
import type { Glob } from './glob.js';

export const FROM_THE_FIRST: ListingPosition = { after: undefined, areNamesOver: false };

/** Names or regions in a piece: about a millisecond of work. */
const PIECE = 500;

/**
 * The most regions that are searched for ones without a name before a page is given, even if it is
 * not full.
 */
const MAX_SKIPPED = 1000;

/** Which keys are asked for. */
interface KeysAsked {
  /** Undefined: all. */
  readonly glob: Glob | undefined;
  /** Only names with this prefix are looked at; empty: all. */
  readonly prefix: string;
  /** Whether regions without a name are shown. */
  readonly areIdsShown: boolean;
}

/**
 * Finds keys.
 * @param place position of the listing
 * @param count about how many names and regions to look at
 * @param take gets the matching keys, piece by piece
 * @returns the new position; nothing at the end
 */
export async function listKeys(
  target: Target,
  place: ListingPosition,
  { glob, prefix, areIdsShown }: KeysAsked,
  count: number,
  take: (keys: readonly string[]) => void,
): Promise<ListingPosition | undefined> {
  let left = count;
  let after = place.after;
  if (!place.areNamesOver && target.capabilities.named) {
    for (;;) {
      const options: NamesOptions = { limit: Math.min(left, PIECE) };
      if (typeof after === 'string') options.after = after;
      if (prefix !== '') options.prefix = prefix;
      const { names, next } = await target.names(options);
      take(
        matching(
          glob,
          names.map(({ name }) => name),
        ),
      );
      left -= names.length;
      after = next;
      if (next === undefined) break;
      if (left <= 0) return { after, areNamesOver: false };
      await nextTurn();
      // Safe: names may come and go between pages, and the order of the others stays.
    }
    if (left <= 0) return { after: undefined, areNamesOver: true };
  }
  if (!areIdsShown) return undefined;
  let mayBeSkipped = MAX_SKIPPED;
  for (;;) {
    const options: ListOptions = { limit: Math.min(Math.max(left, mayBeSkipped), PIECE) };
    if (after !== undefined && typeof after !== 'string') options.after = after;
    const { regions, next } = await target.list(options);
    const ids = regions.filter(({ name }) => name === undefined).map(({ id }) => id.toString());
    take(matching(glob, ids));
    left -= ids.length;
    mayBeSkipped -= regions.length - ids.length;
    if (next === undefined || regions.length === 0) return undefined;
    after = next;
    if (left <= 0 || mayBeSkipped <= 0) return { after, areNamesOver: true };
    await nextTurn();
    // Safe: as above.
  }
}

function matching(glob: Glob | undefined, keys: readonly string[]): readonly string[] {
  if (glob === undefined || glob.isAll) return keys;
  return keys.filter((key) => glob.matches(Buffer.from(key)));
}

/** The prefix of all names that match, as far as it is text. */
export function prefixOf(glob: Glob | undefined): string | undefined {
  if (glob === undefined) return undefined;
  const prefix = new TextDecoder('utf-8', { ignoreBOM: true });
  // A character that is cut off is dropped.
  const text = prefix.decode(glob.prefix, { stream: true });
  return text === '' || text.includes('\ufffd') ? undefined : text;
}

/**
 * A random key. A key after a gap of erased regions is as likely as the whole gap. Nothing if there
 * are no keys.
 */
export async function randomKey(target: Target): Promise<string | undefined> {
  const [first] = (await target.list({ limit: 1 })).regions;
  if (first === undefined) return undefined;
  const { generation, poolLow, poolHigh } = first.id;
  const behind = async (slot: number): Promise<RegionStat | undefined> => {
    const after = RegionId.of(slot, generation, poolLow, poolHigh);
    return (await target.list({ after, limit: 1 })).regions[0];
  };
  try {
    // Safe: any key that exists by now will do.
    let slots = (await target.stats()).regions;
    while (slots < MOST_SLOTS && (await behind(slots - 1)) !== undefined) slots *= 2;
    const slot = Math.floor(Math.random() * slots) - 1;
    return keyOf((slot < 0 ? undefined : await behind(slot)) ?? first);
  } catch (error) {
    // A backend whose IDs have no slots only knows IDs that it gave out.
    if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return keyOf(first);
    throw error;
  }
}

/** No target has more slots. */
const MOST_SLOTS = 2 ** 31;

function keyOf({ id, name }: RegionStat): string {
  return name ?? id.toString();
}
