/**
 * The keys and values of a namespace's catalog, the object that says which regions there are. All are text:
 *
 * | key | value | meaning |
 * |---|---|---|
 * | `p` | JSON | settings of the namespace: format, pool id, bytes of a stripe, whether it is being filled |
 * | `e` | number | the next epoch |
 * | `m` | epoch | the daemon of that epoch serves alone: no other one may join |
 * | `c` epoch | regions, bytes, number of the change | what the daemon of that epoch has added; `c00000000` is the sum of those that ended |
 * | `d` epoch | `1` | a daemon that died: there may be objects that belong to no region |
 * | `i` slot | generation, size, time, name | a region |
 * | `x` slot | generation, epoch | a slot without a region: its last generation, and who may use it |
 * | `s` | number | slots from here on were never claimed in a block |
 * | `n` name | id, size, time | the region that has a name |
 * | `g` id | size | an erased region, whose objects are to be removed |
 *
 * A RegionId is a slot, a generation of the slot, and the id of the namespace. An `id` here is its
 * first half, 16 hexadecimal digits. A daemon makes a region in a slot that it has claimed, with
 * the generation after the last one. No generation of a slot is given twice, so no ID is. Slots are
 * few and used again, so that targets that have a table of slots can take over the IDs.
 *
 * librados takes no zero bytes in keys. In names the byte 0 is 1 1, and 1 is 1 2, which keeps their
 * order and their prefixes.
 */
import { BedrockError, RegionId } from '../../core/index.js';

/** Settings of a namespace, made when it is first opened. */
export interface Settings {
  readonly format: number;
  /** 16 hexadecimal digits: bytes 8 to 15 of every ID. */
  readonly poolId: string;
  readonly stripeBytes: number;
  /** Whether the regions of another target are being brought in. */
  readonly isFilling?: true;
}

/** The format that this version reads and writes. */
export const FORMAT = 2;

/** A region as the catalog has it. */
export interface Entry {
  /** 16 hexadecimal digits. */
  readonly key: string;
  readonly size: number;
  readonly createdAt: number;
  readonly name?: string;
}

/** What a daemon has added to a namespace. */
export interface Count {
  readonly regions: number;
  readonly bytes: number;
  /** Number of its last change. */
  readonly change: number;
}

/** The kinds of keys, by their first character. */
export const KINDS = {
  settings: 'p',
  epoch: 'e',
  count: 'c',
  dead: 'd',
  region: 'i',
  vacant: 'x',
  slots: 's',
  alone: 'm',
  name: 'n',
  garbage: 'g',
} as const;

/** Where the counts of daemons that have ended are added up. */
export const SUM_EPOCH = 0;

/** The half of an ID that is its key in the catalog. */
export function keyOf(id: RegionId): string {
  return id.toString().slice(0, 16);
}

export function idOf(key: string, poolId: string): RegionId {
  return RegionId.parse(key + poolId);
}

/** The slot and the generation in the key of a region. */
export function partsOf(key: string): { slot: number; generation: number } {
  const { slot, generation } = RegionId.parse(key + '0'.repeat(16));
  return { slot, generation };
}

export function keyOfParts(slot: number, generation: number): string {
  return RegionId.of(slot, generation, 0, 0).toString().slice(0, 16);
}

/** The `i` or `x` key of a slot. */
export function slotKey(kind: 'i' | 'x', slot: number): string {
  return kind + slot.toString(16).padStart(8, '0');
}

/** The `i` key of a region. */
export function regionKey(key: string): string {
  return slotKey(KINDS.region, partsOf(key).slot);
}

/** The slot that an `i` or `x` key is of. */
export function slotOfKey(key: string): number {
  return Number.parseInt(key.slice(1), 16);
}

export function epochKey(kind: 'c' | 'd', epoch: number): string {
  return kind + epoch.toString(16).padStart(8, '0');
}

/** The epoch that a `c` or `d` key is of. */
export function epochOfKey(key: string): number {
  return Number.parseInt(key.slice(1), 16);
}

/** The `n` key of a name, or of the beginning of names. */
export function nameKey(name: string): string {
  return KINDS.name + name.replaceAll('\u0001', '\u0001\u0002').replaceAll('\0', '\u0001\u0001');
}

/** The name of an `n` key. */
export function nameOfKey(key: string): string {
  // In this order: a 1 begins a pair, and is the second of none but 1 1.
  return key.slice(1).replaceAll('\u0001\u0001', '\0').replaceAll('\u0001\u0002', '\u0001');
}

export function regionValue({ key, size, createdAt, name }: Entry): string {
  return `${partsOf(key).generation} ${size} ${createdAt}${name === undefined ? '' : ` ${name}`}`;
}

/** @throws INTERNAL for a value that this version does not write */
export function regionOf(key: string, value: string): Entry {
  const found = /^(\d+) (\d+) (\d+)(?: (.*))?$/s.exec(value);
  if (found === null) throw damaged(key);
  const [, generation, size, createdAt, name] = found;
  return {
    key: keyOfParts(slotOfKey(key), Number(generation)),
    size: Number(size),
    createdAt: Number(createdAt),
    ...(name !== undefined && { name }),
  };
}

/** A slot without a region. */
export interface Vacancy {
  readonly slot: number;
  /** Of the last region, or of one that will never be there; 0: there was none. */
  readonly generation: number;
  /** The daemon that may make a region there; 0: none. */
  readonly epoch: number;
}

export function vacantValue({ generation, epoch }: Omit<Vacancy, 'slot'>): string {
  return `${generation} ${epoch}`;
}

/** @throws INTERNAL for a value that this version does not write */
export function vacancyOf(key: string, value: string): Vacancy {
  const found = /^(\d+) (\d+)$/.exec(value);
  if (found === null) throw damaged(key);
  return { slot: slotOfKey(key), generation: Number(found[1]), epoch: Number(found[2]) };
}

export function namedValue({ key, size, createdAt }: Entry): string {
  return `${key} ${size} ${createdAt}`;
}

/** @throws INTERNAL for a value that this version does not write */
export function namedOf(key: string, value: string): Entry & { readonly name: string } {
  const found = /^([0-9a-f]{16}) (\d+) (\d+)$/.exec(value);
  if (found === null) throw damaged(key);
  const [, id = '', size, createdAt] = found;
  return { key: id, size: Number(size), createdAt: Number(createdAt), name: nameOfKey(key) };
}

export function countValue({ regions, bytes, change }: Count): string {
  return `${regions} ${bytes} ${change}`;
}

/** @throws INTERNAL for a value that this version does not write */
export function countOf(key: string, value: string | undefined): Count {
  const [regions, bytes, change] = (value ?? '0 0 0').split(' ').map(Number);
  if (
    regions === undefined ||
    bytes === undefined ||
    change === undefined ||
    Number.isNaN(regions + bytes + change)
  )
    throw damaged(key);
  return { regions, bytes, change };
}

/** @throws POOL_CORRUPT */
export function settingsOf(value: string): Settings {
  let settings: Partial<Settings> = {};
  try {
    settings = JSON.parse(value) as Partial<Settings>;
  } catch {
    // Refused below.
  }
  const { format, poolId, stripeBytes, isFilling } = settings;
  if (format !== FORMAT || typeof poolId !== 'string' || typeof stripeBytes !== 'number')
    throw new BedrockError(
      'POOL_CORRUPT',
      `the namespace has format ${String(format)}, and this version reads ${FORMAT}`,
    );
  return { format, poolId, stripeBytes, ...(isFilling === true && { isFilling }) };
}

function damaged(key: string): BedrockError {
  return new BedrockError('INTERNAL', `the entry ${JSON.stringify(key)} of the catalog is damaged`);
}
