/**
 * Tools for checking the rules of the contract: error codes, bytes, work in flight, and snapshots
 * of a whole target.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { types } from 'node:util';
import type { ErrorCode } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target, TargetState } from '../contract/target.js';
import { BrokenRule, failureInWords, holds, inWords, is, sameFigures, sameList } from './findings.js';

/** How long a promise is watched before it counts as pending. */
const PENDING_MS = 20;
/** How long to wait for an effect that may come a little later. */
const PATIENCE_MS = 5000;

/** A prime, so that no two pages, sectors or segments look alike. */
const NOISE_BYTES = 65_521;
/** Shift between the patterns of two consecutive seeds. */
const SEED_STEP = 7919;
const NOISE = makeNoise();

/** Asserts that a call fails with a code. @param what the call */
export async function rejects(call: Promise<unknown>, code: ErrorCode, what: string): Promise<void> {
  hasCode(await failureOf(call, code, what), code, what);
}

/** Asserts that a call fails with this very error object of the caller. */
export async function rejectsWith(call: Promise<unknown>, own: Error, what: string): Promise<void> {
  const failure = await failureOf(call, `the caller's own error`, what);
  const expected = `it to fail with the caller's own error (${own.message})`;
  if (failure !== own) throw new BrokenRule(what, failureInWords(failure), expected);
}

/** Asserts that an error has a code. */
export function hasCode(failure: unknown, code: ErrorCode, what: string): void {
  const found = (failure as { code?: unknown } | null | undefined)?.code;
  if (found !== code) throw new BrokenRule(what, failureInWords(failure), `it to fail with ${code}`);
}

/** The error of a call; asserts that it failed. @param how the expected failure, in words */
export async function failureOf(call: Promise<unknown>, how: string, what: string): Promise<unknown> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (outcome === undefined) throw new BrokenRule(what, 'that it succeeded', `it to fail with ${how}`);
  return outcome.error;
}

/** Asserts the state of a target. */
export function inState(target: Target, state: TargetState, when: string): void {
  is(target.state, state, `the state of the target ${when}`);
}

/** Asserts the number of regions in `stats`. */
export async function counts(target: Target, regions: number, when: string): Promise<void> {
  is((await target.stats()).regions, regions, `the regions that stats count ${when}`);
}

/** Asserts the number of used bytes. */
export async function uses(target: Target, usedBytes: number, when: string): Promise<void> {
  is((await target.stats()).usedBytes, usedBytes, `usedBytes of stats ${when}`);
}

/** Asserts that a promise has not settled. @param until what it must wait for */
export async function waits(call: Promise<unknown>, what: string, until: string): Promise<void> {
  if (!(await isPending(call)))
    throw new BrokenRule(what, 'that it has settled', `it to wait until ${until}`);
}

/** Bytes that depend on position and seed, none of them zero. */
export function pattern(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  let from = (seed * SEED_STEP) % NOISE.length;
  for (let at = 0; at < size; from = 0) {
    const piece = NOISE.subarray(from, from + size - at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The same bytes in every run, so that a failure can be repeated. */
function makeNoise(): Uint8Array {
  const { imul } = Math;
  let state = 1;
  return new Uint8Array(NOISE_BYTES).map(() => {
    state = (imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 24) % 255 || 255;
  });
}

/** Asserts that `actual` is a Uint8Array with exactly the bytes of `expected`. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  holds(types.isUint8Array(actual), what, actual, `a Uint8Array of ${expected.length} bytes`);
  if (actual.length !== expected.length)
    throw new BrokenRule(what, `${actual.length} bytes`, `${expected.length} bytes`);
  if (Buffer.compare(actual, expected) === 0) return;
  let at = 0;
  while (actual[at] === expected[at]) at++;
  throw new BrokenRule(what, `${inWords(actual[at])} at byte ${at}`, inWords(expected[at]));
}

export function allZero(actual: Uint8Array, what: string): void {
  sameBytes(actual, new Uint8Array(actual.length), what);
}

/** A call that is awaited later, or never if the test fails before: its failure must not end the process. */
export function inFlight<T>(call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  return call;
}

/** Whether a promise is still pending after a while. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => false,
    () => false,
  );
  return Promise.race([settled, delay(PENDING_MS, true)]);
}

/** Long enough for deferred work to happen. */
export async function aMoment(): Promise<void> {
  await delay(10);
  // However late the timer fires, work that was deferred to the next turns has had them.
  for (let count = 0; count < 3; count++) await turn();
}

/** Waits until a check passes; after the time limit, or `patienceMs` if that is less, throws its failure. */
export async function eventually(check: () => Promise<void>, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + Math.min(patienceMs, PATIENCE_MS);
  for (;;) {
    try {
      await check();
      return;
    } catch (failure) {
      if (performance.now() > deadline) throw failure;
      await delay(5);
    }
  }
}

/** Blocks waiters until it is opened. */
export class Gate {
  #open = (): void => undefined;
  /** Resolves when the gate is open. */
  readonly passed = new Promise<void>((resolve) => (this.#open = resolve));

  open(): void {
    this.#open();
  }
}

/** Yields the pieces, reports when the last one was taken, and waits at a gate before it ends. */
export async function* heldBack(
  pieces: readonly Uint8Array[],
  gate: Gate,
  taken = new Gate(),
): AsyncGenerator<Uint8Array> {
  yield* pieces;
  taken.open();
  await gate.passed;
}

/** Every region, by pages of `limit`, in the order of `list`. */
export async function listAll(target: Target, limit?: number): Promise<RegionStat[]> {
  const regions: RegionStat[] = [];
  const pages = new Set<string>();
  let after: RegionId | undefined;
  do {
    const page = await target.list({ ...(after && { after }), ...(limit !== undefined && { limit }) });
    regions.push(...page.regions);
    after = page.next;
    const place = after?.toString() ?? 'the end';
    holds(!pages.has(place), 'the next page that list names', `${place} a second time`, 'each only once');
    pages.add(place);
  } while (after !== undefined);
  return regions;
}

export async function listedIds(target: Target, limit?: number): Promise<string[]> {
  return (await listAll(target, limit)).map(({ id }) => id.toString());
}

/** What must be the same before and after a failing call. */
export interface Snapshot {
  readonly figures: Readonly<Record<'regions' | 'usedBytes' | 'capacityBytes' | 'largestFreeBytes', unknown>>;
  readonly regions: readonly {
    id: string;
    size: number;
    createdAt: number;
    name: string | undefined;
    contents: string;
  }[];
}

/** A target as callers see it: figures, regions and all their bytes. */
export async function snapshotOf(target: Target): Promise<Snapshot> {
  const stats = await target.stats();
  const regions = [];
  for (const { id, size, createdAt, name } of await listAll(target)) {
    const contents = Buffer.from(await target.read(id, 0, size)).toString('latin1');
    regions.push({ id: id.toString(), size, createdAt, name, contents });
  }
  const { usedBytes, capacityBytes } = stats;
  // Without a limit of its own the target does not determine what is free.
  const largestFreeBytes = capacityBytes === null ? null : stats.largestFreeBytes;
  return { figures: { regions: stats.regions, usedBytes, capacityBytes, largestFreeBytes }, regions };
}

/** Asserts that a target is unchanged. @param when what may have changed it */
export async function isUnchanged(target: Target, before: Snapshot, when: string): Promise<void> {
  const now = await snapshotOf(target);
  sameRegions(now.regions, before.regions, when);
  sameFigures(now.figures, before.figures, `the stats ${when}`);
}

/** Asserts that regions are the same, in order, with the same sizes, times and bytes. */
export function sameRegions(found: Snapshot['regions'], expected: Snapshot['regions'], when: string): void {
  const ids = (regions: Snapshot['regions']): string[] => regions.map(({ id }) => id);
  sameList(ids(found), ids(expected), `the regions ${when}`);
  for (const [at, { contents, ...stat }] of expected.entries()) {
    const region = found[at] ?? { contents: '' };
    sameFigures(region, stat, `region ${stat.id} ${when}`);
    const [bytes, old] = [region.contents, contents].map((text) => Buffer.from(text, 'latin1'));
    sameBytes(bytes as Buffer, old as Buffer, `the bytes of region ${stat.id} ${when}`);
  }
}

/** Runs calls that must leave the target unchanged. */
export async function changesNothing(target: Target, calls: () => Promise<void>): Promise<void> {
  const before = await snapshotOf(target);
  await calls();
  await isUnchanged(target, before, 'after calls that must change nothing');
}

/** Every call on a region. None of them would fail on a live region of 16 bytes or more. */
export function callsOn(target: Target, id: RegionRef): [name: string, call: () => Promise<unknown>][] {
  const bytes = pattern(8);
  return [
    ['read', () => target.read(id, 0, 8)],
    ['read of no bytes', () => target.read(id, 0, 0)],
    ['readInto', () => target.readInto(id, 0, new Uint8Array(8))],
    ['readv', () => target.readv(id, [{ offset: 0, size: 8 }])],
    ['readv of no ranges', () => target.readv(id, [])],
    ['write', () => target.write(id, 0, bytes)],
    ['write of no bytes', () => target.write(id, 0, new Uint8Array(0))],
    ['write with persist', () => target.write(id, 0, bytes, { persist: true })],
    ['writev', () => target.writev(id, [{ offset: 0, size: 8 }], bytes)],
    ['writev of no ranges', () => target.writev(id, [], new Uint8Array(0))],
    ['persist', () => target.persist(id)],
    ['persist of ranges', () => target.persist(id, [{ offset: 0, size: 8 }])],
    ['stat', () => target.stat(id)],
    ...(target.capabilities.mappable
      ? [['map', async () => (await target.map(id)).release()] as [string, () => Promise<unknown>]]
      : []),
    ['erase', () => target.erase(id)],
  ];
}

/** Asserts that every call on a region fails with a code. */
export async function refusesAllCalls(
  target: Target,
  id: RegionRef,
  code: ErrorCode,
  whose: string,
): Promise<void> {
  for (const [name, call] of callsOn(target, id)) await rejects(call(), code, `${name} with ${whose}`);
}
