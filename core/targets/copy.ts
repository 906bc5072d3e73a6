/**
 * Copies one importable target into another: first erased IDs, then regions under their IDs. It
 * uses the contract alone, so it works between any two backends.
 *
 * Many regions are copied at once, so that their waits for the disk overlap. Each is copied in
 * pieces, so that memory use does not depend on its size. A region whose bytes cannot be read does
 * not stop the copy: it is reported, and its ID becomes an erased one.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target } from '../contract/target.js';

const IN_FLIGHT = 256;
/** All pieces in flight together are at most 16 MiB. */
const COPY_PIECE_BYTES = 2 ** 16;

export interface CopyWatch {
  /** Stops the work; its reason is thrown. */
  signal: AbortSignal;
  /** Called as bytes are done. */
  onBytes: (count: number) => void;
}

export interface CopyReport {
  regions: number;
  bytes: number;
  /** Slots whose erased IDs were handed over. */
  erased: number;
  /** Regions that could not be read, and are not in the copy. */
  unreadable: { id: RegionId; reason: string }[];
}

/** @param to open, without regions, made with the pool id of `from` */
export async function copyRegions(from: Target, to: Target, watch: CopyWatch): Promise<CopyReport> {
  const report: CopyReport = { regions: 0, bytes: 0, erased: 0, unreadable: [] };
  // In the order of their slots, so that each finds those before it.
  for await (const ids of erasedPages(from)) {
    watch.signal.throwIfAborted();
    await to.importErased(ids);
    report.erased += ids.length;
  }
  await forAll(regionsOf(from), watch.signal, async ({ id, size, createdAt, name }, signal) => {
    const source = piecesOf(from, { id, size }, signal, watch.onBytes);
    try {
      await to.importRegion(id, { size, source }, { createdAt, ...(name !== undefined && { name }) });
    } catch (error) {
      if (!(error instanceof UnreadableRegion)) throw error;
      await to.importErased([id]);
      report.unreadable.push({ id, reason: error.message });
      return;
    }
    report.regions++;
    report.bytes += size;
  });
  return report;
}

/**
 * Compares sizes, times, names and bytes of all regions, except those that are left out.
 * @throws INTERNAL for the first difference
 */
export async function compareRegions(
  from: Target,
  to: Target,
  leftOut: readonly { id: RegionId }[],
  { signal: ended, onBytes }: CopyWatch,
): Promise<void> {
  const without = new Set(leftOut.map(({ id }) => id.toString()));
  await forAll(regionsOf(from), ended, async ({ id, size, createdAt, name }, signal) => {
    if (without.has(id.toString())) return;
    const copy = await to.stat(id);
    if (copy.size !== size || copy.createdAt !== createdAt) throw differs(id, 'size or time');
    if (copy.name !== name) throw differs(id, 'the name');
    let offset = 0;
    for await (const piece of piecesOf(from, { id, size }, signal, onBytes)) {
      if (Buffer.compare(piece, await to.read(id, offset, piece.length)) !== 0)
        throw differs(id, `the bytes from ${offset} on`);
      offset += piece.length;
    }
  });
}

/** Every region, by pages. */
export async function* regionsOf(target: Target): AsyncGenerator<RegionStat> {
  let after: RegionId | undefined;
  do {
    const page = await target.list(after === undefined ? {} : { after });
    yield* page.regions;
    after = page.next;
  } while (after !== undefined);
}

/** The IDs of erased regions, page by page. */
export async function* erasedPages(target: Target): AsyncGenerator<readonly RegionId[]> {
  let after: RegionId | undefined;
  do {
    const page = await target.listErased(after === undefined ? {} : { after });
    if (page.ids.length > 0) yield page.ids;
    after = page.next;
  } while (after !== undefined);
}

class UnreadableRegion extends Error {
  override readonly name = 'UnreadableRegion';
}

async function* piecesOf(
  target: Target,
  { id, size }: Pick<RegionStat, 'id' | 'size'>,
  signal: AbortSignal,
  onBytes: CopyWatch['onBytes'],
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < size; offset += COPY_PIECE_BYTES) {
    signal.throwIfAborted();
    const length = Math.min(COPY_PIECE_BYTES, size - offset);
    const piece = await target.read(id, offset, length).catch((cause: unknown) => {
      throw new UnreadableRegion(`region ${id.toString()} cannot be read: ${messageOf(cause)}`, { cause });
    });
    yield piece;
    onBytes(length);
  }
}

/**
 * Works on all items, many at a time. The first failure stops the rest, and is thrown when all work
 * in progress has ended.
 */
async function forAll<T>(
  items: AsyncGenerator<T>,
  ended: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([ended, failed.signal]);
  const worker = async (): Promise<void> => {
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = await items.next();
        if (next.done === true) return;
        await work(next.value, signal);
      }
    } catch (error) {
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  signal.throwIfAborted();
}

function differs(id: RegionId, what: string): BedrockError {
  return new BedrockError('INTERNAL', `the copy of region ${id.toString()} differs: ${what}`);
}
