/**
 * The real backends on a simulated medium: PoolTarget, RegionPool, recovery, FileMedium or
 * PmemMedium with its Mapping. Only what they call of the operating system is simulated.
 */
import { FileMedium } from '../../backends/file/file-medium.js';
import { PmemMedium } from '../../backends/pmem/pmem-medium.js';
import type { Capabilities, Logger, PoolMedium } from '../../core/index.js';
import { chunkLength } from '../../core/pool/chunk-directory.js';
import { formatChunk } from '../../core/pool/descriptor.js';
import { HEADER_BYTES, alignDown, alignUp, firstExtentOffset } from '../../core/pool/extent.js';
import { LOG, NO_FEATURES, encodeHeader } from '../../core/pool/header.js';
import { LOG_BLOCK_BYTES } from '../../core/pool/log-record.js';
import { PoolTarget } from '../../core/pool/pool-target.js';
import { PoolFileIo } from '../../core/pool-file/pool-file-io.js';
import { addonState } from '../../native/load.js';
import { SimulatedFile } from './simulated-file.js';
import { SimulatedMapping } from './simulated-mapping.js';
import type { SimulatedMedia } from './simulated-media.js';
import type { SimulatedProcess } from './simulated-process.js';

/** The file backend, without and with a log; pmem over a file on a disk; pmem on persistent memory. */
export type Mode = 'file' | 'logged' | 'msync' | 'pmem';

// Without the addon there is no mapping, and its modes are left out.
const native = addonState().attributes === undefined ? undefined : await import('../../native/mapping.js');

export const MODES: readonly Mode[] =
  native === undefined ? ['file', 'logged'] : ['file', 'logged', 'msync', 'pmem'];

export interface PoolShape {
  readonly mode: Mode;
  /** Whether every write is durable when it ends. */
  readonly syncWrites: boolean;
  /** Whether a file pool gives the space of erased regions back. */
  readonly reclaims?: boolean;
  readonly alignment: number;
  /** In a chunk. A pool that is made for users has 1024. */
  readonly slots: number;
  /** So many of them. */
  readonly chunks: number;
  /** Bytes behind headers and chunks that regions may take. */
  readonly space: number;
  /** Bytes that it may grow by. */
  readonly growth: number;
  /** Whether a pool with a log gets it only when it needs one. */
  readonly hasNoLogYet?: boolean;
}

/** What makes an implementation wrong, for the tests of the tests. */
export interface Flaw {
  file?(options: ConstructorParameters<typeof FileMedium>[0]): PoolMedium;
  pmem?(options: ConstructorParameters<typeof PmemMedium>[0]): PoolMedium;
  /** Around whichever medium it is. */
  medium?(real: PoolMedium): PoolMedium;
  /** Changes the target. */
  target?(target: PoolTarget): void;
  /** Changes what all pools share. @returns takes that back */
  begin?(): () => void;
}

const SIZES: Record<Mode, number> = { file: 512, logged: 512, msync: 512, pmem: 8 };

/** Bytes that stay whole at a power failure. */
export function unitBytesOf(mode: Mode): number {
  return SIZES[mode];
}

/** So small that most records begin another half. */
const LOG_BYTES = 5 * 4096;

export const SMALL_POOL: PoolShape = {
  mode: 'file',
  syncWrites: false,
  alignment: 64,
  slots: 8,
  chunks: 1,
  space: 2048,
  growth: 0,
};

/** A new pool, by the real encoders, but with a chunk so small that all its states can be gone through. */
export function formatSmallPool(shape: PoolShape, poolLow: number, poolHigh = 0): Uint8Array {
  const { alignment, slots, space, growth } = shape;
  const pool = { poolLow, poolHigh };
  const first = firstExtentOffset(alignment);
  const length = chunkLength(slots, alignment);
  const chunks = Array.from({ length: shape.chunks }, (_, nth) => ({
    offset: first + nth * length,
    firstSlot: nth * slots,
    count: slots,
  }));
  const chunksEnd = first + chunks.length * length;
  const logBytes = shape.mode === 'logged' ? alignUp(LOG_BYTES + LOG_BLOCK_BYTES, alignment) : 0;
  const log =
    logBytes > 0 && shape.hasNoLogYet !== true ? { offset: chunksEnd, length: logBytes } : undefined;
  const freshFrom = chunksEnd + (log?.length ?? 0);
  const capacity = alignDown(chunksEnd + logBytes + space, alignment);
  const header = encodeHeader({
    ...pool,
    features: { ...NO_FEATURES, incompatible: log === undefined ? 0 : LOG },
    log,
    sequence: 1,
    createdAt: 1,
    capacity,
    alignment,
    freshFrom,
    chunks,
  });
  const bytes = new Uint8Array(capacity + growth);
  bytes.set(header);
  bytes.set(header, HEADER_BYTES);
  for (const { offset, firstSlot, count } of chunks) bytes.set(formatChunk(count, firstSlot, pool), offset);
  return bytes;
}

const quiet = (): void => undefined;
const silent: Logger = {
  critical: quiet,
  error: quiet,
  warning: quiet,
  info: quiet,
  debug: quiet,
  trace: quiet,
  child: () => silent,
};

const capabilities: Capabilities = {
  persistent: true,
  mappable: true,
  growable: true,
  importable: false,
  snapshots: false,
  named: true,
  transactional: true,
};

/** A target that is not open, as the backend would make it. */
export function simulatedTarget(
  { mode, syncWrites, reclaims = false }: PoolShape,
  media: SimulatedMedia,
  process: SimulatedProcess,
  clock: { now(): number },
  flaw: Flaw = {},
): PoolTarget {
  const open = (): PoolMedium => {
    const file = new SimulatedFile(media, process);
    const io = new PoolFileIo(
      { file: file.asFileHandle(), path: 'pool', size: media.bytes.length },
      file.operations,
    );
    if (mode === 'file' || mode === 'logged') {
      const size = media.bytes.length;
      const options = { io, size, sync: true, syncWrites, reclaims, isSparse: reclaims, overwrites: true };
      return flaw.file?.(options) ?? new FileMedium(options);
    }
    if (native === undefined) throw new Error('there is no mapping without the addon');
    const mapping = native.Mapping.of('pool', new SimulatedMapping(media, process, mode === 'pmem'));
    return flaw.pmem?.({ io, mapping, syncWrites }) ?? new PmemMedium({ io, mapping, syncWrites });
  };
  const target = new PoolTarget({
    type: mode,
    capabilities,
    isReadOnly: false,
    logger: silent,
    clock,
    storage: {
      open: () => {
        const medium = open();
        return Promise.resolve({
          medium: flaw.medium?.(medium) ?? medium,
          maxBytes: media.bytes.length,
          log: { bytes: mode === 'logged' ? LOG_BYTES : 0, storeBytes: 256, idles: false },
        });
      },
      destroy: () => Promise.resolve(),
    },
  });
  flaw.target?.(target);
  return target;
}
