/**
 * Copies one importable target into another: erased IDs, then regions under their IDs. Works through the contract alone, so between
 * any two backends.
 *
 * Many regions are under way at once, so that those who wait for the disk wait together; each passes in pieces, so that memory stays
 * the same for any size. A region whose bytes cannot be read costs no other: it is named, and its ID becomes an erased one.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target } from '../contract/target.js';

const IN_FLIGHT = 256;
/** In flight at once they are at most 16 MiB. */
const PIECE_BYTES = 2 ** 16;

export interface CopyWatch {
  /** Ends the work with its reason. */
  signal: AbortSignal;
  /** Is told of bytes as they are done. */
  onBytes: (count: number) => void;
}

export interface CopyReport {
  regions: number;
  bytes: number;
  /** Places whose erased IDs were handed over. */
  erased: number;
  /** Regions that could not be read, and are not in the copy. */
  unreadable: { id: RegionId; reason: string }[];
}

/** @param to open, without regions, made with the pool id of `from` */
export async function copyRegions(from: Target, to: Target, watch: CopyWatch): Promise<CopyReport> {
  const report: CopyReport = { regions: 0, bytes: 0, erased: 0, unreadable: [] };
  // In order of their places, so that each finds those before it.
  for await (const ids of erasedPages(from)) {
    watch.signal.throwIfAborted();
    await to.importErased(ids);
    report.erased += ids.length;
  }
  await forAll(regionsOf(from), watch.signal, async ({ id, size, createdAt }, signal) => {
    const source = piecesOf(from, { id, size }, signal, watch.onBytes);
    try {
      await to.importRegion(id, { size, source }, { createdAt });
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
 * Compares sizes, times and bytes of all regions but those that are left out.
 * @throws INTERNAL for the first that differs
 */
export async function compareRegions(
  from: Target,
  to: Target,
  leftOut: readonly { id: RegionId }[],
  { signal: ended, onBytes }: CopyWatch,
): Promise<void> {
  const without = new Set(leftOut.map(({ id }) => id.toString()));
  await forAll(regionsOf(from), ended, async ({ id, size, createdAt }, signal) => {
    if (without.has(id.toString())) return;
    const copy = await to.stat(id);
    if (copy.size !== size || copy.createdAt !== createdAt) throw differs(id, 'size or time');
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

/** What its erased regions were called, page by page. */
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
  for (let offset = 0; offset < size; offset += PIECE_BYTES) {
    signal.throwIfAborted();
    const length = Math.min(PIECE_BYTES, size - offset);
    const piece = await target.read(id, offset, length).catch((cause: unknown) => {
      throw new UnreadableRegion(`region ${id.toString()} cannot be read: ${messageOf(cause)}`, { cause });
    });
    yield piece;
    onBytes(length);
  }
}

/** Works on all items, many at a time; the first failure ends the rest, and is thrown when nothing is under way any more. */
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
