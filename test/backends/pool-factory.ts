/** Targets over pools in temporary folders. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import file from '../../backends/file/index.js';
import pmem from '../../backends/pmem/index.js';
import { createLogger } from '../../core/base/logging.js';
import type { TargetFactory } from '../../core/conformance/index.js';
import type { BackendContext, Logger, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import type { FileConfig } from '../../schemas/generated/file.js';
import type { PmemConfig } from '../../schemas/generated/pmem.js';
import { isThorough } from '../fixtures/thoroughness.js';

export type PoolBackend = 'file' | 'pmem';
export type PoolConfig = FileConfig & PmemConfig;

const MIB = 2 ** 20;
const ALIGNMENT = { file: 4096, pmem: 256 };

/** A target that is not open; relative paths count from `home`. */
export function poolTarget(
  type: PoolBackend,
  config: PoolConfig,
  home: string,
  logger: Logger = createLogger({ level: 'off', format: 'text' }),
  poolId?: Uint8Array,
): Promise<Target> {
  const context = {
    logger,
    clock: { now: () => Date.now() },
    baseDirectory: home,
    poolId,
  } as unknown as BackendContext;
  const backend = type === 'file' ? file : pmem;
  return Promise.resolve(backend.create({ ...config }, context));
}

/**
 * Enough that space runs out before it where pools are small; one that fills it fits into a pool of
 * POOL_BYTES.
 */
const MAX_TRANSACTION_BYTES = (isThorough ? 16 : 4) * MIB;

/**
 * Most of what a test of a rule costs is the zeroing of its pool. The long tests have room for
 * regions of 16 MiB, the quick ones for what a rule needs.
 */
const POOL_BYTES = (isThorough ? 18 : 6) * MIB;

/** Room that a file system in memory must have to be taken: containers may have one of 64 MiB. */
const MEMORY_ROOM_BYTES = 512 * MIB;

/** A temporary folder, on a disk as a rule, or in memory where the system has that. */
export async function poolFolder(where: 'disk' | 'memory' = 'disk'): Promise<string> {
  const parent = where === 'memory' && (await hasMemoryFolder()) ? '/dev/shm' : tmpdir();
  return mkdtemp(path.join(parent, 'bedrock-pool-'));
}

async function hasMemoryFolder(): Promise<boolean> {
  if (!existsSync('/dev/shm')) return false;
  const { bavail, bsize } = await statfs('/dev/shm');
  return bavail * bsize >= MEMORY_ROOM_BYTES;
}

export interface PoolFactoryOptions {
  /** Size of a pool that nobody asked a size for. */
  bytes?: number;
  where?: 'disk' | 'memory';
  /** Settings of its own. */
  settings?: Partial<PoolConfig>;
}

/** Bytes that a region takes. */
export function spaceOf(type: PoolBackend, size: number): number {
  return Math.ceil(size / ALIGNMENT[type]) * ALIGNMENT[type];
}

/** For the conformance suite. */
export function poolFactory(
  type: PoolBackend,
  { bytes = POOL_BYTES, where = 'disk', settings = {} }: PoolFactoryOptions = {},
): TargetFactory {
  const made = new Map<Target, { home: string; config: PoolConfig }>();
  const make = async (config: PoolConfig, home: string, poolId?: Uint8Array): Promise<Target> => {
    const target = await poolTarget(type, config, home, undefined, poolId);
    made.set(target, { home, config });
    return target;
  };
  const facts = (target: Target): { home: string; config: PoolConfig } =>
    made.get(target) as { home: string; config: PoolConfig };
  const fresh = async (capacity: number, poolId?: Uint8Array): Promise<Target> =>
    make(
      {
        path: 'pool',
        create_if_missing_with_size: capacity,
        max_transaction_bytes: MAX_TRANSACTION_BYTES,
        ...settings,
      },
      await poolFolder(where),
      poolId,
    );
  return {
    create: () => fresh(bytes),
    createBounded: (capacity) => fresh(Math.max(8 * MIB, capacity)),
    createImporting: (poolId) => fresh(bytes, poolId),
    reopen: (target) => make(facts(target).config, facts(target).home),
    crash: async (target) => {
      const { home, config } = facts(target);
      const copy = await poolFolder(where);
      await cp(home, copy, { recursive: true });
      return make(config, copy);
    },
    dispose: (target) => rm(facts(target).home, { recursive: true, force: true }),
    spaceOf: (size) => spaceOf(type, size),
    maxRegionBytes: 16 * MIB,
    maxTransactionBytes: MAX_TRANSACTION_BYTES,
    isThorough,
    // With the addon it is the addon that asks for them (commits.test.ts).
    syncsByNode: type === 'file' && addonState().attributes === undefined,
  };
}
