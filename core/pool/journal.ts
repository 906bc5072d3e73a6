/**
 * The journal of an open pool. It makes changes in several places that happen completely or not at
 * all, even after a crash. journal-record.ts describes the bytes and the order of stores. The pool
 * makes sure that changes come one at a time, and places the areas.
 *
 * A change that was refused for lack of room has not happened, and its record never counts: its
 * sequence is durably used up. If even that is refused, or a store fails otherwise, or a committed
 * change cannot be completed, nobody knows what is on the medium. Then the journal takes no more
 * changes, and the next open completes what was committed.
 */
import { BedrockError } from '../base/errors.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { JournalAreas, PoolHeader } from './header.js';
import { forEach, inOrder } from './in-order.js';
import { encodeRecord, RECORD_AT, recordLength } from './journal-record.js';
import type { PoolMedium } from './medium.js';
import { isOutOfSpace } from './read-back.js';
import type { RecordEntry } from './record-parts.js';

export class Journal {
  readonly #medium: PoolMedium;
  #areas: JournalAreas | undefined;
  /** The sequence of the last record. All records up to it are void. */
  #done: number;
  /** What was completed since the pool was opened. */
  readonly figures = { records: 0, bytes: 0 };
  #record = Buffer.alloc(0);
  /**
   * Whether the area of the next record may hold a torn record with that sequence, left by a power
   * failure. The words of another torn record could complete it. So that sequence is used up first.
   */
  #mayBeTorn = true;

  /** @param done the higher done of the areas, after recovery */
  constructor(medium: PoolMedium, areas: JournalAreas | undefined, done: number) {
    this.#medium = medium;
    this.#areas = areas;
    this.#done = done;
  }

  /**
   * Continues in new areas, which are zeros. Called in the step that makes the header that names
   * them current.
   */
  use(areas: JournalAreas): void {
    this.#areas = areas;
    this.#done = 0;
    this.#mayBeTorn = false;
  }

  /** Whether there is room for a record with these entries. */
  fits(entries: readonly RecordEntry[]): boolean {
    return this.#areas !== undefined && areaLength(entries) <= this.#areas.length;
  }

  /**
   * Makes a change; it is durable when this ends.
   * @param entries in order: if two cover the same bytes, the later one counts. There must be room for them
   * @throws OUT_OF_SPACE, and nothing has changed; READ_ONLY, and what the medium throws
   */
  commit(entries: readonly RecordEntry[], pool: PoolHeader): Eventually<void> {
    if (this.#mayBeTorn) {
      const skipped = this.#skip();
      if (skipped !== undefined) return skipped.then(() => this.commit(entries, pool));
    }
    const sequence = this.#done + 1;
    const area = this.#areaOf(sequence);
    const length = recordLength(entries);
    if (this.#record.length < length) this.#record = Buffer.alloc(2 * length);
    encodeRecord(this.#record, entries, sequence, pool);
    const medium = this.#medium;
    return this.#guarded(
      () =>
        inOrder([
          () => medium.stage(area + RECORD_AT, this.#record.subarray(0, length)),
          () => medium.barrier(),
        ]),
      (error) => this.#refused(sequence, area, error),
      () => this.#complete(entries, sequence, area, length),
    );
  }

  /** Makes a change whose record is durable. */
  #complete(
    entries: readonly RecordEntry[],
    sequence: number,
    area: number,
    length: number,
  ): Eventually<void> {
    const medium = this.#medium;
    return this.#guarded(
      () =>
        inOrder([
          () => this.#apply(entries),
          () => medium.barrier(),
          () => medium.publishWord(area, BigInt(sequence)),
        ]),
      (error) => this.#incomplete(error),
      () => {
        this.#done = sequence;
        this.figures.records++;
        this.figures.bytes += length;
      },
    );
  }

  #areaOf(sequence: number): number {
    return (this.#areas as JournalAreas).offsets[sequence % 2] as number;
  }

  /** Durably uses up a sequence. */
  #skip(): Eventually<void> {
    const sequence = this.#done + 1;
    const skipped = (): void => {
      this.#done = sequence;
      this.#mayBeTorn = false;
    };
    const stored = this.#medium.publishWord(this.#areaOf(sequence), BigInt(sequence));
    if (stored !== undefined) return stored.then(skipped);
    skipped();
    return undefined;
  }

  /**
   * In order, if the medium is direct. On other media earlier bytes could overtake later ones, so
   * each store waits for the one before.
   */
  #apply(entries: readonly RecordEntry[]): Eventually<void> {
    if (this.#medium.isDirect === true || overlap(entries)) return this.#applyInOrder(entries);
    return forEach(entries, ({ offset, bytes }) => this.#medium.stage(offset, bytes));
  }

  #applyInOrder(entries: readonly RecordEntry[], first = 0): Eventually<void> {
    for (let at = first; at < entries.length; at++) {
      const { offset, bytes } = entries[at] as RecordEntry;
      const stored = this.#medium.stage(offset, bytes);
      if (stored !== undefined) return stored.then(() => this.#applyInOrder(entries, at + 1));
    }
    return undefined;
  }

  /** Runs a step and what follows it. Errors go to `failed`. */
  #guarded(
    step: () => Eventually<void>,
    failed: (error: unknown) => Eventually<void>,
    then: () => Eventually<void> | void,
  ): Eventually<void> {
    let pending: Eventually<void>;
    try {
      pending = step();
    } catch (error) {
      return failed(error);
    }
    if (pending === undefined) return then() ?? undefined;
    return pending.then(
      () => then() ?? undefined,
      (error: unknown) => failed(error),
    );
  }

  /** Handles a record that could not be stored, but may be complete all the same. */
  async #refused(sequence: number, area: number, error: unknown): Promise<void> {
    if (!isOutOfSpace(error)) throw this.#fail('a record of the journal was stored in part', error);
    try {
      await this.#medium.publishWord(area, BigInt(sequence));
    } catch {
      throw this.#fail('a record of the journal was refused, and may be there', error);
    }
    this.#done = sequence;
    throw error;
  }

  #incomplete(error: unknown): never {
    throw this.#fail(
      'a change that its journal holds could not be completed; the next start completes it',
      error,
    );
  }

  #fail(why: string, cause: unknown): Error {
    return this.#medium.fail?.(why, cause) ?? new BedrockError('READ_ONLY', why, { cause });
  }
}

/** Bytes of an area with room for a record of these entries. */
export function areaLength(entries: readonly RecordEntry[]): number {
  return RECORD_AT + recordLength(entries);
}

function overlap(entries: readonly RecordEntry[]): boolean {
  if (entries.length < 2) return false;
  const sorted = entries.toSorted((one, other) => one.offset - other.offset);
  return sorted.some(({ offset }, index) => {
    const before = sorted[index - 1];
    return before !== undefined && before.offset + before.bytes.length > offset;
  });
}
