/**
 * The object of a catalog: reads of its keys, and conditional writes. A write is one operation of
 * the cluster, made as a whole or not at all, and only if every key has the value that is expected.
 */
import { BedrockError } from '../../core/index.js';
import type { WriteStep } from './addon.js';
import { ABSENT, type Objects, type Pairs } from './cluster.js';
import { type Count, countOf, KINDS } from './catalog-entries.js';

const OBJECT = 'catalog';
const PAGE_KEYS = 1000;
const NOTHING = Buffer.alloc(0);

/** What a write expects to find, and what it does. */
export interface Keys {
  /** Values that keys must have; undefined: the key is absent. */
  readonly expect?: ReadonlyMap<string, string | undefined>;
  readonly set?: ReadonlyMap<string, string>;
  readonly remove?: readonly string[];
  /** Kinds of which all keys are removed, before anything is set. */
  readonly removeKinds?: readonly string[];
}

export class CatalogObject {
  constructor(protected readonly objects: Objects) {}

  /** Makes the object, with keys. Does nothing if it is there. */
  async make(keys: ReadonlyMap<string, string>): Promise<void> {
    await this.objects.write(OBJECT, [['create'], ['omapSet', pairsOf(keys)]]);
  }

  /** The values of those keys that are there. @throws OVERLOADED, POOL_NOT_FOUND */
  async get(keys: readonly string[]): Promise<Map<string, string>> {
    const { status, results } = await this.objects.read(OBJECT, [
      ['omapGet', keys.map((key) => Buffer.from(key))],
    ]);
    if (status === ABSENT) throw gone();
    return mapOf(results[0] as Pairs);
  }

  /** The value of one key. @throws OVERLOADED, POOL_NOT_FOUND */
  async value(key: string): Promise<string | undefined> {
    return (await this.get([key])).get(key);
  }

  /** Keys of a kind or prefix after another, in the order of their bytes. @throws OVERLOADED, POOL_NOT_FOUND */
  async page(
    prefix: string,
    after: Buffer,
    limit: number,
  ): Promise<{ entries: [key: string, value: string][]; more: boolean }> {
    const most = Math.min(limit, PAGE_KEYS);
    const step = ['omapPage', after, Buffer.from(prefix), most] as const;
    const { status, results } = await this.objects.read(OBJECT, [step]);
    if (status === ABSENT) throw gone();
    const found = results[0] as Pairs;
    return { entries: [...mapOf(found)], more: found.more };
  }

  /** All keys of a kind. */
  async all(kind: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    let after = NOTHING;
    for (;;) {
      const { entries, more } = await this.page(kind, after, PAGE_KEYS);
      for (const [key, value] of entries) found.set(key, value);
      const last = entries.at(-1);
      if (!more || last === undefined) return found;
      after = Buffer.from(last[0]);
    }
  }

  /** Regions and bytes of all daemons. */
  async total(): Promise<Count> {
    let total: Count = { regions: 0, bytes: 0, change: 0 };
    for (const [key, value] of await this.all(KINDS.count)) total = added(total, countOf(key, value));
    return total;
  }

  /** @returns 0, or CONDITION or ABSENT: then nothing was written @throws OVERLOADED */
  write({ expect, set, remove, removeKinds }: Keys): Promise<number> {
    const steps: WriteStep[] = [['assertExists']];
    for (const [key, value] of expect ?? [])
      steps.push(['omapCompare', Buffer.from(key), value === undefined ? NOTHING : Buffer.from(value)]);
    for (const kind of removeKinds ?? []) steps.push(['omapRemoveRange', Buffer.from(kind), after(kind)]);
    if (remove !== undefined && remove.length > 0)
      steps.push(['omapRemove', remove.map((key) => Buffer.from(key))]);
    if (set !== undefined && set.size > 0) steps.push(['omapSet', pairsOf(set)]);
    return this.objects.write(OBJECT, steps);
  }
}

export function added(one: Count, other: Count): Count {
  return {
    regions: one.regions + other.regions,
    bytes: one.bytes + other.bytes,
    change: one.change + other.change,
  };
}

export function gone(): BedrockError {
  return new BedrockError(
    'POOL_NOT_FOUND',
    'the namespace has no catalog: it was destroyed, or its pool was emptied',
  );
}

/** What comes after all keys of a kind. */
function after(kind: string): Buffer {
  return Buffer.from([kind.charCodeAt(0) + 1]);
}

function pairsOf(entries: ReadonlyMap<string, string>): Buffer[] {
  return [...entries].flatMap(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
}

function mapOf({ pairs }: Pairs): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) found.set(String(pairs[at]), String(pairs[at + 1]));
  return found;
}
