/**
 * What repair writes into a damaged pool: free descriptors of the last generation over every quarantined slot (a retired slot, which no
 * region ever uses again), and new headers. Pure: repair.ts carries it out, in an order that a crash may break off anywhere.
 *
 * | header | sequence | what it says |
 * |---|---|---|
 * | before | s | the one that counts |
 * | marked | s + 1 | that the pool is being repaired, so that nobody opens it |
 * | after | s + 2 | the same as before; freshFrom is the capacity if the headers were older than the regions |
 *
 * No descriptor of a whole region is part of it, and no byte of an extent.
 */
import { BedrockError } from '../base/errors.js';
import type { Chunk } from './chunk-directory.js';
import { crc32c } from './crc32c.js';
import { DESCRIPTOR_BYTES, encodeWordZero, MAX_GENERATION } from './descriptor.js';
import { alignDown } from './extent.js';
import type { HeaderChoice } from './header-choice.js';
import { BEING_REPAIRED, encodeHeader, type PoolHeader } from './header.js';
import type { UsableHeaders } from './inspection.js';
import type { QuarantinedSlot } from './recovery.js';
import type { DescriptorPiece } from './scan.js';

/** A write of descriptors does not reach from one page into the next, which may be unreadable while the other is not. */
const PAGE_BYTES = 4096;

export interface RepairPlan {
  readonly choice: HeaderChoice;
  /** The header pages while it is under way, and at the end. */
  readonly marked: Uint8Array;
  readonly after: Uint8Array;
  /** In order. */
  readonly quarantined: readonly QuarantinedSlot[];
  /** Least bytes that the file then has. */
  readonly fileBytes: number;
}

/** Descriptors that are rewritten. */
export interface RetiredRun {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Whether any of them could be read when the pool was looked at. */
  readonly wasReadable: boolean;
}

/** @throws NOT_SUPPORTED for a pool that this version may only read */
export function planRepair({ choice, recovery }: Pick<UsableHeaders, 'choice' | 'recovery'>): RepairPlan {
  if (!choice.writable)
    throw new BedrockError(
      'NOT_SUPPORTED',
      'this version can only read the pool; repair it with the one that wrote it',
    );
  const { header } = choice;
  const freshFrom = recovery.isHeaderOld ? header.capacity : header.freshFrom;
  return {
    choice,
    marked: encodeHeader(markedHeader(header, 1)),
    after: encodeHeader({ ...unmarkedHeader(header), freshFrom, sequence: header.sequence + 2 }),
    quarantined: recovery.quarantined,
    fileBytes: header.capacity,
  };
}

/** The header while a repair, or its undoing, is under way. */
export function markedHeader(header: PoolHeader, steps: number): PoolHeader {
  const { features } = header;
  const incompatible = (features.incompatible | BEING_REPAIRED) >>> 0;
  return { ...header, features: { ...features, incompatible }, sequence: header.sequence + steps };
}

/** The header when that has ended. */
export function unmarkedHeader(header: PoolHeader): PoolHeader {
  const { features } = header;
  return {
    ...header,
    features: { ...features, incompatible: (features.incompatible & ~BEING_REPAIRED) >>> 0 },
  };
}

/** The descriptors of neighbouring slots together. */
export function* retiredRuns({ choice, quarantined }: RepairPlan): Generator<RetiredRun> {
  const { header } = choice;
  let chunkIndex = 0;
  for (let index = 0; index < quarantined.length;) {
    const { slot: first } = quarantined[index] as QuarantinedSlot;
    let chunk = header.chunks[chunkIndex] as Chunk;
    while (chunk.firstSlot + chunk.count <= first) chunk = header.chunks[++chunkIndex] as Chunk;
    const offset = chunk.offset + (first - chunk.firstSlot) * DESCRIPTOR_BYTES;
    const left = (alignDown(offset, PAGE_BYTES) + PAGE_BYTES - offset) / DESCRIPTOR_BYTES;
    const most = Math.min(left, chunk.firstSlot + chunk.count - first);
    let slots = 1;
    while (slots < most && quarantined[index + slots]?.slot === first + slots) slots++;
    const wasReadable = quarantined.slice(index, index + slots).some(({ reason }) => reason !== 'unreadable');
    index += slots;
    const bytes = new Uint8Array(slots * DESCRIPTOR_BYTES);
    for (let place = 0; place < slots; place++)
      encodeWordZero(bytes, place * DESCRIPTOR_BYTES, first + place, header, MAX_GENERATION, false);
    yield { offset, bytes, wasReadable };
  }
}

/** A checksum of all that a repair and later changes touch: a header page, then every descriptor. */
export class PoolFingerprint {
  #checksum: number;

  constructor(headerPage: Uint8Array) {
    this.#checksum = crc32c(headerPage);
  }

  add(descriptors: Uint8Array): void {
    this.#checksum = crc32c(descriptors, this.#checksum);
  }

  /** Eight hexadecimal digits. */
  toString(): string {
    return this.#checksum.toString(16).padStart(8, '0');
  }
}

/** What the medium gave when the pool was looked at, and does not give now: what was to be done is not known any more. */
export function noLongerReadable(offset: number): BedrockError {
  return new BedrockError(
    'POOL_CORRUPT',
    `the descriptors at ${offset} cannot be read, and could be when the pool was looked at; see to its medium, then run the command again`,
    { details: { offset } },
  );
}

/**
 * The fingerprint that the pool will have, of its descriptors as they are. Slots that could not be read are all rewritten.
 * @throws POOL_CORRUPT if others cannot be read either: zeros in their place would be the fingerprint of no pool
 */
export async function fingerprintAfter(
  plan: RepairPlan,
  pieces: AsyncIterable<DescriptorPiece>,
): Promise<string> {
  const fingerprint = new PoolFingerprint(plan.after);
  const runs = retiredRuns(plan);
  let run = runs.next();
  for await (const piece of pieces) {
    const { offset, slots, bytes = new Uint8Array(slots * DESCRIPTOR_BYTES) } = piece;
    const end = offset + slots * DESCRIPTOR_BYTES;
    let rewritten = 0;
    // Where the file ends a piece does, but not a run.
    while (
      run.done !== true &&
      run.value.offset < end &&
      run.value.offset + run.value.bytes.length > offset
    ) {
      const { offset: from, bytes: retired } = run.value;
      const skipped = Math.max(0, offset - from);
      const part = retired.subarray(skipped, end - from);
      bytes.set(part, from + skipped - offset);
      rewritten += part.length;
      if (from + retired.length > end) break;
      run = runs.next();
    }
    if (piece.bytes === undefined && rewritten < bytes.length) throw noLongerReadable(offset);
    fingerprint.add(bytes);
  }
  return fingerprint.toString();
}
