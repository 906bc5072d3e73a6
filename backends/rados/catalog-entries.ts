/**
 * The keys and values of a namespace's catalog, the object that says which regions there are. All are text:
 *
 * | key | value | meaning |
 * |---|---|---|
 * | `p` | JSON | settings of the namespace: format, pool id, bytes of a stripe |
 * | `e` | number | the next epoch |
 * | `c` epoch | regions, bytes, number of the change | what the daemon of that epoch has added; `c00000000` is the sum of those that ended |
 * | `d` epoch | `1` | a daemon that died: objects of its epoch without an entry are garbage |
 * | `i` id | size, time, name | a region |
 * | `n` name | id, size, time | the region that has a name |
 * | `g` id | size | an erased region, whose objects are to be removed |
 *
 * An id is the first half of a RegionId, 16 hexadecimal digits: the sequence number and the epoch
 * of the daemon that made it. No epoch is given twice, so no ID is. The other half is the id of the
 * namespace.
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
}

/** The format that this version reads and writes. */
export const FORMAT = 1;

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

/** The epoch in the key of a region. */
export function epochOf(key: string): number {
  return RegionId.parse(key + '0'.repeat(16)).generation;
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

export function regionValue({ size, createdAt, name }: Omit<Entry, 'key'>): string {
  return `${size} ${createdAt}${name === undefined ? '' : ` ${name}`}`;
}

/** @throws INTERNAL for a value that this version does not write */
export function regionOf(key: string, value: string): Entry {
  const found = /^(\d+) (\d+)(?: (.*))?$/s.exec(value);
  if (found === null) throw damaged(key);
  const [, size, createdAt, name] = found;
  return {
    key: key.slice(1),
    size: Number(size),
    createdAt: Number(createdAt),
    ...(name !== undefined && { name }),
  };
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
  const { format, poolId, stripeBytes } = settings;
  if (format !== FORMAT || typeof poolId !== 'string' || typeof stripeBytes !== 'number')
    throw new BedrockError(
      'POOL_CORRUPT',
      `the namespace has format ${String(format)}, and this version reads ${FORMAT}`,
    );
  return { format, poolId, stripeBytes };
}

function damaged(key: string): BedrockError {
  return new BedrockError('INTERNAL', `the entry ${JSON.stringify(key)} of the catalog is damaged`);
}
