/**
 * A read-only view of a pool in which the pending change of its journal is already made. Nothing is
 * ever stored. Where the medium's own memory differs, no view of it is given.
 */
import { BedrockError } from '../base/errors.js';
import type { TargetMode } from '../contract/mode.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { JournalEntry } from './journal-record.js';
import type { PoolMedium } from './medium.js';
import { readCarefully, type ReadableMedium } from './scan.js';

/** Changes bytes of the pool, read from `offset` on, as the pending change would. */
function patch(offset: number, into: Uint8Array, entries: readonly JournalEntry[]): void {
  for (const { offset: at, bytes } of entries) {
    const from = Math.max(offset, at);
    const to = Math.min(offset + into.length, at + bytes.length);
    if (from < to) into.set(bytes.subarray(from - at, to - at), from - offset);
  }
}

/** The reads of recovery and checks. */
export class PatchedReads implements ReadableMedium {
  readonly #real: ReadableMedium;
  readonly #entries: readonly JournalEntry[];

  constructor(real: ReadableMedium, entries: readonly JournalEntry[]) {
    this.#real = real;
    this.#entries = entries;
  }

  get size(): number {
    return this.#real.size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await readCarefully(this.#real, offset, into);
    patch(offset, into, this.#entries);
  }
}

/** The medium of a read-only target. */
export class PatchedMedium extends PatchedReads implements PoolMedium {
  readonly #real: PoolMedium;
  readonly #entries: readonly JournalEntry[];
  readonly map?: (offset: number, length: number) => Uint8Array[];

  constructor(real: PoolMedium, entries: readonly JournalEntry[]) {
    super(real, entries);
    this.#real = real;
    this.#entries = entries;
    if (real.map !== undefined) this.map = (offset, length) => this.#map(offset, length);
  }

  get mode(): TargetMode {
    return this.#real.mode;
  }

  /** A copy if the change touches it; nobody alters the copy. */
  #map(offset: number, length: number): Uint8Array[] {
    const views = this.#real.map?.(offset, length) ?? [];
    const isTouched = this.#entries.some(
      ({ offset: at, bytes }) => at < offset + length && offset < at + bytes.length,
    );
    if (!isTouched) return views;
    const copy = Buffer.concat(views);
    patch(offset, copy, this.#entries);
    return [copy];
  }

  close(): Eventually<void> {
    return this.#real.close();
  }

  write(): never {
    return this.#refuse();
  }

  stage(): never {
    return this.#refuse();
  }

  stageWord(): never {
    return this.#refuse();
  }

  writeDurably(): never {
    return this.#refuse();
  }

  persist(): never {
    return this.#refuse();
  }

  barrier(): never {
    return this.#refuse();
  }

  publish(): never {
    return this.#refuse();
  }

  publishWord(): never {
    return this.#refuse();
  }

  clear(): never {
    return this.#refuse();
  }

  allocate(): never {
    return this.#refuse();
  }

  grow(): never {
    return this.#refuse();
  }

  #refuse(): never {
    throw new BedrockError('INTERNAL', 'a pool that is opened read-only must not be changed');
  }
}
