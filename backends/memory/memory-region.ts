/**
 * Where the bytes of a region in memory are: in a cell of a slab, or in segments of its own, which
 * are at most 1 GiB, as a single buffer may hold at most 4 GiB on Node.js 20. memory-target.ts
 * decides which, and accounts for the memory.
 */
import { BedrockError, Region, type RegionId } from '../../core/index.js';

/** Bytes of a segment; only the last one of a region may be shorter. */
const SEGMENT_BYTES = 2 ** 30;

const NO_SEGMENTS: readonly Uint8Array[] = [];

/** The storage of a region without a cell. */
export class Segments {
  /** Minimum number of bytes that were never written. */
  unwrittenBytes: number;

  constructor(
    readonly parts: readonly Uint8Array[],
    readonly sizeBytes: number,
  ) {
    this.unwrittenBytes = sizeBytes;
  }
}

/** A region in memory, found in its target's table. */
export class MemoryRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    /** The number of its cell, or NO_CELL. */
    public cell: number,
    /** Its slab or its first segment. */
    public bytes: Uint8Array,
    /** Its offset there. */
    public start: number,
    /** Its segments if it has no cell; undefined for a region of 0 bytes. */
    public store: Segments | undefined,
  ) {
    super(id, size, createdAt);
  }

  get segments(): readonly Uint8Array[] {
    return this.store?.parts ?? NO_SEGMENTS;
  }
}

/** @throws RangeError if the system refuses the memory */
export function segmentsOf(size: number): Uint8Array[] {
  const segments: Uint8Array[] = [];
  for (let left = size; left > 0; left -= SEGMENT_BYTES)
    segments.push(new Uint8Array(Math.min(left, SEGMENT_BYTES)));
  return segments;
}

interface Part {
  segment: Uint8Array;
  /** First byte within the segment. */
  from: number;
  /** End within the segment. */
  to: number;
  /** Offset of the part in the caller's buffer. */
  at: number;
}

/** The parts of segments that make up a range of a region. */
export function* partsOf(region: MemoryRegion, offset: number, size: number): Generator<Part> {
  let index = Math.floor(offset / SEGMENT_BYTES);
  let from = offset - index * SEGMENT_BYTES;
  for (let at = 0; at < size; index++, from = 0) {
    const segment = region.segments[index];
    if (segment === undefined)
      throw new BedrockError('INTERNAL', `region ${region.id.toString()} has no segment ${index}`);
    const to = Math.min(segment.length, from + size - at);
    yield { segment, from, to, at };
    at += to - from;
  }
}
