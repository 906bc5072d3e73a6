/** How the writes of a target become durable: what `stats().mode` says. */

/** The modes of a target that takes writes. */
export const DURABILITY_MODES = [
  'volatile',
  'fdatasync',
  'unsynced',
  'pmem',
  'pmem-forced',
  'msync',
] as const;

/**
 * What a durable write waits for:
 * - `volatile`: nothing; regions are gone when the target closes.
 * - `fdatasync`: an fdatasync or fsync, or whatever the storage has that holds against a power failure as these do.
 * - `unsynced`: that the kernel, or another process, has the bytes: they survive a kill of this process and no power failure.
 * - `pmem`: a flush of the processor's caches, on persistent memory.
 * - `pmem-forced`: the same where PMEM_IS_PMEM_FORCE=1 only says that it is persistent memory.
 * - `msync`: an msync of a mapped file.
 */
export type DurabilityMode = (typeof DURABILITY_MODES)[number];

/** `read-only`: no writes are taken, by configuration or after a failure of the medium. */
export type TargetMode = DurabilityMode | 'read-only';
