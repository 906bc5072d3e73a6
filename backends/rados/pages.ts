/** Pages of regions and of names, straight from the catalog; names below a delimiter are grouped. */
import type {
  CheckedNames,
  NamedRegion,
  NamesPage,
  RegionId,
  RegionPage,
  RegionStat,
} from '../../core/index.js';
import type { Catalog } from './catalog.js';
import { type Entry, idOf, KINDS, namedOf, nameKey, regionOf, slotKey } from './catalog-entries.js';
import { statOf } from './storage.js';

const PAGE = 256;
/** Behind every key that begins with what is before it: no byte of UTF-8 is as large. */
const BEHIND_ALL = Buffer.from([0xff]);

/** @param isHidden whether a region is left out, as it is being erased */
export async function regionsPage(
  catalog: Catalog,
  after: RegionId | undefined,
  limit: number,
  isHidden: (key: string) => boolean,
): Promise<RegionPage> {
  const { poolId } = catalog.settings;
  let from = Buffer.from(after === undefined ? KINDS.region : slotKey('i', after.slot));
  const regions: RegionStat[] = [];
  for (;;) {
    const { entries, more } = await catalog.page(KINDS.region, from, limit - regions.length + 1);
    for (const [key, value] of entries) {
      const entry = regionOf(key, value);
      if (isHidden(entry.key)) continue;
      const next = regions.at(-1)?.id;
      if (regions.length === limit) return { regions, ...(next && { next }) };
      regions.push(statOf(entry, poolId));
    }
    const last = entries.at(-1);
    if (!more || last === undefined) return { regions };
    from = Buffer.from(last[0]);
  }
}

/** @param isHidden whether a region is left out, as it is being erased */
export async function namesPage(
  catalog: Catalog,
  { prefix, delimiter, after, limit }: CheckedNames,
  isHidden: (key: string) => boolean,
): Promise<NamesPage> {
  const names: NamedRegion[] = [];
  const prefixes: string[] = [];
  let last = after;
  let from = after === undefined ? Buffer.from(KINDS.name) : startAfter(after, prefix, delimiter);
  for (;;) {
    const { entries, more } = await catalog.page(
      nameKey(prefix),
      from,
      delimiter === undefined ? Math.min(limit + 1, 1000) : PAGE,
    );
    for (const [key, value] of entries) {
      const entry = namedOf(key, value);
      if (isHidden(entry.key)) continue;
      const group = groupOf(entry.name, prefix, delimiter);
      if (group !== undefined && group === prefixes.at(-1)) continue;
      if (names.length + prefixes.length === limit)
        return { names, prefixes, ...(last !== undefined && { next: last }) };
      if (group === undefined) names.push(named(entry, catalog.settings.poolId));
      else prefixes.push(group);
      last = group ?? entry.name;
    }
    const final = entries.at(-1);
    if (!more || final === undefined) return { names, prefixes };
    // A group that goes on beyond this page is passed over as a whole.
    const group = groupOf(namedOf(...final).name, prefix, delimiter);
    from = group !== undefined && group === prefixes.at(-1) ? behind(group) : Buffer.from(final[0]);
  }
}

function startAfter(after: string, prefix: string, delimiter: string | undefined): Buffer {
  const isGroup = after.startsWith(prefix) && groupOf(after, prefix, delimiter) === after;
  return isGroup ? behind(after) : Buffer.from(nameKey(after));
}

function behind(group: string): Buffer {
  return Buffer.concat([Buffer.from(nameKey(group)), BEHIND_ALL]);
}

/** The common prefix that a name belongs to, if it does. */
function groupOf(name: string, prefix: string, delimiter: string | undefined): string | undefined {
  if (delimiter === undefined) return undefined;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : name.slice(0, at + delimiter.length);
}

function named(
  { key, size, createdAt, name }: Entry & { readonly name: string },
  poolId: string,
): NamedRegion {
  return { name, id: idOf(key, poolId), size, createdAt };
}
