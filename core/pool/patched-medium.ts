/**
 * A read-only view of a pool in which what its log or its journal holds is already stored. Nothing is
 * ever stored. Where the medium's own memory differs, no view of it is given.
 */
import { BedrockError } from '../base/errors.js';
import type { TargetMode } from '../contract/mode.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { RecordEntry } from './record-parts.js';
import type { PoolMedium } from './medium.js';
import { readCarefully, type ReadableMedium } from './scan.js';

const PAGE_BYTES = 4096;

/** Stores that are pending, in order, by the pages that they touch. */
class Patches {
  readonly #pages = new Map<number, RecordEntry[]>();

  constructor(entries: readonly RecordEntry[]) {
    for (const entry of entries) {
      const end = entry.offset + entry.bytes.length;
      for (let page = Math.floor(entry.offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
        const there = this.#pages.get(page);
        if (there === undefined) this.#pages.set(page, [entry]);
        else there.push(entry);
      }
    }
  }

  /** Changes bytes of the pool, read from `offset` on, as the pending stores would. */
  patch(offset: number, into: Uint8Array): void {
    const end = offset + into.length;
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const start = page * PAGE_BYTES;
      for (const { offset: at, bytes } of this.#pages.get(page) ?? []) {
        const from = Math.max(offset, at, start);
        const to = Math.min(end, at + bytes.length, start + PAGE_BYTES);
        if (from < to) into.set(bytes.subarray(from - at, to - at), from - offset);
      }
    }
  }

  touches(offset: number, length: number): boolean {
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < offset + length; page++)
      for (const { offset: at, bytes } of this.#pages.get(page) ?? [])
        if (at < offset + length && offset < at + bytes.length) return true;
    return false;
  }
}

/** The reads of recovery and checks. */
export class PatchedReads implements ReadableMedium {
  readonly #real: ReadableMedium;
  protected readonly patches: Patches;

  constructor(real: ReadableMedium, entries: readonly RecordEntry[]) {
    this.#real = real;
    this.patches = new Patches(entries);
  }

  get size(): number {
    return this.#real.size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await readCarefully(this.#real, offset, into);
    this.patches.patch(offset, into);
  }
}

/** The medium of a read-only target. */
export class PatchedMedium extends PatchedReads implements PoolMedium {
  readonly #real: PoolMedium;
  readonly map?: (offset: number, length: number) => Uint8Array[];

  constructor(real: PoolMedium, entries: readonly RecordEntry[]) {
    super(real, entries);
    this.#real = real;
    if (real.map !== undefined) this.map = (offset, length) => this.#map(offset, length);
  }

  get mode(): TargetMode {
    return this.#real.mode;
  }

  /** A copy if the change touches it; nobody alters the copy. */
  #map(offset: number, length: number): Uint8Array[] {
    const views = this.#real.map?.(offset, length) ?? [];
    if (!this.patches.touches(offset, length)) return views;
    const copy = Buffer.concat(views);
    this.patches.patch(offset, copy);
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
