/** CRC32C of data: by the processor's instructions if the native addon is there, else in JavaScript. */
import { BedrockError } from '../base/errors.js';
import { crc32c } from '../pool/crc32c.js';

/** @param seed checksum of the bytes before */
export type Checksum = (bytes: Uint8Array, seed: number) => number;

export async function checksum(): Promise<Checksum> {
  try {
    const native = await import('../../native/index.js');
    return (bytes, seed) => native.crc32c(bytes, seed);
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'NATIVE_UNAVAILABLE')
      return (bytes, seed) => crc32c(bytes, seed);
    throw error;
  }
}
