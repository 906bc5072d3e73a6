/** CRC32C over JavaScript's own memory. */
import { addon } from './addon.js';
import { checkSize, invalidArgument } from './errors.js';

/**
 * CRC32C (Castagnoli; RFC 3720, appendix B.4). Uses the processor's instruction if there is one.
 * @param seed the checksum of the preceding bytes, to continue from
 * @throws INVALID_ARGUMENT
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  // The addon would accept other typed arrays as bytes.
  const isBytes = (bytes as Uint8Array | null | undefined)?.BYTES_PER_ELEMENT === 1;
  const crc = isBytes ? addon.crc32c(bytes, seed) : undefined;
  if (crc !== undefined) return crc;
  checkSize('seed', seed);
  throw invalidArgument(seed > 0xffffffff ? 'seed must be below 2^32' : 'bytes must be a Uint8Array');
}
