/**
 * What a pool owes those who use names. Keys are divided into domains, `DOMAIN/REST`, each of which
 * one caller at a time changes; so what is owed of a domain is what it was after the last change
 * that was acknowledged, or what the change that is under way makes of it: all of it or nothing.
 * Only a plain write may be there in part, byte by byte.
 */
import type { Observation, SeenRegion } from './observation.js';

export type NameChange =
  | { readonly what: 'put'; readonly key: string; readonly contents: Uint8Array }
  | { readonly what: 'erase'; readonly key: string }
  | { readonly what: 'rename'; readonly key: string; readonly to: string }
  | { readonly what: 'write'; readonly key: string; readonly offset: number; readonly bytes: Uint8Array };

export interface NameCall {
  readonly what: 'names';
  readonly domain: string;
  readonly changes: readonly NameChange[];
  /** A plain write, of which each byte may be old or new until it is acknowledged. */
  readonly mixes: boolean;
}

/** A region that a call has made. */
export interface MadeRegion {
  readonly key: string;
  readonly id: string;
  readonly createdAt: number;
}

interface Held {
  /** Known once a call has told it. */
  readonly id: string | undefined;
  readonly createdAt: number | undefined;
  readonly bytes: Uint8Array;
}

/** By key. */
type World = ReadonlyMap<string, Held>;

interface Pending {
  readonly call: NameCall;
  readonly before: World;
  readonly after: World;
}

/**
 * Bytes of a plain write that was never acknowledged. They were seen after a kill, and need not be
 * durable: the old ones may come back.
 */
interface Loose {
  readonly offset: number;
  readonly old: Uint8Array;
}

const NOTHING: World = new Map();

export class NameLedger {
  /** By domain. */
  readonly #worlds = new Map<string, World>();
  /** By the number of the call. */
  readonly #pending = new Map<number, Pending>();
  readonly #gone = new Set<string>();
  /** By the ID of the region. */
  readonly #loose = new Map<string, Loose[]>();
  #isUsed = false;

  /** For what is done after a power failure that left `pool`. */
  static after(ledger: NameLedger, pool: Observation): NameLedger {
    const next = new NameLedger();
    next.#isUsed = ledger.#isUsed;
    for (const id of ledger.#gone) next.#gone.add(id);
    for (const world of ledger.#worlds.values())
      for (const { id } of world.values()) if (id !== undefined) next.#gone.add(id);
    for (const [domain, world] of worldsOf(pool)) {
      next.#worlds.set(domain, world);
      for (const { id } of world.values()) next.#gone.delete(id as string);
    }
    return next;
  }

  /** IDs of regions that are gone, the last ones. */
  get stale(): string[] {
    return [...this.#gone].slice(-2);
  }

  /** Whether a call has ever begun. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  begin(number: number, call: NameCall): void {
    this.#isUsed = true;
    const before = this.#worlds.get(call.domain) ?? NOTHING;
    this.#pending.set(number, { call, before, after: changed(before, call.changes) });
  }

  end(number: number, made: readonly MadeRegion[]): void {
    const { call, after } = this.#pending.get(number) as Pending;
    this.#pending.delete(number);
    const known = new Map(after);
    for (const { key, id, createdAt } of made) {
      const held = known.get(key);
      if (this.#gone.has(id)) throw new Error(`the ID ${id} was given out twice`);
      if (held !== undefined) known.set(key, { ...held, id, createdAt });
    }
    for (const change of call.changes)
      if (change.what === 'write') this.#fasten(known.get(change.key), change);
    this.#become(call.domain, known);
  }

  /** What was written over, and acknowledged, is durable. */
  #fasten(held: Held | undefined, { offset, bytes }: { offset: number; bytes: Uint8Array }): void {
    const loose = this.#loose.get(held?.id ?? '');
    if (held?.id === undefined || loose === undefined) return;
    const end = offset + bytes.length;
    const left = loose.filter((each) => each.offset < offset || each.offset + each.old.length > end);
    this.#loose.set(held.id, left);
  }

  fail(number: number): void {
    const { call } = this.#pending.get(number) as Pending;
    // Of a write that failed any part may be there.
    if (!call.mixes) this.#pending.delete(number);
  }

  /** Somebody has looked while nothing was in flight: what is there now is owed. */
  settle(pool: Observation): void {
    const worlds = worldsOf(pool);
    for (const { call, before } of this.#pending.values()) if (call.mixes) this.#loosen(call, before, worlds);
    for (const domain of new Set([...this.#worlds.keys(), ...worlds.keys()]))
      this.#become(domain, worlds.get(domain) ?? NOTHING);
    this.#pending.clear();
  }

  #loosen({ domain, changes }: NameCall, before: World, worlds: ReadonlyMap<string, World>): void {
    for (const change of changes) {
      const [held, there] = [before.get(change.key), worlds.get(domain)?.get(change.key)];
      if (change.what !== 'write' || held === undefined || there?.id === undefined) continue;
      const { offset, bytes } = change;
      const old = held.bytes.slice(offset, offset + bytes.length);
      this.#loose.set(there.id, [...(this.#loose.get(there.id) ?? []), { offset, old }]);
    }
  }

  #become(domain: string, world: World): void {
    const ids = new Set([...world.values()].map(({ id }) => id));
    for (const { id } of this.#worlds.get(domain)?.values() ?? [])
      if (id !== undefined && !ids.has(id)) this.#gone.add(id);
    this.#worlds.set(domain, world);
  }

  /** Whether a region is this ledger's to judge. */
  owns({ id, name }: SeenRegion): boolean {
    if (name !== undefined || this.#gone.has(id)) return true;
    for (const world of this.#worlds.values())
      for (const held of world.values()) if (held.id === id) return true;
    return false;
  }

  /** What is wrong with a pool, if anything. */
  judge(pool: Observation): string | undefined {
    const keys = new Set<string>();
    for (const region of pool.regions) {
      if (!this.owns(region)) continue;
      const { id, name } = region;
      if (this.#gone.has(id)) return `the region ${id} was replaced or erased, and is there`;
      if (name === undefined) return `the region ${id} has lost its name`;
      if (keys.has(name)) return `two regions have the name ${name}`;
      keys.add(name);
    }
    const listed = pool.regions.flatMap(({ id, name }) => (name === undefined ? [] : [`${name} ${id}`]));
    if (listed.toSorted().join() !== pool.names.toSorted().join())
      return `the names are ${pool.names.join()}, but the regions have ${listed.join()}`;
    const worlds = worldsOf(pool);
    for (const domain of new Set([...this.#worlds.keys(), ...worlds.keys()])) {
      const found = worlds.get(domain) ?? NOTHING;
      const before = this.#worlds.get(domain) ?? NOTHING;
      const pending = [...this.#pending.values()].filter(({ call }) => call.domain === domain);
      const fault = this.#difference(found, before);
      if (fault === undefined) continue;
      if (pending.some(({ after }) => this.#difference(found, after) === undefined)) continue;
      if (pending.some(({ call, after }) => call.mixes && isMixed(found, before, after))) continue;
      const ways = pending.map(
        ({ after }) => `; nor as the change makes it: ${this.#difference(found, after) ?? ''}`,
      );
      return `the names of ${domain} are not as they were acknowledged: ${fault}${ways.join('')}`;
    }
    return undefined;
  }

  #difference(found: World, owed: World): string | undefined {
    for (const key of owed.keys()) if (!found.has(key)) return `nobody has the name ${key}`;
    for (const [key, held] of found) {
      const expected = owed.get(key);
      if (expected === undefined) return `nobody should have the name ${key}`;
      if (!isSame(held, expected)) return `another region has the name ${key}`;
      if (!this.#isOwed(held, expected.bytes)) return `the contents of ${key} differ`;
    }
    return undefined;
  }

  /** Whether each byte is the one owed, or one that may come back. */
  #isOwed({ id = '', bytes }: Held, owed: Uint8Array): boolean {
    if (Buffer.compare(bytes, owed) === 0) return true;
    const loose = this.#loose.get(id) ?? [];
    return bytes.every(
      (byte, at) => byte === owed[at] || loose.some(({ offset, old }) => byte === old[at - offset]),
    );
  }
}

function changed(before: World, changes: readonly NameChange[]): World {
  const world = new Map(before);
  for (const change of changes) {
    const held = world.get(change.key);
    if (change.what === 'put')
      world.set(change.key, { id: undefined, createdAt: undefined, bytes: change.contents });
    else if (held === undefined) continue;
    else if (change.what === 'erase') world.delete(change.key);
    else if (change.what === 'rename') {
      world.delete(change.key);
      world.set(change.to, held);
    } else {
      const bytes = new Uint8Array(held.bytes);
      bytes.set(change.bytes, change.offset);
      world.set(change.key, { ...held, bytes });
    }
  }
  return world;
}

function worldsOf({ regions }: Observation): Map<string, Map<string, Held>> {
  const worlds = new Map<string, Map<string, Held>>();
  for (const { name, id, createdAt, bytes } of regions) {
    if (name === undefined) continue;
    const domain = name.slice(0, name.indexOf('/'));
    let world = worlds.get(domain);
    if (world === undefined) worlds.set(domain, (world = new Map<string, Held>()));
    world.set(name, { id, createdAt, bytes });
  }
  return worlds;
}

function isSame(held: Held, expected: Held): boolean {
  return (
    (expected.id === undefined || held.id === expected.id) &&
    (expected.createdAt === undefined || held.createdAt === expected.createdAt) &&
    held.bytes.length === expected.bytes.length
  );
}

/** Whether each byte is that of one world or the other, and all else is equal. */
function isMixed(found: World, before: World, after: World): boolean {
  if (found.size !== after.size) return false;
  for (const [key, held] of found) {
    const [one, other] = [before.get(key), after.get(key)];
    if (one === undefined || other === undefined || !isSame(held, other)) return false;
    if (!held.bytes.every((byte, at) => byte === one.bytes[at] || byte === other.bytes[at])) return false;
  }
  return true;
}
