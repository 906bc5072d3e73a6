/**
 * Names in pages, optionally grouped by a delimiter. The next page continues after the last name of
 * this one, not at a place in a table. So names may come and go between pages, and a name that
 * stays is given exactly once.
 */
import type { NamedRegion, NamesPage } from '../contract/names.js';
import type { CheckedNames } from './name-arguments.js';
import { bytesBehind } from './name-index.js';
import type { NameEntry } from './named-store.js';
import type { ListedRegion } from './region.js';

/** @param namesFrom the hook */
export function pageOfNames(
  { prefix, delimiter, after, limit }: CheckedNames,
  namesFrom: (from: Uint8Array) => Iterable<NameEntry>,
): NamesPage {
  const names: NamedRegion[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  let from = firstBytes(prefix, delimiter, after);
  search: for (;;) {
    for (const { name, region } of namesFrom(from)) {
      if (!name.startsWith(prefix)) break search;
      if (region.isErased === true) continue;
      if (names.length + prefixes.length === limit && last !== undefined)
        return { names, prefixes, next: last };
      const common = commonPrefix(name, prefix, delimiter);
      last = common ?? name;
      if (common === undefined) {
        names.push(namedRegion(name, region));
        continue;
      }
      prefixes.push(common);
      from = bytesBehindAll(common);
      continue search;
    }
    break;
  }
  return { names, prefixes };
}

/** The form in which `find` and pages return a region. */
export function namedRegion(name: string, { id, size, createdAt }: ListedRegion): NamedRegion {
  return { name, id, size, createdAt };
}

/** The bytes at which a page begins. */
function firstBytes(prefix: string, delimiter: string | undefined, after: string | undefined): Uint8Array {
  const first = Buffer.from(prefix);
  if (after === undefined) return first;
  // All names with a common prefix are in one group. So if `after` begins with it, the page
  // continues after all of them.
  const common = after.startsWith(prefix) ? commonPrefix(after, prefix, delimiter) : undefined;
  const behind = common === undefined ? bytesBehind(after) : bytesBehindAll(common);
  return Buffer.compare(behind, first) > 0 ? behind : first;
}

function commonPrefix(name: string, prefix: string, delimiter: string | undefined): string | undefined {
  if (delimiter === undefined) return undefined;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : name.slice(0, at + delimiter.length);
}

/** Bytes that sort after all names with this prefix: no UTF-8 has the byte 0xff. */
function bytesBehindAll(prefix: string): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)]);
}
