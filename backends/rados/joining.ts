/**
 * How a daemon joins those that serve a namespace: it takes an epoch that nobody has had, and a
 * count of its own in the catalog. While another one serves alone (exclusive.ts), it waits: until
 * that has ended, or shows no sign of life for the time of a lease and is taken out.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError } from '../../core/index.js';
import { ABSENT, CONDITION } from './cluster.js';
import { added, type CatalogObject, gone } from './catalog-object.js';
import {
  type Count,
  countOf,
  countValue,
  epochKey,
  epochOfKey,
  KINDS,
  settingsOf,
  SUM_EPOCH,
} from './catalog-entries.js';

const RETRY_MS = 250;

/** How long a daemon may show no sign of life. */
export const LEASE_MS = 45_000;

export const NO_COUNT: Count = { regions: 0, bytes: 0, change: 0 };

export interface JoinOptions {
  /** The settings that the namespace must have. */
  readonly settings: string;
  /** How long to wait for one that lives. */
  readonly patienceMs: number;
  readonly leaseMs: number;
}

/**
 * Takes an epoch. If the namespace is being filled, this daemon then serves it alone.
 * @throws POOL_NOT_FOUND if this is no longer the namespace that was opened, POOL_IN_USE
 */
export async function join(
  catalog: CatalogObject,
  { settings, patienceMs, leaseMs }: JoinOptions,
): Promise<number> {
  for (;;) {
    const found = await catalog.get([KINDS.epoch, KINDS.settings, KINDS.alone]);
    if (found.get(KINDS.settings) !== settings) throw gone();
    const alone = found.get(KINDS.alone);
    if (alone !== undefined && (await isServed(catalog, alone, patienceMs, leaseMs))) continue;
    const text = found.get(KINDS.epoch);
    const epoch = Number(text);
    const set = new Map([
      [KINDS.epoch, String(epoch + 1)],
      [epochKey('c', epoch), countValue(NO_COUNT)],
    ]);
    const isFilling = settingsOf(settings).isFilling === true;
    if (isFilling) set.set(KINDS.alone, String(epoch));
    const status = await catalog.write({
      expect: new Map([
        [KINDS.epoch, text],
        [KINDS.settings, settings],
        [KINDS.alone, alone],
      ]),
      set,
      remove: alone === undefined || isFilling ? [] : [KINDS.alone],
    });
    if (status === CONDITION) continue;
    if (status === ABSENT) throw gone();
    return epoch;
  }
}

/**
 * Waits while a daemon serves alone.
 * @returns whether something has changed: look again. Otherwise that daemon has ended
 * @throws POOL_IN_USE
 */
async function isServed(
  catalog: CatalogObject,
  alone: string,
  patienceMs: number,
  leaseMs: number,
): Promise<boolean> {
  const count = epochKey('c', Number(alone));
  const begun = performance.now();
  const first = await catalog.value(count);
  if (first === undefined) return false;
  for (;;) {
    const found = await catalog.get([KINDS.alone, count]);
    if (found.get(KINDS.alone) !== alone) return true;
    const waited = performance.now() - begun;
    const now = found.get(count);
    if (now === undefined) return false;
    if (now !== first && waited >= patienceMs)
      throw new BedrockError(
        'POOL_IN_USE',
        'another daemon serves this namespace alone: it brings regions in, or copies them; open it when that has ended',
      );
    if (now === first && waited >= leaseMs) {
      await takeOut(catalog, count, first, (keys) => catalog.write(keys));
      return true;
    }
    await delay(Math.min(RETRY_MS, leaseMs));
  }
}

/**
 * Ends the part of a daemon that shows no sign of life: it can change nothing any more.
 * @param value what its count has been for the time of a lease
 */
export async function takeOut<T>(
  catalog: CatalogObject,
  count: string,
  value: string,
  write: (keys: {
    expect: Map<string, string | undefined>;
    set: Map<string, string>;
    remove: string[];
  }) => Promise<T>,
): Promise<T> {
  const sum = epochKey('c', SUM_EPOCH);
  const before = await catalog.value(sum);
  const total = added(countOf(sum, before), countOf(count, value));
  return write({
    expect: new Map([
      [count, value],
      [sum, before],
    ]),
    set: new Map([
      [sum, countValue(total)],
      [epochKey('d', epochOfKey(count)), '1'],
    ]),
    remove: [count],
  });
}
