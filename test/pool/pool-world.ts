/**
 * Pools with a history, to be damaged: regions of all sizes were created and erased, slots and
 * space reused, a chunk and space added. What every region should be is known, and so are earlier
 * states of the same pool and a state of another one.
 */
import type { RegionId } from '../../core/index.js';
import { chunkLength } from '../../core/pool/chunk-directory.js';
import { formatChunk } from '../../core/pool/descriptor.js';
import { alignUp, firstExtentOffset } from '../../core/pool/extent.js';
import { encodeHeader, type PoolHeader } from '../../core/pool/header.js';
import { inspectPool } from '../../core/pool/inspection.js';
import type { PoolMedium } from '../../core/pool/medium.js';
import { PoolTarget } from '../../core/pool/pool-target.js';
import { recordingLogger, type LogEntry } from '../fixtures/recording-logger.js';
import { MemoryMedium } from './memory-medium.js';
import type { Random } from '../fixtures/random.js';

/** Small, so that thousands of pools take seconds; not so small that chunks share a page. */
const CHUNK_SLOTS = 72;
const REGIONS = 36;

export interface WorldRegion {
  readonly id: RegionId;
  readonly size: number;
  readonly offset: number;
}

export interface PoolWorld {
  /** The pool, closed in good order. */
  readonly bytes: Uint8Array;
  readonly header: PoolHeader;
  /** Live regions. */
  readonly regions: readonly WorldRegion[];
  /** IDs that were ever given, in text. */
  readonly everGiven: ReadonlySet<string>;
  /** The pool at earlier times. */
  readonly past: readonly Uint8Array[];
}

export interface OpenedPool {
  readonly target: PoolTarget;
  readonly log: readonly LogEntry[];
}

/** A target over a medium; not open. */
export function targetOver(medium: PoolMedium, isReadOnly = false): OpenedPool {
  const { logger, entries } = recordingLogger();
  const target = new PoolTarget({
    type: 'memory-pool',
    capabilities: {
      persistent: true,
      mappable: false,
      growable: true,
      importable: false,
      snapshots: false,
      named: false,
      transactional: false,
    },
    storage: {
      open: () => Promise.resolve({ medium, maxBytes: 0 }),
      destroy: () => Promise.resolve(),
    },
    isReadOnly,
    logger,
    clock: { now: () => 1_700_000_000_000 },
  });
  return { target, log: entries };
}

/** A pool of two chunks, one of them in the midst of the extents. */
function newPool(random: Random, alignment: number): Buffer {
  const capacity = alignment < 4096 ? 2 ** 18 : 2 ** 19;
  const pool = { poolLow: random.below(2 ** 32), poolHigh: random.below(2 ** 32) };
  const length = chunkLength(CHUNK_SLOTS, alignment);
  const chunks = [firstExtentOffset(alignment), alignUp(capacity / 4, alignment)].map((offset, index) => ({
    offset,
    firstSlot: index * CHUNK_SLOTS,
    count: CHUNK_SLOTS,
  }));
  const header = encodeHeader({
    ...pool,
    features: { compatible: 0, readOnlyCompatible: 0, incompatible: 0 },
    sequence: 1,
    createdAt: 1,
    capacity,
    freshFrom: alignUp(capacity / 4 + length, alignment),
    alignment,
    chunks,
  });
  const bytes = Buffer.alloc(capacity);
  bytes.set(header);
  bytes.set(header, header.length);
  for (const { offset, firstSlot, count } of chunks) bytes.set(formatChunk(count, firstSlot, pool), offset);
  return bytes;
}

export async function makeWorld(random: Random, alignment: number): Promise<PoolWorld> {
  const medium = new MemoryMedium(newPool(random, alignment));
  const { target } = targetOver(medium);
  await target.open();
  const live: { id: RegionId; size: number }[] = [];
  const everGiven = new Set<string>();
  const past: Uint8Array[] = [Buffer.from(medium.bytes)];
  for (let step = 0; live.length < REGIONS; step++) {
    const size = random.below(8) === 0 ? 0 : random.below(random.below(6) === 0 ? 9000 : 900);
    const id = await target.createAndWrite(Buffer.alloc(size, 1 + (step % 255)));
    everGiven.add(id.toString());
    live.push({ id, size });
    if (random.below(3) === 0) {
      const [gone] = live.splice(random.below(live.length), 1);
      if (gone !== undefined) await target.erase(gone.id);
    }
    if (step % 20 === 19) past.push(Buffer.from(medium.bytes));
  }
  await target.close();
  const { headers } = await inspectPool(medium);
  if ('refusal' in headers) throw headers.refusal;
  const { table, choice } = headers;
  return {
    bytes: medium.bytes,
    header: choice.header,
    regions: live.map(({ id, size }) => ({ id, size, offset: table.offset(id.slot) })),
    everGiven,
    past,
  };
}
