/**
 * A medium that can lose its power: it records what is stored into it and what is made durable, in
 * order, so that every state can be worked out that a power failure might have left.
 *
 * A unit is the smallest part that is wholly old or wholly new after a power failure: 8 bytes on
 * persistent memory, 512 on a disk. A store is visible at once and may reach the medium at any
 * later time, units in any order, each with any of the contents that it has had since it was last
 * made durable; a store is durable for certain only when somebody has waited for it.
 */
import type { Note } from './ledger.js';

/** Units took new contents. */
export interface StoreEvent {
  readonly kind: 'store';
  readonly serial: number;
  readonly units: readonly number[];
  readonly contents: readonly Uint8Array[];
}

/** What was stored into a range of units, up to a serial, is durable. */
export interface DurableEvent {
  readonly kind: 'durable';
  readonly fromUnit: number;
  readonly toUnit: number;
  readonly upTo: number;
}

/** What the users of the pool have asked for, and been told, at this place. */
export interface NoteEvent {
  readonly kind: 'note';
  readonly note: Note;
}

export type TraceEvent = StoreEvent | DurableEvent | NoteEvent;

const PAGE_BYTES = 4096;

export class SimulatedMedia {
  readonly bytes: Uint8Array;
  readonly unitBytes: number;
  /** Absent if nobody asks what a power failure would leave. */
  readonly trace: TraceEvent[] | undefined;
  /** Pages that were stored into. */
  readonly touchedPages = new Set<number>();
  /** Of the last store. */
  serial = 0;
  /**
   * Called before anything happens to the medium; may throw, as a process that is killed in the
   * middle of it.
   */
  beforeEvent: (() => void) | undefined;

  /** @param bytes what is on it, durably; taken over, not copied */
  constructor(bytes: Uint8Array, unitBytes: number, isRecording: boolean) {
    this.bytes = bytes;
    this.unitBytes = unitBytes;
    this.trace = isRecording ? [] : undefined;
  }

  store(offset: number, source: Uint8Array): void {
    if (offset < 0 || offset + source.length > this.bytes.length)
      throw new Error(`a store of ${source.length} bytes at ${offset} leaves the medium`);
    this.beforeEvent?.();
    const target = this.bytes.subarray(offset, offset + source.length);
    // What changes nothing leaves no trace; it is also how zeros over zeros stay cheap.
    if (source.length === 0 || Buffer.compare(target, source) === 0) return;
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < offset + source.length; page++)
      this.touchedPages.add(page);
    if (this.trace === undefined) target.set(source);
    else this.trace.push(this.#storeUnits(offset, source));
  }

  #storeUnits(offset: number, source: Uint8Array): StoreEvent {
    const { bytes, unitBytes } = this;
    const units: number[] = [];
    const contents: Uint8Array[] = [];
    const end = offset + source.length;
    for (let unit = Math.floor(offset / unitBytes); unit * unitBytes < end; unit++) {
      const from = Math.max(offset, unit * unitBytes);
      const to = Math.min(end, (unit + 1) * unitBytes);
      let isChanged = false;
      for (let at = from; at < to; at++) {
        if (bytes[at] === source[at - offset]) continue;
        isChanged = true;
        bytes[at] = source[at - offset] as number;
      }
      if (!isChanged) continue;
      units.push(unit);
      contents.push(bytes.slice(unit * unitBytes, (unit + 1) * unitBytes));
    }
    return { kind: 'store', serial: ++this.serial, units, contents };
  }

  fill(offset: number, length: number, value: number): void {
    this.store(offset, new Uint8Array(length).fill(value));
  }

  /** @param upTo serial of the last store that it takes along */
  makeDurable(offset: number, length: number, upTo = this.serial): void {
    this.beforeEvent?.();
    if (length === 0) return;
    this.trace?.push({
      kind: 'durable',
      fromUnit: Math.floor(offset / this.unitBytes),
      toUnit: Math.ceil((offset + length) / this.unitBytes),
      upTo,
    });
  }

  note(note: Note): void {
    this.trace?.push({ kind: 'note', note });
  }

  /** Takes the pages that were touched over from an image of the same size. */
  restoreFrom(image: Uint8Array): void {
    for (const page of this.touchedPages) {
      const from = page * PAGE_BYTES;
      this.bytes.set(image.subarray(from, from + PAGE_BYTES), from);
    }
    this.touchedPages.clear();
  }
}
