/**
 * What a pool owes its users after a power failure, kept beside the trace of what was stored.
 *
 * - An acknowledged region is there, with its ID, size and time; an erased one is not, and its ID
 *   names nothing.
 * - A create or an erase that was under way has happened or has not.
 * - Each byte of a region is what some write has put there. A write is out of the question for a
 *   byte when a later one is known to be durable: later means that it began after the first had
 *   ended, known that it was acknowledged as durable, or that a persist which began after it was.
 *
 * Moments are counted by notes. It judges a whole pool at once, so that a region nobody knows is found too.
 */
import { type MadeRegion, type NameCall, NameLedger } from './name-ledger.js';
import type { Observation, SeenRegion } from './observation.js';

export type Call = NameCall | RegionCall;

/** Calls on regions without names. */
type RegionCall =
  | {
      readonly what: 'create';
      readonly size: number;
      /** Absent: the region is zeros. */
      readonly contents?: Uint8Array;
      /** Contents are there as a whole if the region is. */
      readonly isDurable?: boolean;
    }
  | {
      readonly what: 'write';
      readonly id: string;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly isDurable: boolean;
    }
  | { readonly what: 'persist'; readonly id: string; readonly offset: number; readonly size: number }
  | { readonly what: 'erase'; readonly id: string };

export type Note =
  | { readonly kind: 'begin'; readonly number: number; readonly call: Call }
  /** The call was acknowledged. */
  | {
      readonly kind: 'end';
      readonly number: number;
      readonly id?: string;
      readonly createdAt?: number;
      /** Of a call on names. */
      readonly made?: readonly MadeRegion[];
    }
  /** The call has failed: no region was made or erased; of a write anything may be there. */
  | { readonly kind: 'fail'; readonly number: number }
  /**
   * Somebody has looked at the pool while nothing was in flight; after a kill that settles what the
   * kill left open.
   */
  | { readonly kind: 'seen'; readonly pool: Observation }
  /** The process is gone; what was in flight may have happened or not. */
  | { readonly kind: 'kill' };

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly began: number;
  /** From when on it changes nothing any more. */
  ended: number;
  /** Whether it has happened for certain. */
  tookPlace: boolean;
  /** Per byte whether it may be the one that counts; absent while all may. */
  possible: Uint8Array | undefined;
}

interface Entry {
  readonly size: number;
  createdAt: number | undefined;
  isErasing: boolean;
  writes: Write[];
}

interface OpenCall {
  readonly call: RegionCall;
  readonly began: number;
  readonly entry: Entry | undefined;
  readonly write: Write | undefined;
}

export class Ledger {
  #names = new NameLedger();
  /** Numbers of calls on names that are under way. */
  readonly #nameCalls = new Set<number>();
  readonly #regions = new Map<string, Entry>();
  readonly #gone = new Set<string>();
  readonly #calls = new Map<number, OpenCall>();
  #now = 0;
  #demands = 0;

  /** Grows whenever more is owed than before. */
  get demands(): number {
    return this.#demands;
  }

  /** Whether a call on names has ever begun. */
  get hasNames(): boolean {
    return this.#names.isUsed;
  }

  /** IDs of erased regions, the last ones. */
  get stale(): string[] {
    return [...[...this.#gone].slice(-2), ...this.#names.stale];
  }

  /** For what is done after a power failure that left `pool`: what is there now is what is owed. */
  static after(ledger: Ledger, pool: Observation): Ledger {
    const next = new Ledger();
    for (const id of ledger.#gone) next.#gone.add(id);
    for (const id of ledger.#regions.keys()) next.#gone.add(id);
    next.#names = NameLedger.after(ledger.#names, pool);
    for (const region of pool.regions) {
      if (ledger.#names.owns(region)) continue;
      const { id, size, createdAt, bytes } = region;
      next.#gone.delete(id);
      next.#regions.set(id, newEntry(size, bytes, createdAt));
    }
    return next;
  }

  take(note: Note): void {
    this.#now++;
    if (note.kind === 'begin') {
      if (note.call.what === 'names') this.#beginNames(note.number, note.call);
      else this.#begin(note.number, note.call);
    } else if (note.kind === 'fail') this.#fail(note.number);
    else {
      this.#demands++;
      if (note.kind === 'end' && this.#nameCalls.delete(note.number))
        this.#names.end(note.number, note.made ?? []);
      else if (note.kind === 'end') this.#end(note.number, note.id ?? '', note.createdAt);
      else if (note.kind === 'kill') this.#leaveOpen();
      else this.#settle(note.pool);
    }
  }

  #beginNames(number: number, call: NameCall): void {
    this.#nameCalls.add(number);
    this.#names.begin(number, call);
  }

  #begin(number: number, call: RegionCall): void {
    let entry: Entry | undefined;
    let write: Write | undefined;
    if (call.what === 'create') {
      entry = newEntry(call.size, (call.isDurable ? call.contents : undefined) ?? new Uint8Array(call.size));
      if (call.contents !== undefined && !call.isDurable) {
        write = newWrite(0, call.contents, this.#now);
        entry.writes.push(write);
      }
    } else {
      entry = this.#regions.get(call.id);
      if (call.what === 'erase' && entry !== undefined) entry.isErasing = true;
      if (call.what === 'write' && entry !== undefined) {
        write = newWrite(call.offset, call.bytes, this.#now);
        entry.writes.push(write);
      }
    }
    this.#calls.set(number, { call, began: this.#now, entry, write });
  }

  #end(number: number, id: string, createdAt: number | undefined): void {
    const { call, began, entry, write } = this.#close(number);
    if (write !== undefined) {
      write.ended = this.#now;
      write.tookPlace = true;
    }
    if (entry === undefined) return;
    if (call.what === 'create') {
      if (this.#gone.has(id) || this.#regions.has(id)) throw new Error(`the ID ${id} was given out twice`);
      entry.createdAt = createdAt;
      this.#regions.set(id, entry);
    } else if (call.what === 'erase') {
      this.#regions.delete(call.id);
      this.#gone.add(call.id);
    } else if (call.what === 'persist') this.#makeCertain(entry, call.offset, call.size, began);
    else if (call.isDurable) this.#makeCertain(entry, call.offset, call.bytes.length, began, write);
  }

  #fail(number: number): void {
    if (this.#nameCalls.delete(number)) {
      this.#names.fail(number);
      return;
    }
    const { call, entry, write } = this.#close(number);
    if (write !== undefined) write.ended = this.#now;
    // Whether an erase that failed has reached the medium is not known; so it stays possible.
    if (call.what === 'erase' && entry?.isErasing === true) return;
  }

  #close(number: number): OpenCall {
    const open = this.#calls.get(number) as OpenCall;
    this.#calls.delete(number);
    return open;
  }

  /**
   * Rules out every write that is older than one known to be durable: for the range all that had
   * ended before `began`, and `own`.
   */
  #makeCertain(entry: Entry, offset: number, size: number, began: number, own?: Write): void {
    const { writes } = entry;
    const isDurable = (write: Write): boolean => write === own || (write.tookPlace && write.ended <= began);
    for (const newer of writes.filter(isDurable)) {
      for (const older of writes) {
        if (older === newer || older.ended >= newer.began) continue;
        const from = Math.max(offset, older.offset, newer.offset);
        const to = Math.min(
          offset + size,
          older.offset + older.bytes.length,
          newer.offset + newer.bytes.length,
        );
        if (from >= to) continue;
        older.possible ??= new Uint8Array(older.bytes.length).fill(1);
        older.possible.fill(0, from - older.offset, to - older.offset);
      }
    }
    entry.writes = writes.filter(({ possible }) => possible === undefined || possible.includes(1));
  }

  #leaveOpen(): void {
    for (const { write } of this.#calls.values()) if (write !== undefined) write.ended = this.#now;
  }

  #settle(pool: Observation): void {
    const fault = this.judge(pool);
    if (fault !== undefined) throw new Error(fault);
    this.#names.settle(pool);
    this.#nameCalls.clear();
    const seen = new Set(pool.regions.map(({ id }) => id));
    for (const [region, entry] of this.#match(this.#unknown(pool)) ?? []) {
      entry.createdAt = region.createdAt;
      this.#regions.set(region.id, entry);
    }
    for (const [id, entry] of this.#regions) {
      entry.isErasing = false;
      if (seen.has(id)) continue;
      this.#regions.delete(id);
      this.#gone.add(id);
    }
    this.#calls.clear();
  }

  /** What is wrong with a pool, if anything. */
  judge(pool: Observation): string | undefined {
    const { quarantined, found, usedBytes, accountedBytes } = pool;
    if (quarantined > 0) return `${quarantined} slots are quarantined`;
    if (found.length > 0) return `the ID ${String(found[0])} of an erased region names something`;
    const nameFault = this.#names.judge(pool);
    if (nameFault !== undefined) return nameFault;
    const seen = new Set<string>();
    for (const region of pool.regions) {
      if (this.#names.owns(region)) continue;
      if (seen.has(region.id)) return `the region ${region.id} is there twice`;
      seen.add(region.id);
      if (this.#gone.has(region.id)) return `the region ${region.id} was erased, and is there`;
      const entry = this.#regions.get(region.id);
      const fault = entry === undefined ? undefined : faultOf(region, entry);
      if (fault !== undefined) return fault;
    }
    for (const [id, { isErasing }] of this.#regions)
      if (!isErasing && !seen.has(id)) return `the region ${id} was acknowledged, and is not there`;
    const unknown = this.#unknown(pool);
    if (unknown.length > 0 && this.#match(unknown) === undefined)
      return `nobody has made the region ${unknown.map(({ id, size }) => `${id} of ${size} bytes`).join(', ')}, with these bytes`;
    if (usedBytes !== accountedBytes)
      return `${usedBytes} bytes are used, but headers, chunks, journal and regions take ${accountedBytes}`;
    return undefined;
  }

  #unknown({ regions }: Observation): SeenRegion[] {
    return regions.filter((region) => !this.#regions.has(region.id) && !this.#names.owns(region));
  }

  /** Whose creations the regions are that nobody has been told of: one each. */
  #match(unknown: readonly SeenRegion[]): Map<SeenRegion, Entry> | undefined {
    const open = [...this.#calls.values()].filter(({ call }) => call.what === 'create');
    const matched = new Map<SeenRegion, Entry>();
    // One whose contents are there as given goes first: zeros would do for another one as well.
    for (const region of unknown) {
      const fits = open.filter(({ entry }) => entry !== undefined && faultOf(region, entry) === undefined);
      const best =
        fits.find(({ write }) => write && Buffer.compare(write.bytes, region.bytes) === 0) ?? fits[0];
      if (best?.entry === undefined) return undefined;
      matched.set(region, best.entry);
      open.splice(open.indexOf(best), 1);
    }
    return matched;
  }
}

function newWrite(offset: number, bytes: Uint8Array, began: number): Write {
  return { offset, bytes, began, ended: Infinity, tookPlace: false, possible: undefined };
}

function newEntry(size: number, bytes: Uint8Array, createdAt?: number): Entry {
  const base: Write = { ...newWrite(0, bytes, -1), ended: -1, tookPlace: true };
  return { size, createdAt, isErasing: false, writes: [base] };
}

function faultOf({ id, size, createdAt, bytes }: SeenRegion, entry: Entry): string | undefined {
  if (size !== entry.size) return `the region ${id} has ${size} bytes, not ${entry.size}`;
  if (entry.createdAt !== undefined && createdAt !== entry.createdAt)
    return `the region ${id} was made at ${createdAt}, not ${entry.createdAt}`;
  const { writes } = entry;
  const isWhole = (write: Write): boolean =>
    write.possible === undefined && write.bytes.length === size && Buffer.compare(write.bytes, bytes) === 0;
  if (writes.some(isWhole)) return undefined;
  const isPossible = new Uint8Array(size);
  for (const { offset, bytes: written, possible } of writes) {
    const end = Math.min(size, offset + written.length);
    for (let at = offset; at < end; at++)
      if (written[at - offset] === bytes[at] && possible?.[at - offset] !== 0) isPossible[at] = 1;
  }
  const at = isPossible.indexOf(0);
  return at < 0
    ? undefined
    : `byte ${at} of the region ${id} is ${String(bytes[at])}, which nobody can have put there`;
}
