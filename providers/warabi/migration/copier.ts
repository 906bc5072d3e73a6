/**
 * Sends the regions of one target to its destination. The destination reads each part back, and
 * returns its SHA-256, which is compared with that of the bytes that were sent. A region that
 * changes meanwhile is recorded by `changed`, and sent again in a later pass.
 *
 * Regions smaller than a transfer are sent many at a time. A larger one is sent piece by piece, as
 * one import that ends with the last piece.
 */
import { createHash } from 'node:crypto';
import { BedrockError, RegionId, type RegionStat, type Target } from '../../../core/index.js';
import type { ChangedRegion, ChangedRegions } from './changed-regions.js';
import type { Destination } from './destination.js';
import { Flights } from './flights.js';
import type { Pacer } from './pacer.js';
import { sumOfBytes } from './region-sum.js';
import { COMPARED_BYTES, MAX_IDS, MAX_PIECES, type Piece, pieceOf, type PieceResult } from './wire.js';

/** A region up to this size is sent as a whole when a part of it changed. */
const SMALL_BYTES = 2 ** 16;
/** Parts of a large region that are compared in one request. */
const PARTS_AT_ONCE = 4;

export interface CopierOptions {
  /** Number of the target. */
  readonly index: number;
  /** Bytes of a request, at most `COMPARED_BYTES`. */
  readonly transferBytes: number;
  /** Requests in flight. */
  readonly inFlight: number;
  readonly pacer: Pacer;
  readonly signal: AbortSignal;
  /** Reports bytes that were sent, or were already there. */
  readonly onBytes: (bytes: number) => void;
  readonly onRegion: () => void;
}

/** A part of a region, read and ready to be sent. */
interface Load {
  readonly region: RegionStat;
  readonly piece: Piece;
  readonly bytes: Uint8Array;
}

export class Copier {
  /** Bytes of regions in requests, including those that were sent again. */
  sentBytes = 0;

  constructor(
    private readonly source: Target,
    private readonly destination: Destination,
    private readonly changed: ChangedRegions,
    private readonly options: CopierOptions,
  ) {}

  // ---- the first pass ----

  /** Sends all regions. @param isResumed whether some may already be there; these are compared first */
  async copyAll(isResumed: boolean): Promise<void> {
    const { source, destination, options } = this;
    if (isResumed) await this.#eraseStrangers();
    for await (const ids of erasedOf(source)) {
      options.signal.throwIfAborted();
      await destination.erased(options.index, ids.map(String));
    }
    await this.#sendRegions(regionsOf(source), isResumed);
  }

  /** Erases regions that an earlier attempt sent, and that were erased here since. */
  async #eraseStrangers(): Promise<void> {
    const { index, signal } = this.options;
    let after: string | undefined;
    do {
      signal.throwIfAborted();
      const { ids, next } = await this.destination.list(index, after);
      const gone: string[] = [];
      for (const id of ids) if ((await this.#statOf(RegionId.parse(id))) === undefined) gone.push(id);
      if (gone.length > 0) await this.destination.erased(index, gone);
      after = next;
    } while (after !== undefined);
  }

  async #statOf(id: RegionId): Promise<RegionStat | undefined> {
    return unlessGone(() => this.source.stat(id));
  }

  async #sendRegions(
    regions: AsyncIterable<RegionStat> | Iterable<RegionStat>,
    isCompared: boolean,
  ): Promise<void> {
    const { transferBytes, inFlight, signal } = this.options;
    const flights = new Flights(inFlight);
    let batch: RegionStat[] = [];
    let bytes = 0;
    const sendBatch = async (): Promise<void> => {
      const sent = batch;
      [batch, bytes] = [[], 0];
      if (sent.length > 0) await flights.begin(() => this.#sendSmall(sent, isCompared));
    };
    try {
      for await (const region of regions) {
        signal.throwIfAborted();
        if (region.size > transferBytes) {
          await flights.begin(() => this.#sendLarge(region, isCompared));
          continue;
        }
        if (bytes + region.size > transferBytes || batch.length === MAX_PIECES) await sendBatch();
        batch.push(region);
        bytes += region.size;
      }
      await sendBatch();
    } finally {
      await flights.ended();
    }
  }

  async #sendSmall(regions: readonly RegionStat[], isCompared: boolean): Promise<void> {
    let loads: Load[] = [];
    for (const region of regions) {
      const load = await this.#load(region, 0, region.size);
      if (load !== undefined) loads.push(load);
    }
    if (isCompared) loads = await this.#different(loads);
    await this.#sendLoads(loads);
    for (let done = loads.length; done > 0; done--) this.options.onRegion();
  }

  /** The loads whose bytes or name differ at the destination. */
  async #different(loads: Load[]): Promise<Load[]> {
    const parts = loads.map(({ piece: { id, offset, length } }) => ({ id, offset, length }));
    const there = await this.destination.compare(this.options.index, parts);
    return loads.filter(({ piece, bytes }, at) => {
      const found = there[at] ?? undefined;
      if (found === undefined || found.name !== piece.name || found.sum !== sumOfBytes(bytes)) return true;
      this.options.onBytes(bytes.length);
      this.options.onRegion();
      return false;
    });
  }

  /** @returns undefined if the region is gone, which `changed` has recorded */
  async #load(region: RegionStat, offset: number, length: number): Promise<Load | undefined> {
    const bytes = await unlessGone(() => this.source.read(region.id, offset, length));
    return bytes && { region, piece: pieceOf(region, offset, length), bytes };
  }

  /** @returns regions that the destination does not have, so that it cannot accept a part of them */
  async #sendLoads(loads: readonly Load[]): Promise<RegionStat[]> {
    if (loads.length === 0) return [];
    const { pacer, signal, index, onBytes } = this.options;
    const total = loads.reduce((sum, { bytes }) => sum + bytes.length, 0);
    await pacer.take(total, signal);
    const pieces = loads.map(({ piece }) => piece);
    const results = await this.destination.pieces(
      index,
      pieces,
      loads.map(({ bytes }) => bytes),
    );
    this.sentBytes += total;
    onBytes(total);
    const missing: RegionStat[] = [];
    for (const [at, { region, bytes }] of loads.entries())
      if (!this.#isStored(region, bytes, results[at])) missing.push(region);
    return missing;
  }

  /**
   * @returns false if the destination does not have the region
   * @throws CHECKSUM_MISMATCH, any other error with which it refused the part
   */
  #isStored({ id }: RegionStat, bytes: Uint8Array, result: PieceResult | undefined): boolean {
    if (result !== undefined && 'failed' in result) {
      if (result.failed === 'REGION_NOT_FOUND') return false;
      if (result.failed !== 'ID_TAKEN') throw new BedrockError('CONFLICT', result.message);
      // An earlier region of its slot is still there. Its end was recorded, and the next pass
      // begins with it.
      this.changed.changed(id);
      return true;
    }
    if (result?.sum === sumOfBytes(bytes)) return true;
    throw mismatch(id, 0, bytes.length);
  }

  // ---- large regions ----

  async #sendLarge(region: RegionStat, isCompared: boolean): Promise<void> {
    if (!(isCompared && (await this.#sendDifferences(region)))) await this.#sendInOrder(region);
    this.options.onRegion();
  }

  async #sendInOrder(region: RegionStat): Promise<void> {
    const { transferBytes, pacer, signal, index, onBytes } = this.options;
    const { id, size } = region;
    const parts = new PartSums(id.toString());
    for (let offset = 0; offset < size; offset += transferBytes) {
      const load = await this.#load(region, offset, Math.min(transferBytes, size - offset));
      if (load === undefined) return;
      const { bytes } = load;
      await pacer.take(bytes.length, signal);
      const piece = offset === 0 ? { ...load.piece, first: true } : load.piece;
      const [result] = await this.destination.pieces(index, [piece], [bytes]);
      if (result !== undefined && 'failed' in result) {
        // It was erased meanwhile, or its slot is not free yet. The next pass handles both.
        if (result.failed !== 'REGION_NOT_FOUND' && result.failed !== 'ID_TAKEN')
          throw new BedrockError('CONFLICT', result.message);
        this.changed.changed(id);
        return;
      }
      this.sentBytes += bytes.length;
      onBytes(bytes.length);
      parts.add(bytes);
    }
    const sums = parts.end();
    for (let at = 0; at < sums.length; at += PARTS_AT_ONCE) {
      signal.throwIfAborted();
      const asked = sums.slice(at, at + PARTS_AT_ONCE);
      const found = await this.destination.compare(
        index,
        asked.map(({ id: of, offset, length }) => ({ id: of, offset, length })),
      );
      for (const [which, part] of asked.entries())
        if (found[which]?.sum !== part.sum) throw mismatch(id, part.offset, part.length);
    }
  }

  /**
   * Sends the parts of a region that differ at the destination.
   * @returns whether the destination has the region
   */
  async #sendDifferences(region: RegionStat): Promise<boolean> {
    const { index, signal, onBytes, transferBytes } = this.options;
    const { id, size, name = null } = region;
    const step = Math.floor(COMPARED_BYTES / transferBytes) * transferBytes;
    for (let offset = 0; offset < size; offset += step) {
      signal.throwIfAborted();
      const length = Math.min(step, size - offset);
      const part = { id: id.toString(), offset, length };
      const [there] = await this.destination.compare(index, [part]);
      if (there === undefined || there === null) return false;
      const sum = await this.#sumHere(id, offset, length);
      // The region is gone, which `changed` has recorded.
      if (sum === undefined) return true;
      if (sum === there.sum && there.name === name) {
        onBytes(length);
        continue;
      }
      for (let at = offset; at < offset + length; at += transferBytes) {
        const load = await this.#load(region, at, Math.min(transferBytes, offset + length - at));
        if (load === undefined) return true;
        const missing = await this.#sendLoads([load]);
        if (missing.length > 0) return false;
      }
    }
    return true;
  }

  async #sumHere(id: RegionId, offset: number, length: number): Promise<string | undefined> {
    const hash = createHash('sha256');
    const { transferBytes } = this.options;
    for (let at = offset; at < offset + length; at += transferBytes) {
      const size = Math.min(transferBytes, offset + length - at);
      const bytes = await unlessGone(() => this.source.read(id, at, size));
      if (bytes === undefined) return undefined;
      hash.update(bytes);
    }
    return hash.digest('hex');
  }

  // ---- later passes ----

  /** Sends what changed. @throws what `mayGoOn` throws, which is called before each request */
  async sendChanged(regions: readonly ChangedRegion[], mayGoOn: () => void): Promise<void> {
    const { index, transferBytes, signal } = this.options;
    const gone: string[] = [];
    const there: { region: RegionStat; ranges: ChangedRegion['ranges'] }[] = [];
    for (const { id, ranges } of regions) {
      const region = await this.#statOf(id);
      if (region === undefined) gone.push(id.toString());
      else there.push({ region, ranges });
    }
    for (let at = 0; at < gone.length; at += MAX_IDS) {
      mayGoOn();
      await this.destination.erased(index, gone.slice(at, at + MAX_IDS));
    }
    const missing = new Map<string, RegionStat>();
    let loads: Load[] = [];
    let bytes = 0;
    const send = async (): Promise<void> => {
      signal.throwIfAborted();
      mayGoOn();
      const sent = loads;
      [loads, bytes] = [[], 0];
      for (const region of await this.#sendLoads(sent)) missing.set(region.id.toString(), region);
    };
    for (const { region, ranges } of there) {
      for (const { offset, length } of partsOf(region.size, ranges, transferBytes)) {
        if (loads.length === MAX_PIECES || bytes + length > transferBytes) await send();
        const load = await this.#load(region, offset, length);
        if (load === undefined) break;
        loads.push(load);
        bytes += length;
      }
    }
    await send();
    mayGoOn();
    await this.#sendRegions(missing.values(), false);
  }
}

interface PartSum {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  readonly sum: string;
}

/** Computes the sums of the parts of a region as its pieces are sent. They are compared later. */
class PartSums {
  readonly #sums: PartSum[] = [];
  #hash = createHash('sha256');
  #begin = 0;
  #end = 0;

  constructor(private readonly id: string) {}

  add(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      const taken = rest.subarray(0, COMPARED_BYTES - (this.#end - this.#begin));
      this.#hash.update(taken);
      this.#end += taken.length;
      if (this.#end - this.#begin === COMPARED_BYTES) this.#close();
      rest = rest.subarray(taken.length);
    }
  }

  end(): readonly PartSum[] {
    if (this.#end > this.#begin) this.#close();
    return this.#sums;
  }

  #close(): void {
    const { id } = this;
    const [offset, length] = [this.#begin, this.#end - this.#begin];
    this.#sums.push({ id, offset, length, sum: this.#hash.digest('hex') });
    this.#hash = createHash('sha256');
    this.#begin = this.#end;
  }
}

/**
 * The parts of a region to send: all of a small one. At least one part without bytes is sent, which
 * tells the name.
 */
function partsOf(
  size: number,
  ranges: ChangedRegion['ranges'],
  transferBytes: number,
): { offset: number; length: number }[] {
  if (size <= Math.min(SMALL_BYTES, transferBytes)) return [{ offset: 0, length: size }];
  const parts: { offset: number; length: number }[] = [];
  for (const range of ranges) {
    const end = Math.min(size, range.offset + range.size);
    for (let offset = range.offset; offset < end; offset += transferBytes)
      parts.push({ offset, length: Math.min(transferBytes, end - offset) });
  }
  return parts.length === 0 ? [{ offset: 0, length: 0 }] : parts;
}

function mismatch(id: RegionId, offset: number, length: number): BedrockError {
  return new BedrockError(
    'CHECKSUM_MISMATCH',
    `the destination stored other bytes of region ${id.toString()} than it was sent, from ${offset} to ${offset + length}; the source serves as before`,
    { details: { id: id.toString(), offset, length } },
  );
}

async function unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return undefined;
    throw error;
  }
}

async function* regionsOf(target: Target): AsyncGenerator<RegionStat> {
  let after: RegionId | undefined;
  do {
    const page = await target.list(after === undefined ? {} : { after });
    yield* page.regions;
    after = page.next;
  } while (after !== undefined);
}

async function* erasedOf(target: Target): AsyncGenerator<readonly RegionId[]> {
  let after: RegionId | undefined;
  do {
    const page = await target.listErased(
      after === undefined ? { limit: MAX_IDS } : { after, limit: MAX_IDS },
    );
    if (page.ids.length > 0) yield page.ids;
    after = page.next;
  } while (after !== undefined);
}
