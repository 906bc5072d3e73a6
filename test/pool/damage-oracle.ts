/**
 * What a damaged pool must still give, worked out without recovery: by going through all
 * descriptors and comparing each extent with each.
 */
import { chunkLength } from '../../core/pool/chunk-directory.js';
import { decodeDescriptor, DescriptorFields } from '../../core/pool/descriptor.js';
import { alignDown, alignUp, extentFault } from '../../core/pool/extent.js';
import { chooseHeader } from '../../core/pool/header-choice.js';
import type { MemoryMedium } from './memory-medium.js';
import type { PoolWorld, WorldRegion } from './pool-world.js';

const PAGE = 4096;
const DESCRIPTOR = 64;

interface Span {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
}

/** The header that counts, as text; undefined if none does. */
export function headerInForce(medium: MemoryMedium): Uint8Array | undefined {
  const page = (copy: number): Uint8Array | undefined =>
    medium.lostPages.has(copy) ? undefined : medium.bytes.subarray(copy * PAGE, (copy + 1) * PAGE);
  try {
    return chooseHeader(page(0), page(1)).bytes;
  } catch {
    return undefined;
  }
}

/**
 * Regions whose header, chunk entry, descriptor and place in the file are as they were, and which
 * no other whole descriptor claims.
 */
export function undamagedRegions(world: PoolWorld, medium: MemoryMedium): WorldRegion[] {
  const header = headerInForce(medium);
  if (header === undefined || Buffer.compare(header, world.bytes.subarray(0, PAGE)) !== 0) return [];
  const claims = claimsOf(world, medium);
  return world.regions.filter((region) => {
    const place = placeOf(world, region.id.slot);
    if (!isReadable(medium, place)) return false;
    const [now, before] = [medium.bytes, world.bytes].map((bytes) =>
      bytes.subarray(place, place + DESCRIPTOR),
    );
    if (Buffer.compare(now as Uint8Array, before as Uint8Array) !== 0) return false;
    if (region.size === 0) return true;
    if (region.offset + region.size > medium.size) return false;
    const own = spanOf(world, region.id.slot, region.offset, region.size);
    return claims.every(({ slot, from, to }) => slot === own.slot || to <= own.from || from >= own.to);
  });
}

/** Extents of whole live descriptors, those beyond the end of the file too, and of the chunks. */
function claimsOf(world: PoolWorld, medium: MemoryMedium): Span[] {
  const { header } = world;
  const claims: Span[] = [];
  const fields = new DescriptorFields();
  for (const { offset, firstSlot, count } of header.chunks) {
    claims.push({ slot: -1, from: offset, to: offset + chunkLength(count, header.alignment) });
    for (let slot = firstSlot; slot < firstSlot + count; slot++) {
      const place = placeOf(world, slot);
      if (!isReadable(medium, place)) continue;
      if (decodeDescriptor(medium.bytes, place, slot, header, fields) !== 'live') continue;
      if (fields.size === 0 || extentFault(header, fields.offset, fields.size) !== undefined) continue;
      claims.push(spanOf(world, slot, fields.offset, fields.size));
    }
  }
  return claims;
}

export function spanOf(
  { header: { alignment } }: PoolWorld,
  slot: number,
  offset: number,
  size: number,
): Span {
  return { slot, from: alignDown(offset, alignment), to: alignUp(offset + size, alignment) };
}

function placeOf({ header }: PoolWorld, slot: number): number {
  const chunk = header.chunks.find(({ firstSlot, count }) => slot < firstSlot + count);
  if (chunk === undefined) throw new Error(`no slot ${slot}`);
  return chunk.offset + (slot - chunk.firstSlot) * DESCRIPTOR;
}

/**
 * A page that cannot be read takes the others of a piece with it only where a piece is smaller than
 * a page.
 */
function isReadable({ size, lostPages }: MemoryMedium, place: number): boolean {
  return place + DESCRIPTOR <= size && !lostPages.has(Math.floor(place / PAGE));
}
