/**
 * The ID of a region: 16 opaque bytes.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | slot in the target's region table, u32 little-endian |
 * | 4 | 4 | generation of the slot, u32 little-endian |
 * | 8 | 8 | id of the pool: the storage that holds the region |
 *
 * The generation makes an old ID of a reused slot fail; the pool id makes an ID of another target
 * fail. A backend with its own naming may fill the bytes freely, as long as no two regions ever
 * share an ID. Kept as four words, so that comparison and lookup allocate nothing. Hexadecimal text
 * is used only at the edges.
 */
import { randomBytes } from 'node:crypto';
import { types } from 'node:util';
import { brand } from '../base/brand.js';
import { invalid } from '../base/errors.js';

const HEX = /^[0-9a-fA-F]{32}$/;

/** Bytes of an ID. */
export const REGION_ID_BYTES = 16;

/** Where the bytes of an ID become text: with a buffer of its own for each that takes four times as long. */
const TEXT_BYTES = Buffer.alloc(REGION_ID_BYTES);
const TEXT_VIEW = new DataView(TEXT_BYTES.buffer, TEXT_BYTES.byteOffset, REGION_ID_BYTES);

/**
 * The ID of a region: 16 bytes that never name another one. Backends with slots use the four words
 * as named; others as they like.
 */
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

  /** An ID from four words, each an unsigned 32-bit integer. */
  static of(slot: number, generation: number, poolLow: number, poolHigh: number): RegionId {
    return new RegionId(slot >>> 0, generation >>> 0, poolLow >>> 0, poolHigh >>> 0);
  }

  /**
   * An ID from its bytes.
   * @param bytes exactly 16 bytes; they are copied
   * @throws INVALID_ARGUMENT
   */
  static from(bytes: Uint8Array): RegionId {
    if (!types.isUint8Array(bytes) || bytes.length !== REGION_ID_BYTES) {
      throw invalid(`a region ID is ${REGION_ID_BYTES} bytes`);
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
   * An ID from its text.
   * @param hex 32 hexadecimal digits, as from `toString()`
   * @throws INVALID_ARGUMENT
   */
  static parse(hex: string): RegionId {
    if (typeof hex !== 'string' || !HEX.test(hex)) {
      throw invalid(`a region ID is 32 hexadecimal digits, not ${JSON.stringify(hex)}`);
    }
    return new RegionId(wordAt(hex, 0), wordAt(hex, 8), wordAt(hex, 16), wordAt(hex, 24));
  }

  /** A random ID that no other region has, for backends without slots. */
  static random(): RegionId {
    return RegionId.from(randomBytes(REGION_ID_BYTES));
  }

  /** The 16 bytes, as a new copy. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(REGION_ID_BYTES);
    storeWords(this, new DataView(bytes.buffer));
    return bytes;
  }

  /** 32 lower-case hexadecimal digits. */
  toString(): string {
    storeWords(this, TEXT_VIEW);
    return TEXT_BYTES.toString('hex');
  }

  /** The form of the ID in JSON: the same as `toString()`. */
  toJSON(): string {
    return this.toString();
  }

  /** Whether both have the same 16 bytes, and so name the same region. */
  equals(other: RegionId): boolean {
    return (
      this.slot === other.slot &&
      this.generation === other.generation &&
      this.poolLow === other.poolLow &&
      this.poolHigh === other.poolHigh
    );
  }
}

function storeWords({ slot, generation, poolLow, poolHigh }: RegionId, view: DataView): void {
  view.setUint32(0, slot, true);
  view.setUint32(4, generation, true);
  view.setUint32(8, poolLow, true);
  view.setUint32(12, poolHigh, true);
}

/** The little-endian word of eight hexadecimal digits. Without a Buffer, as every request needs it. */
function wordAt(hex: string, index: number): number {
  let word = 0;
  for (let at = index + 6; at >= index; at -= 2)
    word = (word << 8) | (digitAt(hex, at) << 4) | digitAt(hex, at + 1);
  return word >>> 0;
}

function digitAt(hex: string, index: number): number {
  const code = hex.charCodeAt(index);
  // For 0 to 9 the low bits are the digit. For A and a they are 1, and the bit of 64 is set.
  return (code & 15) + 9 * (code >> 6);
}
