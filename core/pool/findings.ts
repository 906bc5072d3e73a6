/**
 * Lists what is wrong with a pool, one finding after another. The log, `bedrock pool check` and
 * `bedrock pool repair` all use these findings of recovery, with these words, so that they always
 * report the same.
 *
 * | kind | what it is about |
 * |---|---|
 * | `header` | a header copy that is torn, damaged, missing or unreadable |
 * | `contradiction` | two whole headers of which at most one is right |
 * | `repair` | a repair that was interrupted |
 * | `file` | a file that is shorter than its pool |
 * | `freshFrom` | headers that are older than the regions |
 * | `name` | a region whose name is lost |
 * | any other | the reason why a slot is quarantined (quarantine.ts) |
 */
import { RegionId } from '../contract/region-id.js';
import { type Chunk, descriptorOffset } from './chunk-directory.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { HEADER_BYTES } from './extent.js';
import type { HeaderChoice, HeaderCopy } from './header-choice.js';
import { isBeingRepaired, type PoolHeader } from './header.js';
import type { Inspection } from './inspection.js';
import {
  QUARANTINE_REASONS,
  type QuarantinedSlot,
  type QuarantinedSlots,
  type QuarantineReason,
} from './quarantine.js';
import type { SlotTable } from '../targets/slot-table.js';
import { damagedNames, type RecoveredNames } from './name-recovery.js';
import type { RecoveryResult } from './recovery.js';

export type FindingKind =
  | 'header'
  | 'contradiction'
  | 'repair'
  | 'file'
  | 'freshFrom'
  | 'name'
  | QuarantineReason;

export interface Finding {
  readonly kind: FindingKind;
  /** What is wrong, and where. */
  readonly message: string;
  /** What repair does about it. */
  readonly cure: string;
  /** Offset and length of the damaged bytes in the file. */
  readonly offset: number;
  readonly size: number;
  /** For a header, which of the two copies. */
  readonly copy?: HeaderCopy;
  /** The first slot, and how many there are: one, unless nothing tells the slots apart. */
  readonly slot?: number;
  readonly slots?: number;
  /** What the descriptor claims to be; absent if it claims nothing, as when it says that its slot is free. */
  readonly region?: LostRegion;
  /** Another party to an overlap. */
  readonly overlaps?: { readonly slot: number; readonly id: string } | 'chunk';
}

export interface LostRegion {
  readonly id: string;
  /** False if the descriptor is damaged: then any of the figures may be wrong. */
  readonly isCertain: boolean;
  /** Absent if the values cannot belong to an extent. */
  readonly offset?: number;
  readonly size?: number;
}

/** What recovery knows of a pool whose headers can be used. */
export interface Recovered {
  readonly choice: HeaderChoice;
  readonly recovery: Pick<RecoveryResult, 'quarantined' | 'isHeaderOld' | 'impossibleNames'>;
  readonly names: Pick<RecoveredNames, 'damaged'>;
  readonly table: SlotTable;
  readonly fileBytes: number;
}

/** What is wrong with headers if none can be used. */
export function findingsOfHeaders(
  { pages, copies }: Pick<Inspection, 'pages' | 'copies'>,
  why: string,
): Finding[] {
  const damaged = copies.flatMap((copy, index): Finding[] => {
    if (copy !== undefined && 'header' in copy) return [];
    const offset = index * HEADER_BYTES;
    return [
      {
        kind: 'header',
        message: `header copy ${index} at ${offset}: ${copy?.reason ?? 'it cannot be read'}`,
        cure: 'none, as the other copy cannot be used either; take the pool from a backup',
        offset,
        size: pages[index]?.length ?? HEADER_BYTES,
        copy: index as HeaderCopy,
      },
    ];
  });
  if (damaged.length > 0) return damaged;
  return [
    {
      kind: 'contradiction',
      message: why,
      cure: 'the copy that --header names is written over the other one',
      offset: 0,
      size: 2 * HEADER_BYTES,
    },
  ];
}

/** Headers first, then slots in order. Yielded one by one, as there may be as many as slots. */
export function* findingsOf({ choice, recovery, names, table, fileBytes }: Recovered): Generator<Finding> {
  const { header } = choice;
  yield* headerFindings(choice);
  if (fileBytes < header.capacity) {
    yield {
      kind: 'file',
      message: `the file ends at ${fileBytes}, before the pool's capacity of ${header.capacity} bytes`,
      cure: 'the file becomes as long as the capacity; what was after its end is lost',
      offset: fileBytes,
      size: header.capacity - fileBytes,
    };
  }
  if (recovery.isHeaderOld) {
    yield {
      kind: 'freshFrom',
      message: `both headers are older than the regions: some lie beyond ${header.freshFrom}, where nothing was ever written`,
      cure: 'all free space counts as written to, and is zeroed before it is used',
      offset: 0,
      size: 2 * HEADER_BYTES,
    };
  }
  yield* slotFindings(header, recovery.quarantined);
  for (const slot of damagedNames(recovery, names, table)) yield nameFinding(header, table, slot);
}

function nameFinding(header: PoolHeader, table: SlotTable, slot: number): Finding {
  const offset = descriptorOffset(header.chunks, slot);
  const id = idOf(header, slot, table.generation(slot));
  return {
    kind: 'name',
    message: `slot ${slot} at ${offset}, region ${id}: its name cannot be read, does not match its checksum, or is that of another region`,
    cure: 'the region stays, without a name',
    offset,
    size: DESCRIPTOR_BYTES,
    slot,
  };
}

function* headerFindings({ header, copy, rewrite, damage }: HeaderChoice): Generator<Finding> {
  if (isBeingRepaired(header)) {
    yield {
      kind: 'repair',
      message:
        'a repair was interrupted, so the pool cannot be opened; the other findings are what it left half done',
      cure: 'it is undone, then done again',
      offset: 0,
      size: 2 * HEADER_BYTES,
    };
  }
  if (rewrite === undefined || damage === undefined) return;
  const offset = rewrite * HEADER_BYTES;
  yield {
    kind: 'header',
    message: `header copy ${rewrite} at ${offset}: ${damage}`,
    cure: `header copy ${copy} is written over it`,
    offset,
    size: HEADER_BYTES,
    copy: rewrite,
  };
}

function* slotFindings(header: PoolHeader, quarantined: QuarantinedSlots): Generator<Finding> {
  const { chunks } = header;
  let chunkIndex = 0;
  for (let found = quarantined.next(-1); found !== undefined;) {
    const first: QuarantinedSlot = found;
    while (endOf(chunks[chunkIndex] as Chunk) <= first.slot) chunkIndex++;
    const chunk = chunks[chunkIndex] as Chunk;
    let slots = 1;
    if (isAnonymous(first)) {
      while (first.slot + slots < endOf(chunk)) {
        const next = quarantined.at(first.slot + slots);
        if (next === undefined || next.reason !== first.reason || !isAnonymous(next)) break;
        slots++;
      }
    }
    found = quarantined.next(first.slot + slots - 1);
    const offset = chunk.offset + (first.slot - chunk.firstSlot) * DESCRIPTOR_BYTES;
    const overlaps = otherParty(header, quarantined, first);
    const region = claimOf(header, first);
    const isMany = slots > 1;
    const who = isMany ? `slots ${first.slot} to ${first.slot + slots - 1}` : `slot ${first.slot}`;
    const what = region === undefined ? '' : `, ${nameOf(region)}`;
    yield {
      kind: first.reason,
      message: `${who} at ${offset}${what}: ${overlaps === undefined ? QUARANTINE_REASONS[first.reason] : overlapOf(overlaps)}`,
      cure: isMany
        ? 'the slots are retired; whatever they held is lost'
        : region === undefined
          ? 'the slot is retired; if it held a region, that is lost'
          : 'the slot is retired; the region is lost',
      offset,
      size: slots * DESCRIPTOR_BYTES,
      slot: first.slot,
      slots,
      ...(region !== undefined && { region }),
      ...(overlaps !== undefined && { overlaps }),
    };
  }
}

function endOf({ firstSlot, count }: Chunk): number {
  return firstSlot + count;
}

/** Whether nothing but the number of a slot is known. */
function isAnonymous({ reason, offset, isLive }: QuarantinedSlot): boolean {
  return (reason === 'zeros' || reason === 'unreadable') && offset === undefined && isLive !== true;
}

function claimOf(header: PoolHeader, found: QuarantinedSlot): LostRegion | undefined {
  const { slot, reason, generation, isLive, offset, size } = found;
  if (generation === undefined || isLive !== true) return undefined;
  const isCertain = reason !== 'damaged';
  return {
    id: idOf(header, slot, generation),
    isCertain,
    ...(offset !== undefined && { offset, size: size ?? 0 }),
  };
}

function otherParty(
  header: PoolHeader,
  quarantined: QuarantinedSlots,
  { overlaps }: QuarantinedSlot,
): Finding['overlaps'] {
  if (overlaps === undefined) return undefined;
  if (overlaps < 0) return 'chunk';
  const other = quarantined.at(overlaps);
  return { slot: overlaps, id: idOf(header, overlaps, other?.generation ?? 0) };
}

function idOf({ poolLow, poolHigh }: PoolHeader, slot: number, generation: number): string {
  return RegionId.of(slot, generation, poolLow, poolHigh).toString();
}

function overlapOf(party: NonNullable<Finding['overlaps']>): string {
  if (party === 'chunk') return 'its extent overlaps a descriptor chunk';
  return `its extent overlaps that of slot ${party.slot}, region ${party.id}`;
}

function nameOf({ id, isCertain, offset, size }: LostRegion): string {
  const extent = offset === undefined ? '' : ` of ${size} bytes at ${offset}`;
  return isCertain ? `region ${id}${extent}` : `perhaps region ${id}${extent}`;
}
