/**
 * What is wrong with a pool, one finding after another, in the words of the log, of `bedrock pool check` and of `bedrock pool repair`. All
 * three get them here, of what recovery has found, so that none of them knows of anything that another one does not.
 *
 * | kind | what it is about |
 * |---|---|
 * | `header` | a header copy that is torn, damaged, missing or unreadable |
 * | `contradiction` | two whole headers of which at most one is right |
 * | `repair` | a repair that was broken off |
 * | `file` | a file that is shorter than its pool |
 * | `freshFrom` | headers that are older than the regions |
 * | any other | the reason why a slot is quarantined (recovery.ts) |
 */
import { RegionId } from '../contract/region-id.js';
import type { Chunk } from './chunk-directory.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { HEADER_BYTES } from './extent.js';
import type { HeaderChoice, HeaderCopy } from './header-choice.js';
import { isBeingRepaired, type PoolHeader } from './header.js';
import type { Inspection } from './inspection.js';
import {
  QUARANTINE_REASONS,
  type QuarantinedSlot,
  type QuarantineReason,
  type RecoveryResult,
} from './recovery.js';

export type FindingKind = 'header' | 'contradiction' | 'repair' | 'file' | 'freshFrom' | QuarantineReason;

export interface Finding {
  readonly kind: FindingKind;
  /** What is wrong, and where. */
  readonly message: string;
  /** What repair does about it. */
  readonly cure: string;
  /** Where the damaged bytes stand in the file, and how many they are. */
  readonly offset: number;
  readonly size: number;
  /** Of a header, which of the two. */
  readonly copy?: HeaderCopy;
  /** The first of the slots, and how many there are; one, unless they have nothing to tell them apart. */
  readonly slot?: number;
  readonly slots?: number;
  /** What the descriptor claims to be; absent if it claims nothing, as one that says that its slot is free. */
  readonly region?: LostRegion;
  /** Another party of an overlap. */
  readonly overlaps?: { readonly slot: number; readonly id: string } | 'chunk';
}

export interface LostRegion {
  readonly id: string;
  /** False if the descriptor is damaged: then each of the figures may be wrong. */
  readonly isCertain: boolean;
  /** Absent if they cannot be those of an extent. */
  readonly offset?: number;
  readonly size?: number;
}

/** What recovery knows of a pool whose headers can be used. */
export interface Recovered {
  readonly choice: HeaderChoice;
  readonly recovery: Pick<RecoveryResult, 'quarantined' | 'isHeaderOld'>;
  readonly fileBytes: number;
}

/** What is wrong with headers of which none can be used. */
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

/** Headers first, then slots in their order. Made one by one, as there may be as many as slots. */
export function* findingsOf({ choice, recovery, fileBytes }: Recovered): Generator<Finding> {
  const { header } = choice;
  yield* headerFindings(choice);
  if (fileBytes < header.capacity) {
    yield {
      kind: 'file',
      message: `the file ends at ${fileBytes}, before the pool's capacity of ${header.capacity} bytes`,
      cure: 'the file becomes as long as the capacity; what was behind its end is gone',
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
}

function* headerFindings({ header, copy, rewrite, damage }: HeaderChoice): Generator<Finding> {
  if (isBeingRepaired(header)) {
    yield {
      kind: 'repair',
      message:
        'a repair was broken off, so the pool cannot be opened, and what else is found here is what it left half done',
      cure: 'it is undone, then done anew',
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

function* slotFindings(header: PoolHeader, quarantined: readonly QuarantinedSlot[]): Generator<Finding> {
  const { chunks } = header;
  let chunkIndex = 0;
  for (let index = 0; index < quarantined.length;) {
    const first = quarantined[index] as QuarantinedSlot;
    while (endOf(chunks[chunkIndex] as Chunk) <= first.slot) chunkIndex++;
    const chunk = chunks[chunkIndex] as Chunk;
    let slots = 1;
    if (isAnonymous(first)) {
      while (first.slot + slots < endOf(chunk)) {
        const next = quarantined[index + slots];
        const isSame = next?.slot === first.slot + slots && next.reason === first.reason && isAnonymous(next);
        if (!isSame) break;
        slots++;
      }
    }
    index += slots;
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

/** Whether there is nothing to tell of a slot but its number. */
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
  quarantined: readonly QuarantinedSlot[],
  { overlaps }: QuarantinedSlot,
): Finding['overlaps'] {
  if (overlaps === undefined) return undefined;
  if (overlaps < 0) return 'chunk';
  const other = quarantinedSlot(quarantined, overlaps);
  return { slot: overlaps, id: idOf(header, overlaps, other?.generation ?? 0) };
}

/** By bisection, as they are in order. */
function quarantinedSlot(quarantined: readonly QuarantinedSlot[], slot: number): QuarantinedSlot | undefined {
  let [low, high] = [0, quarantined.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((quarantined[middle] as QuarantinedSlot).slot < slot) low = middle + 1;
    else high = middle;
  }
  return quarantined[low];
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
