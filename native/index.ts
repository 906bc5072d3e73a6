/**
 * bedrock-node/native: persistent memory for Node.js. Files mapped into memory by libpmem (or by POSIX calls where it is missing),
 * stores made durable by the means the medium needs, and what else a storage engine asks of the system: allocation, holes, locks,
 * CRC32C. docs/native.md describes it all.
 *
 * Importing it throws NATIVE_UNAVAILABLE where the addon is not built.
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
  unlock,
  unshare,
  verify,
  writeMany,
  zeroRange,
} from './file.js';
export type { OpenFile, Piece } from './file.js';
export type { LockHolder } from './lock-holders.js';
export { mapFile } from './map-file.js';
export type { MapFileOptions } from './map-file.js';
export { WINDOW_SPAN, WINDOW_STRIDE } from './mapping.js';
export type { Durable, Mapping, MappingAttributes, MappingMode } from './mapping.js';
export type { ByteRange } from './ranges.js';
export type { PlatformAttributes } from './binding.js';

/** What the machine and libpmem give; `mapping.attributes()` adds what holds for one file. */
export function attributes(): PlatformAttributes {
  return addon.attributes();
}
