/**
 * The header of a pool: its identity, where its descriptors are, and how far it was ever written.
 * There are two copies, in pages 0 and 1.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 8 | magic, `BDRKPOOL` |
 * | 8 | 4 | format version, 1 |
 * | 12 | 4 | compatible feature flags: a version that does not know one may read and write the pool |
 * | 16 | 4 | read-only compatible feature flags: a version that does not know one may only read it |
 * | 20 | 4 | incompatible feature flags: a version that does not know one must leave the pool alone |
 * | 24 | 8 | pool id, random |
 * | 32 | 8 | sequence, 1 in a new pool, one more with each change of the header |
 * | 40 | 8 | creation time of the pool, milliseconds since the epoch |
 * | 48 | 8 | capacity: bytes that are allocated to the pool, including the headers |
 * | 56 | 8 | freshFrom: nothing was ever written from here on, so it reads as zeros |
 * | 64 | 4 | alignment of extents |
 * | 68 | 4 | chunks in the directory |
 * | 72 | 8 | offset of journal area 0 (journal-record.ts); this and the next two are zeros without the feature `JOURNAL` |
 * | 80 | 8 | offset of journal area 1 |
 * | 88 | 8 | bytes of each of the two |
 * | 96 | 8 | offset of the log (log-record.ts); this and the next are zeros without the feature `LOG` |
 * | 104 | 8 | bytes of the log |
 * | 112 | 140 | reserved: written as zeros, ignored on reading |
 * | 252 | 4 | CRC32C of bytes 0 to 251 and 256 to 4095 |
 * | 256 | 3840 | directory of up to 240 chunks, 16 bytes each (chunk-directory.ts); zeros after the last |
 *
 * All numbers are little-endian. Write order of a change, whose sequence is one more than that of
 * both copies:
 * 1. copy 0, barrier. A crash before the barrier may tear copy 0: copy 1 still has the old state.
 * 2. copy 1, barrier. A crash before the barrier may tear copy 1: copy 0 is durable and has the new state.
 * Before its first change, a writable open makes both copies equal: a barrier (what was read may
 * not be durable yet), then the chosen copy over the other one, barrier. So one valid copy exists
 * at every moment.
 */
import { BedrockError } from '../base/errors.js';
import { type Chunk, CHUNK_ENTRY_BYTES, chunkLength, directoryFault, MAX_CHUNKS } from './chunk-directory.js';
import { crc32c } from './crc32c.js';
import {
  extentFault,
  firstExtentOffset,
  HEADER_BYTES,
  isAlignment,
  MAX_ALIGNMENT,
  MIN_ALIGNMENT,
  type PoolGeometry,
  type PoolId,
} from './extent.js';

export const FORMAT_VERSION = 1;

/**
 * The incompatible feature of a pool whose regions have, or had, names. A version that does not
 * know it would leave two regions with one name.
 */
export const NAMES = 2;

/**
 * The incompatible feature of a pool with a journal. The journal may hold a change that must be
 * made before anything else is trusted.
 */
export const JOURNAL = 4;

/**
 * The incompatible feature of a pool that regions of another one are being brought into. What it
 * holds is not complete. A version that does not know it would serve it as if it were.
 */
export const BEING_FILLED = 8;

/**
 * The incompatible feature of a pool with a log. It may hold stores that must be made before
 * anything else is trusted.
 */
export const LOG = 16;

export function isBeingFilled({ features }: Pick<PoolHeader, 'features'>): boolean {
  return (features.incompatible & BEING_FILLED) !== 0;
}

/** Feature flags that this version knows, and that a pool may keep. */
export const KNOWN_FEATURES: FeatureFlags = {
  compatible: 0,
  readOnlyCompatible: 0,
  incompatible: NAMES | JOURNAL | BEING_FILLED | LOG,
};

/**
 * The flags of a new pool. It gets each feature on first use, so that older versions can open it
 * until then.
 */
export const NO_FEATURES: FeatureFlags = { compatible: 0, readOnlyCompatible: 0, incompatible: 0 };

export function hasNames({ features }: Pick<PoolHeader, 'features'>): boolean {
  return (features.incompatible & NAMES) !== 0;
}

/**
 * The incompatible feature of a pool that a repair is changing. One of two overlapping regions may
 * be gone and the other look valid, so only a repair may open it. No new pool has it.
 */
export const BEING_REPAIRED = 1;

export function isBeingRepaired({ features }: PoolHeader): boolean {
  return (features.incompatible & BEING_REPAIRED) !== 0;
}

const MAGIC = Uint8Array.from('BDRKPOOL', (letter) => letter.charCodeAt(0));
const CHECKSUM_AT = 252;
const DIRECTORY_AT = 256;

/** Sets of flags; each is a u32. */
export interface FeatureFlags {
  readonly compatible: number;
  readonly readOnlyCompatible: number;
  readonly incompatible: number;
}

/** Two extents of the same length, which hold the records of a journal in turn. */
export interface JournalAreas {
  readonly offsets: readonly [number, number];
  /** Bytes of each. */
  readonly length: number;
}

/** The extent of the log. */
export interface LogArea {
  readonly offset: number;
  /** Bytes of it. */
  readonly length: number;
}

export interface PoolHeader extends PoolId, PoolGeometry {
  readonly features: FeatureFlags;
  readonly sequence: number;
  readonly createdAt: number;
  /** A multiple of the alignment, between the first extent and the capacity. */
  readonly freshFrom: number;
  readonly chunks: readonly Chunk[];
  /** Present if, and only if, the header has the feature `JOURNAL`. */
  readonly journal?: JournalAreas | undefined;
  /** Present if, and only if, the header has the feature `LOG`. */
  readonly log?: LogArea | undefined;
}

/**
 * `absent`: no header at all. `damaged`: its bytes cannot be trusted. `unsupported`: a valid one of
 * another format.
 */
export type HeaderFault = 'absent' | 'damaged' | 'unsupported';

export type DecodedHeader = { readonly header: PoolHeader } | Unreadable;

interface Unreadable {
  readonly fault: HeaderFault;
  readonly reason: string;
}

/**
 * @returns one header copy, 4096 bytes
 * @throws INTERNAL if the header breaks a rule of the format
 */
export function encodeHeader(header: PoolHeader): Uint8Array {
  const fault = headerFault(header);
  if (fault !== undefined) throw new BedrockError('INTERNAL', `a pool header with ${fault}`);
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, header.features.compatible, true);
  view.setUint32(16, header.features.readOnlyCompatible, true);
  view.setUint32(20, header.features.incompatible, true);
  view.setUint32(24, header.poolLow, true);
  view.setUint32(28, header.poolHigh, true);
  setUint64(view, 32, header.sequence);
  setUint64(view, 40, header.createdAt);
  setUint64(view, 48, header.capacity);
  setUint64(view, 56, header.freshFrom);
  view.setUint32(64, header.alignment, true);
  view.setUint32(68, header.chunks.length, true);
  if (header.journal !== undefined) {
    const { offsets, length } = header.journal;
    setUint64(view, 72, offsets[0]);
    setUint64(view, 80, offsets[1]);
    setUint64(view, 88, length);
  }
  if (header.log !== undefined) {
    setUint64(view, 96, header.log.offset);
    setUint64(view, 104, header.log.length);
  }
  let at = DIRECTORY_AT;
  for (const { offset, firstSlot, count } of header.chunks) {
    setUint64(view, at, offset);
    view.setUint32(at + 8, firstSlot, true);
    view.setUint32(at + 12, count, true);
    at += CHUNK_ENTRY_BYTES;
  }
  view.setUint32(CHECKSUM_AT, checksumOf(bytes), true);
  return bytes;
}

/** @param bytes one header copy; fewer than 4096 bytes if the file is too short for it */
export function decodeHeader(bytes: Uint8Array): DecodedHeader {
  if (bytes.length === 0 || !MAGIC.every((byte, index) => bytes[index] === byte))
    return { fault: 'absent', reason: 'it does not begin like a pool' };
  if (bytes.length < HEADER_BYTES)
    return { fault: 'damaged', reason: `it ends after ${bytes.length} of ${HEADER_BYTES} bytes` };
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (view.getUint32(CHECKSUM_AT, true) !== checksumOf(bytes))
    return { fault: 'damaged', reason: 'its checksum does not match' };
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION)
    return { fault: 'unsupported', reason: `it has format version ${version}, not ${FORMAT_VERSION}` };
  const features = {
    compatible: view.getUint32(12, true),
    readOnlyCompatible: view.getUint32(16, true),
    incompatible: view.getUint32(20, true),
  };
  const unknown = unknownOf(features.incompatible, KNOWN_FEATURES.incompatible | BEING_REPAIRED);
  if (unknown !== 0)
    return { fault: 'unsupported', reason: `it has unknown incompatible features ${hex(unknown)}` };
  const chunkCount = view.getUint32(68, true);
  if (chunkCount > MAX_CHUNKS)
    return { fault: 'damaged', reason: `it has ${chunkCount} chunks, more than ${MAX_CHUNKS}` };
  const header: PoolHeader = {
    features,
    poolLow: view.getUint32(24, true),
    poolHigh: view.getUint32(28, true),
    sequence: getUint64(view, 32),
    createdAt: getUint64(view, 40),
    capacity: getUint64(view, 48),
    freshFrom: getUint64(view, 56),
    alignment: view.getUint32(64, true),
    chunks: Array.from({ length: chunkCount }, (_, index) => {
      const at = DIRECTORY_AT + index * CHUNK_ENTRY_BYTES;
      return {
        offset: getUint64(view, at),
        firstSlot: view.getUint32(at + 8, true),
        count: view.getUint32(at + 12, true),
      };
    }),
    ...((features.incompatible & JOURNAL) !== 0 && {
      journal: { offsets: [getUint64(view, 72), getUint64(view, 80)], length: getUint64(view, 88) },
    }),
    ...((features.incompatible & LOG) !== 0 && {
      log: { offset: getUint64(view, 96), length: getUint64(view, 104) },
    }),
  };
  const fault = headerFault(header);
  return fault === undefined ? { header } : { fault: 'damaged', reason: `it has ${fault}` };
}

/** The rule that a header breaks, if any. */
function headerFault(header: PoolHeader): string | undefined {
  const { alignment, capacity, freshFrom, sequence, createdAt, features } = header;
  const words = [features.compatible, features.readOnlyCompatible, features.incompatible];
  if (![...words, header.poolLow, header.poolHigh].every((word) => word >>> 0 === word))
    return 'flags or a pool id that are no 32-bit words';
  if (!Number.isSafeInteger(sequence) || sequence < 1) return `sequence ${sequence}`;
  if (!Number.isSafeInteger(createdAt) || createdAt < 0) return `creation time ${createdAt}`;
  if (!isAlignment(alignment))
    return `alignment ${alignment}, not a power of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT}`;
  const first = firstExtentOffset(alignment);
  if (!Number.isSafeInteger(capacity) || capacity < first || capacity % alignment !== 0)
    return `capacity ${capacity}, not a multiple of ${alignment} from ${first} up`;
  if (!(freshFrom >= first && freshFrom <= capacity && freshFrom % alignment === 0))
    return `freshFrom ${freshFrom}, not a multiple of ${alignment} from ${first} to ${capacity}`;
  return directoryFault(header.chunks, header, freshFrom) ?? journalFault(header);
}

/** What is wrong with the areas that the header names: those of the journal, and the log. */
function journalFault(header: PoolHeader): string | undefined {
  const { journal, log, features, alignment, chunks } = header;
  if (((features.incompatible & JOURNAL) !== 0) !== (journal !== undefined))
    return 'a journal without its feature flag, or the flag without a journal';
  if (((features.incompatible & LOG) !== 0) !== (log !== undefined))
    return 'a log without its feature flag, or the flag without a log';
  const taken = chunks.map(({ offset, count }) => ({ offset, length: chunkLength(count, alignment) }));
  for (const offset of journal?.offsets ?? []) {
    const area = { offset, length: (journal as JournalAreas).length };
    const fault = areaFault(header, 'journal area', area, taken);
    if (fault !== undefined) return fault;
    taken.push(area);
  }
  return log && areaFault(header, 'log', log, taken);
}

function areaFault(
  header: PoolHeader,
  what: string,
  { offset, length }: LogArea,
  taken: readonly LogArea[],
): string | undefined {
  const { freshFrom, alignment } = header;
  if (!Number.isSafeInteger(length) || length <= 0 || length % alignment !== 0)
    return `a ${what} of ${length} bytes, not a multiple of ${alignment}`;
  if (!Number.isSafeInteger(offset) || extentFault(header, offset, length) !== undefined)
    return `a ${what} at ${offset} that is not an extent`;
  if (offset + length > freshFrom)
    return `a ${what} that ends at ${offset + length}, beyond freshFrom ${freshFrom}`;
  if (taken.some((other) => offset < other.offset + other.length && other.offset < offset + length))
    return `a ${what} at ${offset} that overlaps a chunk, or another area`;
  return undefined;
}

/** The flags that are not known. */
export function unknownOf(flags: number, known: number): number {
  return (flags & ~known) >>> 0;
}

function checksumOf(bytes: Uint8Array): number {
  return crc32c(bytes, crc32c(bytes, 0, 0, CHECKSUM_AT), DIRECTORY_AT, HEADER_BYTES);
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** Values beyond the safe integers become a number that is beyond them too. */
function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function hex(flags: number): string {
  return `0x${flags.toString(16)}`;
}
