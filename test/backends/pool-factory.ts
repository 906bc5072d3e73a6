/** Targets over pools in temporary folders. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import file from '../../backends/file/index.js';
import pmem from '../../backends/pmem/index.js';
import type { TargetFactory } from '../../core/conformance/index.js';
import type { BackendContext, Target } from '../../core/index.js';
import { createLogger } from '../../core/logging.js';
import type { FileConfig } from '../../schemas/generated/file.js';
import type { PmemConfig } from '../../schemas/generated/pmem.js';

export type PoolBackend = 'file' | 'pmem';
export type PoolConfig = FileConfig & PmemConfig;

const MIB = 2 ** 20;
const ALIGNMENT = { file: 4096, pmem: 256 };

/** A target that is not open; relative paths count from `home`. */
export function poolTarget(type: PoolBackend, config: PoolConfig, home: string): Promise<Target> {
  const context = {
    logger: createLogger({ level: 'off', format: 'text' }),
    clock: { now: () => Date.now() },
    baseDirectory: home,
  } as unknown as BackendContext;
  const backend = type === 'file' ? file : pmem;
  return Promise.resolve(backend.create({ ...config }, context));
}

export function poolFolder(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'bedrock-pool-'));
}

/** For the conformance suite. */
export function poolFactory(type: PoolBackend): TargetFactory {
  const made = new Map<Target, { home: string; config: PoolConfig }>();
  const make = async (config: PoolConfig, home: string): Promise<Target> => {
    const target = await poolTarget(type, config, home);
    made.set(target, { home, config });
    return target;
  };
  const facts = (target: Target): { home: string; config: PoolConfig } =>
    made.get(target) as { home: string; config: PoolConfig };
  const fresh = async (bytes: number): Promise<Target> =>
    make({ path: 'pool', create_if_missing_with_size: bytes }, await poolFolder());
  return {
    create: () => fresh(64 * MIB),
    createBounded: (bytes) => fresh(Math.max(8 * MIB, bytes)),
    reopen: (target) => make(facts(target).config, facts(target).home),
    crash: async (target) => {
      const { home, config } = facts(target);
      const copy = await poolFolder();
      await cp(home, copy, { recursive: true });
      return make(config, copy);
    },
    dispose: (target) => rm(facts(target).home, { recursive: true, force: true }),
    spaceOf: (size) => Math.ceil(size / ALIGNMENT[type]) * ALIGNMENT[type],
    maxRegionBytes: 16 * MIB,
    syncsByNode: type === 'file',
  };
}
