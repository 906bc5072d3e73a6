/**
 * The name of a region: 16 opaque bytes.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | slot in the target's region table, u32 little-endian |
 * | 4 | 4 | generation of the slot, u32 little-endian |
 * | 8 | 8 | id of the pool, that is of the storage the region lives in |
 *
 * The generation makes a stale ID of a reused slot fail, the pool id an ID of another target. A backend with names of its own
 * may fill the bytes as it likes, as long as no two regions ever share them. Kept as four words, so that comparing and looking
 * up allocate nothing; hex is for the edges.
 */
import { randomBytes } from 'node:crypto';
import { types } from 'node:util';
import { brand } from '../base/brand.js';
import { BedrockError } from '../base/errors.js';

const HEX = /^[0-9a-fA-F]{32}$/;

/** Bytes of an ID. */
export const REGION_ID_BYTES = 16;

export class RegionId {
  static {
    brand(RegionId, 'bedrock-node.RegionId');
  }

  private constructor(
    /** Bytes 0 to 3. */
    readonly slot: number,
    /** Bytes 4 to 7. */
    readonly generation: number,
    /** Bytes 8 to 11. */
    readonly poolLow: number,
    /** Bytes 12 to 15. */
    readonly poolHigh: number,
  ) {}

  /** An ID of four words, each an unsigned 32-bit integer. */
  static of(slot: number, generation: number, poolLow: number, poolHigh: number): RegionId {
    return new RegionId(slot >>> 0, generation >>> 0, poolLow >>> 0, poolHigh >>> 0);
  }

  /**
   * @param bytes exactly 16 bytes; they are copied
   * @throws INVALID_ARGUMENT
   */
  static from(bytes: Uint8Array): RegionId {
    if (!types.isUint8Array(bytes) || bytes.length !== REGION_ID_BYTES) {
      throw new BedrockError('INVALID_ARGUMENT', `a region ID is ${REGION_ID_BYTES} bytes`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, REGION_ID_BYTES);
    return new RegionId(
      view.getUint32(0, true),
      view.getUint32(4, true),
      view.getUint32(8, true),
      view.getUint32(12, true),
    );
  }

  /**
   * @param hex 32 hexadecimal digits, as `toString()` gives them
   * @throws INVALID_ARGUMENT
   */
  static parse(hex: string): RegionId {
    if (typeof hex !== 'string' || !HEX.test(hex)) {
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `a region ID is 32 hexadecimal digits, not ${JSON.stringify(hex)}`,
      );
    }
    return new RegionId(wordAt(hex, 0), wordAt(hex, 8), wordAt(hex, 16), wordAt(hex, 24));
  }

  /** An ID that no other region has, for backends that keep no slots. */
  static random(): RegionId {
    return RegionId.from(randomBytes(REGION_ID_BYTES));
  }

  /** The 16 bytes, a fresh copy. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(REGION_ID_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.slot, true);
    view.setUint32(4, this.generation, true);
    view.setUint32(8, this.poolLow, true);
    view.setUint32(12, this.poolHigh, true);
    return bytes;
  }

  /** 32 lower-case hexadecimal digits. */
  toString(): string {
    return Buffer.from(this.toBytes().buffer).toString('hex');
  }

  toJSON(): string {
    return this.toString();
  }

  equals(other: RegionId): boolean {
    return (
      this.slot === other.slot &&
      this.generation === other.generation &&
      this.poolLow === other.poolLow &&
      this.poolHigh === other.poolHigh
    );
  }
}

/** The little-endian word of eight hexadecimal digits. Without a Buffer: this is on the way of every request. */
function wordAt(hex: string, index: number): number {
  let word = 0;
  for (let at = index + 6; at >= index; at -= 2)
    word = (word << 8) | (digitAt(hex, at) << 4) | digitAt(hex, at + 1);
  return word >>> 0;
}

function digitAt(hex: string, index: number): number {
  const code = hex.charCodeAt(index);
  // The low bits of 0 to 9 are the digit; A and a are 1 there, and have the bit of 64.
  return (code & 15) + 9 * (code >> 6);
}
