/**
 * What repair writes into a damaged pool: over every quarantined slot a free descriptor of the last
 * generation (which retires the slot: no region ever uses it again), descriptors without a name for
 * regions whose name is lost, and new headers. It has no input or output. repair.ts carries it out,
 * in an order that a crash may interrupt anywhere.
 *
 * | header | sequence | what it says |
 * |---|---|---|
 * | before | s | the one that counts |
 * | marked | s + 1 | that the pool is being repaired, so that nobody opens it |
 * | after | s + 2 | the same as before; freshFrom is the capacity if the headers were older than the regions |
 *
 * Nothing else of valid regions is changed, and no byte of an extent.
 */
import { BedrockError } from '../base/errors.js';
import type { Chunk } from './chunk-directory.js';
import { crc32c } from './crc32c.js';
import { DESCRIPTOR_BYTES, encodeDescriptor, encodeWordZero, MAX_GENERATION } from './descriptor.js';
import { alignDown } from './extent.js';
import type { HeaderChoice } from './header-choice.js';
import { BEING_REPAIRED, encodeHeader, type PoolHeader } from './header.js';
import type { UsableHeaders } from './inspection.js';
import { damagedNames } from './name-recovery.js';
import type { QuarantinedSlots } from './quarantine.js';
import type { DescriptorPiece } from './scan.js';

/** A write of descriptors does not cross pages: one page may be unreadable while the next is not. */
const PAGE_BYTES = 4096;

export interface RepairPlan {
  readonly choice: HeaderChoice;
  /** The header pages during the repair, and after it. */
  readonly marked: Uint8Array;
  readonly after: Uint8Array;
  readonly quarantined: QuarantinedSlots;
  /** Regions whose name is lost, in the order of slots. */
  readonly unnamed: readonly LiveRow[];
  /** The file has at least this many bytes afterwards. */
  readonly fileBytes: number;
}

/** The descriptor of a region, except its name. */
export interface LiveRow {
  readonly slot: number;
  readonly generation: number;
  readonly offset: number;
  readonly size: number;
  readonly createdAt: number;
}

/** Descriptors that are rewritten. */
export interface RewrittenRun {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Whether any of them was readable when the pool was inspected. */
  readonly wasReadable: boolean;
}

/** @throws NOT_SUPPORTED for a pool that this version may only read */
export function planRepair({
  choice,
  recovery,
  names,
  table,
}: Pick<UsableHeaders, 'choice' | 'recovery' | 'names' | 'table'>): RepairPlan {
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
    unnamed: damagedNames(recovery, names, table).map((slot) => ({
      slot,
      generation: table.generation(slot),
      offset: table.offset(slot),
      size: table.size(slot),
      createdAt: table.createdAt(slot),
    })),
    fileBytes: header.capacity,
  };
}

/** The header while a repair, or its undoing, is in progress. */
export function markedHeader(header: PoolHeader, steps: number): PoolHeader {
  const { features } = header;
  const incompatible = (features.incompatible | BEING_REPAIRED) >>> 0;
  return { ...header, features: { ...features, incompatible }, sequence: header.sequence + steps };
}

/** The header after that. */
export function unmarkedHeader(header: PoolHeader): PoolHeader {
  const { features } = header;
  return {
    ...header,
    features: { ...features, incompatible: (features.incompatible & ~BEING_REPAIRED) >>> 0 },
  };
}

/** A slot whose descriptor is rewritten. */
interface Rewritten {
  readonly slot: number;
  readonly wasReadable: boolean;
  /** The region that stays there; absent if the slot is retired. */
  readonly row?: LiveRow;
}

/** In the order of slots. */
function* rewrittenSlots({
  quarantined,
  unnamed,
}: Pick<RepairPlan, 'quarantined' | 'unnamed'>): Generator<Rewritten> {
  let next = 0;
  for (let found = quarantined.next(-1); ; found = quarantined.next(found.slot)) {
    for (let row = unnamed[next]; row !== undefined; row = unnamed[++next]) {
      if (found !== undefined && row.slot > found.slot) break;
      yield { slot: row.slot, wasReadable: true, row };
    }
    if (found === undefined) return;
    yield { slot: found.slot, wasReadable: found.reason !== 'unreadable' };
  }
}

/** Descriptors of neighbouring slots, joined. */
export function* rewrittenRuns(
  plan: Pick<RepairPlan, 'quarantined' | 'unnamed'> & { readonly choice: Pick<HeaderChoice, 'header'> },
): Generator<RewrittenRun> {
  const { header } = plan.choice;
  let chunkIndex = 0;
  let run: Rewritten[] = [];
  let most = 0;
  let offset = 0;
  const encoded = (): RewrittenRun => {
    const bytes = new Uint8Array(run.length * DESCRIPTOR_BYTES);
    for (const [index, { slot, row }] of run.entries()) {
      const at = index * DESCRIPTOR_BYTES;
      if (row === undefined) encodeWordZero(bytes, at, slot, header, MAX_GENERATION, false);
      else encodeDescriptor(bytes, at, slot, header, row.generation, row.offset, row.size, row.createdAt);
    }
    return { offset, bytes, wasReadable: run.some(({ wasReadable }) => wasReadable) };
  };
  for (const rewritten of rewrittenSlots(plan)) {
    const { slot } = rewritten;
    const [first] = run;
    if (first !== undefined && run.length < most && slot === first.slot + run.length) {
      run.push(rewritten);
      continue;
    }
    if (first !== undefined) yield encoded();
    let chunk = header.chunks[chunkIndex] as Chunk;
    while (chunk.firstSlot + chunk.count <= slot) chunk = header.chunks[++chunkIndex] as Chunk;
    offset = chunk.offset + (slot - chunk.firstSlot) * DESCRIPTOR_BYTES;
    const left = (alignDown(offset, PAGE_BYTES) + PAGE_BYTES - offset) / DESCRIPTOR_BYTES;
    most = Math.min(left, chunk.firstSlot + chunk.count - slot);
    run = [rewritten];
  }
  if (run.length > 0) yield encoded();
}

/** A checksum of everything that a repair and later changes touch: a header page, then every descriptor. */
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

/** The medium could read this when the pool was inspected, and cannot now. So the plan is no longer valid. */
export function noLongerReadable(offset: number): BedrockError {
  return new BedrockError(
    'POOL_CORRUPT',
    `the descriptors at ${offset} cannot be read now, although they could be when the pool was inspected; check its medium, then run the command again`,
    { details: { offset } },
  );
}

/**
 * The fingerprint that the pool will have after the repair, computed from its present descriptors.
 * Slots that could not be read are all rewritten.
 * @throws POOL_CORRUPT if others cannot be read either: zeros in their place would give a wrong fingerprint
 */
export async function fingerprintAfter(
  plan: RepairPlan,
  pieces: AsyncIterable<DescriptorPiece>,
): Promise<string> {
  const fingerprint = new PoolFingerprint(plan.after);
  const runs = rewrittenRuns(plan);
  let run = runs.next();
  for await (const piece of pieces) {
    const { offset, slots, bytes = new Uint8Array(slots * DESCRIPTOR_BYTES) } = piece;
    const end = offset + slots * DESCRIPTOR_BYTES;
    let rewritten = 0;
    // At the end of the file a piece ends, but a run does not.
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
