/** How the writes of a target become durable: the value of `stats().mode`. */

/** The modes of a target that accepts writes. */
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
 * - `volatile`: nothing; regions are lost when the target closes.
 * - `fdatasync`: an fdatasync or fsync, or an equivalent of the storage that survives a power
 *   failure in the same way.
 * - `unsynced`: until the kernel, or another process, has the bytes: they survive a kill of this
 *   process, but no power failure.
 * - `pmem`: a flush of the processor's caches, on persistent memory.
 * - `pmem-forced`: the same, but only PMEM_IS_PMEM_FORCE=1 says that it is persistent memory.
 * - `msync`: an msync of a mapped file.
 */
export type DurabilityMode = (typeof DURABILITY_MODES)[number];

/** `read-only`: writes are refused, by configuration or after a failure of the medium. */
export type TargetMode = DurabilityMode | 'read-only';
