/**
 * bedrock-node/native: persistent memory for Node.js. It maps files into memory with libpmem (or
 * with POSIX calls if libpmem is missing), and makes stores durable in the way that the medium
 * needs. It also has the other system calls that a storage engine needs: allocation, holes, locks,
 * CRC32C. docs/native.md describes it.
 *
 * Importing it throws NATIVE_UNAVAILABLE if the addon is not built.
 */
import { addon } from './addon.js';
import type { PlatformAttributes } from './binding.js';

export { crc32c } from './crc32c.js';
export { SystemError } from './errors.js';
export {
  allocate,
  commit,
  dropCache,
  firstNonZero,
  HeldFile,
  linkFile,
  lock,
  LockedError,
  punchHole,
  readNow,
  unlock,
  unshare,
  verify,
  writeMany,
  writeThrough,
  zeroRange,
} from './file.js';
export type { OpenFile, Piece } from './file.js';
export type { LockHolder } from './lock-holders.js';
export { mapFile } from './map-file.js';
export type { MapFileOptions } from './map-file.js';
export { WINDOW_SPAN, WINDOW_STRIDE } from './mapping.js';
export type { Durable, Mapping, MappingAttributes, MappingMode } from './mapping.js';
export type { MsyncMeter } from './msync-group.js';
export type { ByteRange } from './ranges.js';
export type { StoreList } from './store-list.js';
export type { PlatformAttributes } from './binding.js';

/** Properties of the machine and of libpmem. `mapping.attributes()` adds those of one file. */
export function attributes(): PlatformAttributes {
  return addon.attributes();
}
