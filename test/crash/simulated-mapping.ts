/**
 * A mapped pool on a simulated medium: what native/mapping.ts calls the addon for, so that the
 * mapping itself, with the grouping of its msyncs, is the real one.
 *
 * Persistent memory: a store is durable when its cache line was flushed after it and a fence has
 * come after that. A disk: an msync takes along what was stored into its pages before it began.
 */
import { Status, type MappingBinding, type Outcome } from '../../native/binding.js';
import type { SimulatedMedia } from './simulated-media.js';
import type { SimulatedProcess } from './simulated-process.js';

const WORD_BYTES = 8;
const LINE_BYTES = 64;
const PAGE_BYTES = 4096;

interface Flushed {
  readonly offset: number;
  readonly length: number;
  readonly upTo: number;
}

export class SimulatedMapping implements MappingBinding {
  readonly size: number;
  readonly isPmem: boolean;
  readonly isForced = false;
  readonly isReadOnly = false;
  // The fourth number says whether a page is lost: none ever is.
  readonly slots = new ArrayBuffer(32);
  readonly #numbers = new Float64Array(this.slots);
  readonly #media: SimulatedMedia;
  readonly #process: SimulatedProcess;
  /** Lines on their way, for which no fence has waited yet. */
  #flushed: Flushed[] = [];

  constructor(media: SimulatedMedia, process: SimulatedProcess, isPmem: boolean) {
    this.size = media.bytes.length;
    this.isPmem = isPmem;
    this.#media = media;
    this.#process = process;
  }

  copyPersist(source: Uint8Array): Outcome {
    return this.copy(source) ?? this.#fence();
  }

  copy(source: Uint8Array): Outcome {
    const { offset, length, third } = this.#given();
    this.#store(offset, source.subarray(third, third + length));
    return this.#flush(offset, length);
  }

  fillPersist(): Outcome {
    return this.fill() ?? this.#fence();
  }

  fill(): Outcome {
    const { offset, length, third } = this.#given();
    this.#store(offset, new Uint8Array(length).fill(third));
    return this.#flush(offset, length);
  }

  persist(): Outcome {
    return this.flush() ?? this.#fence();
  }

  flush(): Outcome {
    const { offset, length } = this.#given();
    this.#process.checkAlive();
    return this.#flush(offset, length);
  }

  drain(): Outcome {
    this.#process.checkAlive();
    return this.isPmem ? this.#fence() : Status.unsynced;
  }

  storePersist64(value: bigint): Outcome {
    return this.store64(value) ?? this.#fence();
  }

  store64(value: bigint): Outcome {
    const { offset } = this.#given();
    if (offset % 8 !== 0) return Status.misaligned;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    this.#store(offset, bytes);
    return this.#flush(offset, 8);
  }

  /** One after the other, as native/store-list.ts describes them. */
  carryOut(list: Uint8Array): Outcome {
    const { length: end } = this.#given();
    const view = new DataView(list.buffer, list.byteOffset, end);
    for (let at = 0; at < end;) {
      const [kind, offset, length] = [0, 8, 16].map((from) => view.getFloat64(at + from, true));
      at += 24;
      this.#numbers.set([offset as number, length as number, 0]);
      let outcome: Outcome;
      switch (kind) {
        case 0:
          outcome = this.copy(list.slice(at, at + (length as number)));
          break;
        case 1:
          outcome = this.store64(view.getBigUint64(at, true));
          break;
        case 2:
          outcome = this.fill();
          break;
        default:
          outcome = this.drain();
      }
      if (outcome !== undefined) return outcome;
      if (kind === 0 || kind === 1) at += Math.ceil((length as number) / 8) * 8;
    }
    return undefined;
  }

  load64(): bigint {
    const { offset } = this.#given();
    return new DataView(this.#media.bytes.buffer).getBigUint64(offset, true);
  }

  persistRanges(pairs: Float64Array, count: number): Outcome {
    this.#process.checkAlive();
    if (!this.isPmem) return Status.unsynced;
    for (let at = 0; at < 2 * count; at += 2) this.#flush(pairs[at] as number, pairs[at + 1] as number);
    return this.#fence();
  }

  window(): ArrayBuffer {
    return this.#media.bytes.buffer as ArrayBuffer;
  }

  msyncAsync(offset: number, length: number): Promise<void> {
    return this.#persistLater(offset, length, PAGE_BYTES);
  }

  persistAsync(offset: number, length: number): Promise<void> {
    return this.#persistLater(offset, length, this.isPmem ? LINE_BYTES : PAGE_BYTES);
  }

  deepPersistAsync(offset: number, length: number): Promise<void> {
    return this.persistAsync(offset, length);
  }

  fillAsync(offset: number, length: number, value: number): Promise<void> {
    return this.#persistLater(offset, length, this.isPmem ? LINE_BYTES : PAGE_BYTES, () =>
      this.#media.fill(offset, length, value),
    );
  }

  close(): Promise<void> {
    return this.#process.start([{ run: () => undefined }], () => undefined);
  }

  crc32c(): number {
    throw new Error('a pool does not ask its mapping for checksums');
  }

  crc32cAsync(): number {
    return this.crc32c();
  }

  msyncBlocking(): Outcome {
    throw new Error('a pool must not wait for an msync');
  }

  #given(): { offset: number; length: number; third: number } {
    const [offset = 0, length = 0, third = 0] = this.#numbers;
    return { offset, length, third };
  }

  #store(offset: number, bytes: Uint8Array): void {
    this.#process.checkAlive();
    // The process may be killed in the middle of a copy, between two words.
    const words = Math.floor(bytes.length / WORD_BYTES);
    const cut = WORD_BYTES * this.#process.choice(Math.max(1, words));
    if (cut > 0) this.#media.store(offset, bytes.subarray(0, cut));
    this.#media.store(offset + cut, bytes.subarray(cut));
  }

  #flush(offset: number, length: number): Outcome {
    if (!this.isPmem) return Status.unsynced;
    const from = Math.floor(offset / LINE_BYTES) * LINE_BYTES;
    const to = Math.ceil((offset + length) / LINE_BYTES) * LINE_BYTES;
    if (length > 0) this.#flushed.push({ offset: from, length: to - from, upTo: this.#media.serial });
    return undefined;
  }

  #fence(): Outcome {
    const flushed = this.#flushed;
    this.#flushed = [];
    for (const { offset, length, upTo } of flushed) this.#media.makeDurable(offset, length, upTo);
    return undefined;
  }

  #persistLater(offset: number, length: number, unit: number, store?: () => void): Promise<void> {
    const from = Math.floor(offset / unit) * unit;
    const to = Math.min(this.size, Math.ceil((offset + length) / unit) * unit);
    let upTo = 0;
    return this.#process.start(
      [
        ...(store === undefined ? [] : [{ run: store, outlivesProcess: true }]),
        { run: () => (upTo = this.#media.serial) },
        { run: () => this.#media.makeDurable(from, to - from, upTo) },
      ],
      () => undefined,
    );
  }
}
