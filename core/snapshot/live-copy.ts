/**
 * Copies a target into a snapshot while it serves, so that the copy shows the target at one moment.
 *
 * A change gate (change-gate.ts) reports every change. The first pass copies all regions. Each
 * later pass copies again what has changed since. When little is left, changes are held for a
 * moment and the rest is copied. That is the moment of the snapshot: every region, every name and
 * every erased ID is as it was then. If the rest takes too long, changes continue, and so do the
 * passes.
 *
 * Memory: pieces that are in flight, a number for each region, and a number for each piece of
 * regions that are larger than a piece.
 */
import { setTimeout as pass } from 'node:timers/promises';
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target } from '../contract/target.js';
import type { ChangeListener, ChangeWatch } from '../targets/change-gate.js';
import { erasedPages, regionsOf } from '../targets/copy.js';

/** Bytes that are read and written at once. */
export const PIECE_BYTES = 2 ** 18;
/** How many pieces are copied at once, by default. */
const WORKERS = 32;
/** If no more than this is left, changes are held for the last pass. */
const FEW_PIECES = 256;
const FEW_REGIONS = 256;
/** After this many passes, changes are held even if they come as fast as they are copied. */
const MAX_PASSES = 8;
/** How often the last pass may take too long. */
const MAX_HOLDS = 5;
const QUIET_MS = 1000;

/** A target that can be copied while it serves: a BaseTarget of any copy of the package. */
export interface Watchable extends Target {
  watchChanges(listener: ChangeListener): ChangeWatch;
}

export function isWatchable(target: Target): target is Watchable {
  return typeof (target as Partial<Record<'watchChanges', unknown>>).watchChanges === 'function';
}

/** Receives the copy. What is given again replaces what was given before. */
export interface CopySink {
  /** Takes a piece of a region, which begins at a multiple of PIECE_BYTES. */
  write(id: RegionId, offset: number, bytes: Uint8Array): Promise<void>;
  /** All pieces of the region were given; `stat` is its present state. */
  region(stat: RegionStat): Promise<void>;
  /** The region is gone; its ID must never be given out again. */
  gone(id: RegionId): void;
}

export interface LiveCopyOptions {
  signal: AbortSignal;
  /** How long changes may be held for the last pass, milliseconds. */
  maxHoldMs: number;
  /** How many pieces are copied at once. */
  inFlight?: number | undefined;
}

export interface LiveCopyResult {
  /** The moment that the copy shows, milliseconds since the epoch. */
  takenAt: number;
  passes: number;
  /** How long changes were held, milliseconds. */
  holdMs: number;
}

/** What has changed of a region: everything, or some of its pieces. */
interface Change {
  readonly id: RegionId;
  /** undefined: all pieces. */
  pieces: Set<number> | undefined;
}

/**
 * @throws TIMEOUT (changes in flight, or mappings, did not end; or the last pass took too long
 *   every time), TARGET_CLOSED, what the sink throws, what the signal was aborted with
 */
export async function copyLive(
  target: Watchable,
  sink: CopySink,
  { signal, maxHoldMs, inFlight = WORKERS }: LiveCopyOptions,
): Promise<LiveCopyResult> {
  let changes = new Map<string, Change>();
  /** Why changes could not be held the last time. */
  let unquiet: BedrockError | undefined;
  const watch = target.watchChanges({
    wrote(id, offset, size) {
      const change = changeOf(changes, id);
      if (size === 0) return;
      const last = Math.floor((offset + size - 1) / PIECE_BYTES);
      if (last - Math.floor(offset / PIECE_BYTES) > 4096) change.pieces = undefined;
      for (let piece = Math.floor(offset / PIECE_BYTES); piece <= last; piece++) change.pieces?.add(piece);
    },
    changed(id) {
      changeOf(changes, id).pieces = undefined;
    },
  });
  const take = (): Change[] => {
    const taken = [...changes.values()];
    changes = new Map();
    return taken;
  };
  try {
    for await (const ids of erasedPages(target)) for (const id of ids) sink.gone(id);
    const work = { ended: signal, inFlight };
    await forAll(regionsOf(target), work, (stat) =>
      copyRegion(target, sink, { id: stat.id, pieces: undefined }, signal),
    );
    let passes = 1;
    for (let holds = 0; ;) {
      while (passes < MAX_PASSES * (holds + 1) && !isLittle(changes)) {
        await forAll(take(), work, (change) => copyRegion(target, sink, change, signal));
        passes++;
      }
      const held = await copyHeld();
      passes++;
      if (held !== undefined) return { ...held, passes };
      if (++holds === MAX_HOLDS)
        throw (
          unquiet ??
          new BedrockError(
            'TIMEOUT',
            `the target changes faster than it can be copied: the last pass took more than ${maxHoldMs} ms each of ${MAX_HOLDS} times; allow more by max_hold_ms, or take the snapshot when less is written`,
          )
        );
    }
  } finally {
    watch.end();
  }

  /** Copies the rest while changes are held. @returns undefined if that takes too long */
  async function copyHeld(): Promise<Omit<LiveCopyResult, 'passes'> | undefined> {
    const begun = performance.now();
    try {
      await watch.hold(Math.min(QUIET_MS, maxHoldMs));
    } catch (error) {
      if (!(error instanceof BedrockError) || error.code !== 'TIMEOUT') throw error;
      unquiet = error;
      return undefined;
    }
    const rest = take();
    const late = new AbortController();
    const timer = pass(maxHoldMs, undefined, { signal: late.signal, ref: false }).then(
      () => late.abort(),
      () => undefined,
    );
    const either = AbortSignal.any([signal, late.signal]);
    try {
      await forAll(rest, { ended: either, inFlight }, (change) => copyRegion(target, sink, change, either));
      return { takenAt: Date.now(), holdMs: performance.now() - begun };
    } catch (error) {
      signal.throwIfAborted();
      if (!late.signal.aborted) throw error;
      // The next pass copies all of these again, whether or not they were copied in this one.
      for (const { id } of rest) changeOf(changes, id).pieces = undefined;
      return undefined;
    } finally {
      watch.release();
      late.abort();
      await timer;
    }
  }
}

function changeOf(changes: Map<string, Change>, id: RegionId): Change {
  const key = id.toString();
  let change = changes.get(key);
  if (change === undefined) changes.set(key, (change = { id, pieces: new Set() }));
  return change;
}

function isLittle(changes: ReadonlyMap<string, Change>): boolean {
  if (changes.size > FEW_REGIONS) return false;
  let pieces = 0;
  for (const change of changes.values()) pieces += change.pieces?.size ?? 1;
  return pieces <= FEW_PIECES;
}

async function copyRegion(
  target: Watchable,
  sink: CopySink,
  { id, pieces }: Change,
  signal: AbortSignal,
): Promise<void> {
  try {
    const stat = await target.stat(id);
    const { size } = stat;
    const count = Math.ceil(size / PIECE_BYTES);
    for (const piece of pieces ?? numbers(count)) {
      signal.throwIfAborted();
      if (piece >= count) continue;
      const offset = piece * PIECE_BYTES;
      const bytes = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - offset));
      await target.readInto(id, offset, bytes);
      await sink.write(id, offset, bytes);
    }
    await sink.region(stat);
  } catch (error) {
    // The region was erased. The change is recorded, or its last change has already found this.
    if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
    sink.gone(id);
  }
}

function* numbers(count: number): Generator<number> {
  for (let number = 0; number < count; number++) yield number;
}

/**
 * Works on all items, many at a time. The first failure stops the rest, and is thrown when all work
 * in progress has ended.
 */
export async function forAll<T>(
  items: AsyncGenerator<T> | Iterable<T>,
  { ended, inFlight }: { ended: AbortSignal; inFlight: number },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    try {
      while (failure === undefined) {
        ended.throwIfAborted();
        const next = await iterator.next();
        if (next.done === true) return;
        await work(next.value);
      }
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  if (failure !== undefined) throw failure.error;
}
