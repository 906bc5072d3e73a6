/**
 * What a user of a recovered pool can see of it: every region with its bytes, IDs that should be
 * dead, how much space is used.
 */
import { RegionId, type Target } from '../../core/index.js';
import { chunkLength } from '../../core/pool/chunk-directory.js';
import { DESCRIPTOR_BYTES, DescriptorFields, decodeDescriptor } from '../../core/pool/descriptor.js';
import { HEADER_BYTES, alignUp, firstExtentOffset } from '../../core/pool/extent.js';
import { chooseHeader } from '../../core/pool/header-choice.js';
import type { PoolHeader } from '../../core/pool/header.js';
import { extentOfName } from '../../core/pool/named-slots.js';

export interface SeenRegion {
  readonly id: string;
  readonly size: number;
  readonly createdAt: number;
  readonly bytes: Uint8Array;
  readonly name: string | undefined;
}

export interface Observation {
  readonly regions: readonly SeenRegion[];
  /** `NAME ID` of each name, as `names` lists them. */
  readonly names: readonly string[];
  /** Of the IDs that were asked for, those that name something. */
  readonly found: readonly string[];
  readonly quarantined: number;
  readonly usedBytes: number;
  /** What headers, chunks, the journal and live regions take. */
  readonly accountedBytes: number;
}

/**
 * @param pool   the bytes that the target lies on
 * @param stale  IDs of regions that are gone
 */
export async function observe(
  target: Target,
  pool: Uint8Array,
  stale: Iterable<string>,
): Promise<Observation> {
  const { regions: listed } = await target.list();
  const regions: SeenRegion[] = [];
  for (const { id, size, createdAt, name } of listed) {
    const bytes = await target.read(id, 0, size);
    regions.push({ id: id.toString(), size, createdAt, bytes, name });
  }
  const names = (await target.names()).names.map(({ name, id }) => `${name} ${id.toString()}`);
  const found: string[] = [];
  for (const id of stale) if (await isThere(target, id)) found.push(id);
  const { usedBytes, recovery } = await target.stats();
  const accountedBytes = accounted(pool);
  return { regions, names, found, quarantined: recovery.quarantined, usedBytes, accountedBytes };
}

async function isThere(target: Target, id: string): Promise<boolean> {
  // It is hardly ever there, and nobody reads the stack of the error.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const stat = target.stat(RegionId.parse(id));
  Error.stackTraceLimit = stackTraceLimit;
  try {
    await stat;
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'REGION_NOT_FOUND') return false;
    throw error;
  }
}

/** The header pages that were decoded last: most states that follow each other have the same. */
let decoded: { readonly pages: Uint8Array; readonly header: PoolHeader } | undefined;

function headerOf(pool: Uint8Array): PoolHeader {
  const pages = pool.subarray(0, 2 * HEADER_BYTES);
  if (decoded === undefined || Buffer.compare(decoded.pages, pages) !== 0) {
    const { header } = chooseHeader(pages.subarray(0, HEADER_BYTES), pages.subarray(HEADER_BYTES));
    decoded = { pages: pages.slice(), header };
  }
  return decoded.header;
}

/** What is in use by what the headers and the descriptors say. */
export function accounted(pool: Uint8Array): number {
  const header = headerOf(pool);
  const { alignment, chunks, journal, log } = header;
  let sum = firstExtentOffset(alignment) + 2 * (journal?.length ?? 0) + (log?.length ?? 0);
  const fields = new DescriptorFields();
  for (const { offset: from, firstSlot, count } of chunks) {
    sum += chunkLength(count, alignment);
    for (let index = 0; index < count; index++) {
      const at = from + index * DESCRIPTOR_BYTES;
      if (decodeDescriptor(pool, at, firstSlot + index, header, fields) !== 'live') continue;
      const { offset, size, nameOffset, nameLength } = fields;
      sum += alignUp(size, alignment);
      if (nameLength > 0) sum += extentOfName(offset, size, nameOffset, nameLength, alignment).length;
    }
  }
  return sum;
}
