/**
 * Stores to a mapping that are carried out together, by one call of the addon: on persistent memory
 * a call takes as long as a store. The list is bytes that TypeScript writes and the addon reads:
 *
 * | bytes | meaning |
 * |---|---|
 * | 8 | kind, as a double |
 * | 8 | offset in the mapping, as a double |
 * | 8 | length in bytes, as a double |
 * | length, rounded up to 8 | the bytes of a copy or a word; no bytes for the other kinds |
 *
 * They are carried out in order, and become durable by a drain in the list, or the next one. If a
 * list fails, some of its stores may have been carried out.
 */

const LIST_BYTES = 2 ** 15;
const HEAD_BYTES = 24;
const WORD_BYTES = 8;
/** Up to here, copying by a loop takes less time than by a call. */
const LOOP_BYTES = 56;

/** The same numbers as in native/src/hot.cc. */
const Kind = { copy: 0, word: 1, zeros: 2, drain: 3 } as const;

/** Stores that a mapping carries out together. */
export class StoreList {
  readonly #buffer = new ArrayBuffer(LIST_BYTES);
  private readonly bytes = new Uint8Array(this.#buffer);
  readonly #numbers = new Float64Array(this.#buffer);
  readonly #words = new BigUint64Array(this.#buffer);
  /** Bytes of the list in use, a multiple of 8. */
  length = 0;

  /** @param run carries out the first `length` bytes of the list */
  constructor(private readonly run: (bytes: Uint8Array, length: number) => void) {}

  /** Carries out the stores, and forgets them. @throws OUT_OF_RANGE, MAPPING_CLOSED, READ_ONLY, EIO */
  carryOut(): void {
    const { length } = this;
    this.length = 0;
    this.run(this.bytes, length);
  }

  /** Whether there is room for a store of so many bytes, and for a word and two drains after it. */
  hasRoom(bytes: number): boolean {
    return this.length + bytes + 5 * HEAD_BYTES <= LIST_BYTES;
  }

  /** Copies a part of `source` to `offset`. */
  copy(offset: number, source: Uint8Array, from: number, length: number): void {
    const at = this.#add(Kind.copy, offset, length);
    const { bytes } = this;
    if (length > LOOP_BYTES) {
      const isWhole = from === 0 && length === source.length;
      bytes.set(isWhole ? source : source.subarray(from, from + length), at);
    } else for (let index = 0; index < length; index++) bytes[at + index] = source[from + index] as number;
    this.length = at + ((length + 7) & ~7);
  }

  /** Stores 8 bytes with one store. @param offset a multiple of 8 */
  word(offset: number, word: bigint): void {
    const at = this.#add(Kind.word, offset, WORD_BYTES);
    this.#words[at >>> 3] = word;
    this.length = at + WORD_BYTES;
  }

  /** The same with the first bytes of an array. */
  wordOf(offset: number, source: Uint8Array): void {
    const at = this.#add(Kind.word, offset, WORD_BYTES);
    for (let index = 0; index < WORD_BYTES; index++) this.bytes[at + index] = source[index] as number;
    this.length = at + WORD_BYTES;
  }

  zeros(offset: number, length: number): void {
    this.length = this.#add(Kind.zeros, offset, length);
  }

  /** Makes the stores so far durable before those that follow. */
  drain(): void {
    this.length = this.#add(Kind.drain, 0, 0);
  }

  #add(kind: number, offset: number, length: number): number {
    const index = this.length >>> 3;
    const numbers = this.#numbers;
    numbers[index] = kind;
    numbers[index + 1] = offset;
    numbers[index + 2] = length;
    return this.length + HEAD_BYTES;
  }
}
