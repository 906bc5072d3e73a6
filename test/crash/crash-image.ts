/**
 * What a medium may hold after a power failure at one moment of its trace: what is durable, and for
 * each unit that has newer contents a choice of them.
 *
 * Every state has a hash, a sum over units, so that the hash of the next state costs as much as what differs.
 */
import type { TraceEvent } from './simulated-media.js';

/** A unit that has been stored into since it was last made durable. */
export interface OpenUnit {
  readonly unit: number;
  /** What may be there instead of the durable contents, in order of stores; no two are the same. */
  readonly options: readonly Uint8Array[];
  /** What each option adds to the hash. */
  readonly high: readonly number[];
  readonly low: readonly number[];
}

interface History {
  readonly serials: number[];
  readonly contents: Uint8Array[];
  readonly hashes: Hash[];
}

export interface Hash {
  readonly high: number;
  readonly low: number;
}

export class CrashImage {
  /** What is durable. */
  readonly bytes: Uint8Array;
  readonly unitBytes: number;
  #hash: Hash;
  readonly #histories = new Map<number, History>();
  /** Of the durable contents of units that were ever stored into. */
  readonly #durableHashes = new Map<number, Hash>();
  #open: readonly OpenUnit[] | undefined;

  /** @param hash of the bytes, if they are those of a state that has one */
  constructor(bytes: Uint8Array, unitBytes: number, hash: Hash = { high: 0, low: 0 }) {
    this.bytes = bytes;
    this.unitBytes = unitBytes;
    this.#hash = hash;
  }

  /** Of the durable contents. */
  get hash(): Hash {
    return this.#hash;
  }

  take(event: TraceEvent): void {
    if (event.kind === 'note') return;
    this.#open = undefined;
    if (event.kind === 'store') {
      for (const [index, unit] of event.units.entries()) {
        const contents = event.contents[index] as Uint8Array;
        let history = this.#histories.get(unit);
        if (history === undefined)
          this.#histories.set(unit, (history = { serials: [], contents: [], hashes: [] }));
        if (!this.#durableHashes.has(unit))
          this.#durableHashes.set(unit, hashOfUnit(unit, this.#durable(unit)));
        history.serials.push(event.serial);
        history.contents.push(contents);
        history.hashes.push(hashOfUnit(unit, contents));
      }
      return;
    }
    for (const [unit, history] of this.#histories)
      if (unit >= event.fromUnit && unit < event.toUnit) this.#makeDurable(unit, history, event.upTo);
  }

  #makeDurable(unit: number, { serials, contents, hashes }: History, upTo: number): void {
    const left = serials.findIndex((serial) => serial > upTo);
    const count = left < 0 ? serials.length : left;
    if (count === 0) return;
    const hash = hashes[count - 1] as Hash;
    const { high, low } = this.#difference(unit, hash);
    this.#hash = { high: (this.#hash.high + high) | 0, low: (this.#hash.low + low) | 0 };
    this.#durableHashes.set(unit, hash);
    this.bytes.set(contents[count - 1] as Uint8Array, unit * this.unitBytes);
    serials.splice(0, count);
    contents.splice(0, count);
    hashes.splice(0, count);
    if (serials.length === 0) this.#histories.delete(unit);
  }

  /** Units of which a power failure may leave other contents than the durable ones. */
  get openUnits(): readonly OpenUnit[] {
    return (this.#open ??= [...this.#histories].flatMap(([unit, { contents, hashes }]) => {
      const durable = this.#durable(unit);
      const places = [...contents.keys()].filter((place) => {
        const one = contents[place] as Uint8Array;
        return (
          Buffer.compare(one, durable) !== 0 &&
          contents.findIndex((other) => Buffer.compare(one, other) === 0) === place
        );
      });
      if (places.length === 0) return [];
      const sums = places.map((place) => this.#difference(unit, hashes[place] as Hash));
      const options = places.map((place) => contents[place] as Uint8Array);
      return [{ unit, options, high: sums.map(({ high }) => high), low: sums.map(({ low }) => low) }];
    }));
  }

  /** The hash of a state: for each open unit 0 for the durable contents, n for the n-th option. */
  hashOf(choice: ArrayLike<number>): Hash {
    let { high, low } = this.#hash;
    const units = this.openUnits;
    for (let index = 0; index < choice.length; index++) {
      const option = (choice[index] as number) - 1;
      if (option < 0) continue;
      const unit = units[index] as OpenUnit;
      high = (high + (unit.high[option] as number)) | 0;
      low = (low + (unit.low[option] as number)) | 0;
    }
    return { high, low };
  }

  #durable(unit: number): Uint8Array {
    return this.bytes.subarray(unit * this.unitBytes, (unit + 1) * this.unitBytes);
  }

  #difference(unit: number, next: Hash): Hash {
    const durable = this.#durableHashes.get(unit) as Hash;
    return { high: (next.high - durable.high) | 0, low: (next.low - durable.low) | 0 };
  }
}

/**
 * Two multiplicative hashes of a unit's contents and place, mixed so that sums of them do not
 * cancel out. Units are whole words.
 */
function hashOfUnit(unit: number, contents: Uint8Array): Hash {
  let high = Math.imul(unit + 1, 0x9e37_79b1);
  let low = Math.imul(unit + 1, 0x85eb_ca77);
  for (const word of wordsOf(contents)) {
    high = Math.imul(high ^ word, 0x0100_0193);
    high ^= high >>> 15;
    low = Math.imul((low ^ (low >>> 15)) + word + 1, 0x2c1b_3c6d);
  }
  return { high: mixed(high), low: mixed(low) };
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Int32Array(buffer, byteOffset, length / 4);
}

function mixed(word: number): number {
  const once = Math.imul(word ^ (word >>> 16), 0x7feb_352d);
  const twice = Math.imul(once ^ (once >>> 15), 0x846c_a68b);
  return twice ^ (twice >>> 16);
}

/** A hash as one number: 53 bits of it. */
export function hashNumber({ high, low }: Hash): number {
  return (high >>> 0) * 2 ** 21 + (low >>> 11);
}
