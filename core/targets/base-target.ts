/**
 * What every backend shares: on top of the lifecycle, the checks of arguments and bounds, and regions that stay in place while
 * they are in use.
 *
 * A backend fills in the protected hooks. They are called only while the target is open, with arguments that were checked, and
 * with regions that stay allocated until the call has ended:
 *
 * - A region is pinned by every call on it. `erase` makes its ID unusable at once; its space goes back (`release`) only when the
 *   last pin is gone, so no call ever meets another region's bytes.
 * - A new region is invisible until `publish`, so contents appear whole or not at all.
 *
 * Hooks return nothing or a promise; a hook that returns nothing costs no turn of the event loop, and needs no pin, as nothing else
 * runs meanwhile. `write` is the shortest way there is and no async function: on persistent memory it would cost as much as the bytes.
 */
import { setImmediate } from 'node:timers/promises';
import { BedrockError, explain } from '../base/errors.js';
import type { TargetMode } from '../contract/mode.js';
import { RegionId } from '../contract/region-id.js';
import type {
  Capabilities,
  ErasedPage,
  ImportOptions,
  ListOptions,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetStats,
  WriteOptions,
} from '../contract/target.js';
import {
  allocateBuffer,
  checkBytes,
  checkId,
  checkListOptions,
  checkPersist,
  checkRange,
  checkRanges,
  checkSize,
} from './arguments.js';
import { sourceOf } from './contents.js';
import { type Eventually, Lifecycle } from './lifecycle.js';
import { unionOf } from './range-union.js';

/** A region as its backend holds it; the same object as long as the region lives. */
export class Region implements RegionStat {
  /** Calls in flight on the region. Counted by BaseTarget. */
  pins = 0;
  /** Erased or being erased: refused to new calls. Set by BaseTarget. */
  isErased = false;

  constructor(
    readonly id: RegionId,
    readonly size: number,
    readonly createdAt: number,
  ) {}
}

/** What a listing needs of a region: its object if there is one, else its numbers. Nobody pins it. */
export type ListedRegion = RegionStat & Partial<Pick<Region, 'isErased'>>;

/** How full the target is. */
export interface Usage {
  regions: number;
  usedBytes: number;
  /** null: unlimited. */
  capacityBytes: number | null;
  /** What can still be had, where that is not what the capacity leaves. */
  freeBytes?: number;
  /** null: unlimited. */
  largestFreeBytes: number | null;
  /** See TargetStats; 0 unless told. */
  pendingBytes?: number;
  /** Those that the backend tries again by itself; 0 unless told. */
  failedGiveBacks?: number;
}

const NO_OPTIONS: WriteOptions = {};

/** What a call on many ranges moves before others have their turn, and what each range counts for beside its bytes. */
const TURN_BYTES = 2 ** 20;
const RANGE_BYTES = 256;

/** What a call gives that has ended already. */
const DONE = Promise.resolve();

export abstract class BaseTarget<R extends Region = Region> extends Lifecycle implements Target {
  abstract readonly capabilities: Capabilities;
  #failedGiveBacks = 0;

  // ---- hooks: storage (and those of Lifecycle) ----

  /** How writes become durable, for `stats().mode`. */
  protected abstract get mode(): TargetMode;
  protected abstract usage(): Eventually<Usage>;

  // ---- hooks: regions ----

  /** The region of an ID, the same object each time, or nothing if no published region has it. */
  protected abstract find(id: RegionId): R | undefined;
  /** Published regions after an ID, or all. `after` may be the ID of an erased region; an ID of elsewhere is REGION_NOT_FOUND. */
  protected abstract regionsAfter(after: RegionId | undefined): Iterable<ListedRegion>;
  /** Takes space for a region, all zero, not yet to be found. */
  protected abstract allocate(size: number): Eventually<R>;
  /** Makes an allocated region durable and lets `find` see it. */
  protected abstract publish(region: R): Eventually<void>;
  /** Removes a published region, durably; its bytes stay in place for calls in flight. */
  protected abstract unpublish(region: R): Eventually<void>;
  /** Gives back the space of a region that was never published, or no longer is. No call is in flight on it. */
  protected abstract release(region: R): Eventually<void>;

  // ---- hooks: bytes. `into` and `bytes` are the caller's again when the promise settles, or without one when the hook returns: a
  // ---- hook neither keeps nor touches them after that, and never changes `bytes`. ----

  /** Fills `into` from `offset` on. */
  protected abstract readBytes(region: R, offset: number, into: Uint8Array): Eventually<void>;
  /** Takes a copy of `bytes` to `offset`. */
  protected abstract writeBytes(region: R, offset: number, bytes: Uint8Array): Eventually<void>;
  /** Makes ranges durable, which are sorted and apart from each other; undefined means the whole region. */
  protected abstract persistRanges(region: R, ranges: readonly RegionRange[] | undefined): Eventually<void>;

  /** Writes durably; backends that can do both in one step override it. */
  protected writeDurably(region: R, offset: number, bytes: Uint8Array): Eventually<void> {
    const ranges = [{ offset, size: bytes.length }];
    const written = this.writeBytes(region, offset, bytes);
    if (written === undefined) return this.persistRanges(region, ranges);
    return written.then(() => this.persistRanges(region, ranges));
  }

  /**
   * The same for storage that takes the bytes within the call, and can tell later when they are durable: the promise is of that alone,
   * and the region is not kept for it. `closeStorage` must end it.
   * @returns undefined, with nothing done, where that cannot be; `writeDurably` is called then
   */
  protected storeDurably(_region: R, _offset: number, _bytes: Uint8Array): Promise<void> | undefined {
    return undefined;
  }

  /** Zero-copy views; only `mappable` targets override it. */
  protected mapRegion(_region: R): Eventually<Pick<RegionMapping, 'views'>> {
    throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target cannot map regions; read them instead`);
  }

  // ---- regions ----

  async create(size: number): Promise<RegionId> {
    checkSize('size', size);
    this.enter();
    try {
      const allocated = this.allocate(size);
      const region = this.#checked(allocated instanceof Region ? allocated : await allocated);
      const published = this.#publishOrRelease(region);
      if (published !== undefined) await published;
      return region.id;
    } finally {
      this.leave();
    }
  }

  async createAndWrite(contents: Uint8Array | RegionSource, options = NO_OPTIONS): Promise<RegionId> {
    const { size, source } = sourceOf(contents);
    const persist = checkPersist(options);
    this.enter();
    try {
      const region = this.#checked(await this.allocate(size));
      await this.fillAndPublish(region, source, persist);
      return region.id;
    } finally {
      this.leave();
    }
  }

  /** What `allocate` gave: backends are written in JavaScript, too. */
  #checked(region: R): R {
    if (region.id instanceof RegionId) return region;
    throw new BedrockError(
      'INTERNAL',
      `allocate of the backend "${this.type}" gave a region without a RegionId`,
    );
  }

  // ---- import: what ImportableTarget overrides ----

  importRegion(_id: RegionId, _contents: Uint8Array | RegionSource, _options: ImportOptions): Promise<void> {
    return this.#refuseImport();
  }

  importErased(_ids: readonly RegionId[]): Promise<void> {
    return this.#refuseImport();
  }

  listErased(_options?: ListOptions): Promise<ErasedPage> {
    return this.#refuseImport();
  }

  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async #refuseImport(): Promise<never> {
    this.checkOpen();
    throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target hands no IDs over and takes none`);
  }

  /** Gives an allocated region its contents and publishes it; if that fails, releases it. */
  protected async fillAndPublish(region: R, source: RegionSource['source'], persist: boolean): Promise<void> {
    try {
      await this.#fill(region, source);
      if (persist) await this.persistRanges(region, undefined);
    } catch (error) {
      await this.#giveBack(region);
      throw error;
    }
    await this.#publishOrRelease(region);
  }

  async #fill(region: R, source: RegionSource['source']): Promise<void> {
    let offset = 0;
    for await (const bytes of source) {
      checkBytes('a piece of the source', bytes);
      const { length } = bytes;
      if (length > region.size - offset) {
        throw new BedrockError(
          'INVALID_ARGUMENT',
          `the source gave more than the ${region.size} bytes it announced`,
        );
      }
      await this.writeBytes(region, offset, bytes);
      offset += length;
    }
    if (offset < region.size) {
      throw new BedrockError('INVALID_ARGUMENT', `the source ended after ${offset} of ${region.size} bytes`);
    }
  }

  #publishOrRelease(region: R): Eventually<void> {
    const giveBack = async (error: unknown): Promise<never> => {
      await this.#giveBack(region);
      throw error;
    };
    try {
      const published = this.publish(region);
      return published === undefined ? undefined : published.catch(giveBack);
    } catch (error) {
      return giveBack(error);
    }
  }

  /** Releases a region that nobody waits for. A failure goes to the log: it must not hide why the region is given back. */
  #giveBack(region: R): Eventually<void> {
    const note = (error: unknown): void => {
      this.#failedGiveBacks++;
      this.logger.error(`the space of region ${region.id.toString()} was not given back: ${explain(error)}`);
    };
    try {
      const released = this.release(region);
      return released === undefined ? undefined : released.catch(note);
    } catch (error) {
      note(error);
    }
  }

  async erase(id: RegionId): Promise<void> {
    const region = this.#pinned(id);
    region.isErased = true;
    try {
      const unpublished = this.unpublish(region);
      if (unpublished !== undefined) await unpublished;
    } catch (error) {
      region.isErased = false;
      this.unpin(region);
      throw error;
    }
    // Others may still be reading; then the last of them gives the space back.
    if (region.pins > 1) {
      this.unpin(region);
      return;
    }
    // It is gone, durably, whatever becomes of its space.
    const released = this.#giveBack(region);
    if (released !== undefined) await released;
    region.pins--;
    this.leave();
  }

  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async stat(id: RegionId): Promise<RegionStat> {
    const region = this.#pinned(id);
    this.unpin(region);
    return statOf(region);
  }

  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async list(options: ListOptions = {}): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    this.checkOpen();
    const regions: RegionStat[] = [];
    for (const region of this.regionsAfter(after)) {
      if (region.isErased === true) continue;
      if (regions.length === limit) {
        const last = regions[limit - 1];
        return last === undefined ? { regions } : { regions, next: last.id };
      }
      regions.push(statOf(region));
    }
    return { regions };
  }

  async stats(): Promise<TargetStats> {
    this.enter();
    try {
      const { regions, usedBytes, capacityBytes, largestFreeBytes, ...unusual } = await this.usage();
      const { pendingBytes = 0, failedGiveBacks = 0 } = unusual;
      const freeBytes = unusual.freeBytes ?? (capacityBytes === null ? null : capacityBytes - usedBytes);
      const scattered =
        freeBytes === null || freeBytes === 0 ? 0 : 1 - (largestFreeBytes ?? freeBytes) / freeBytes;
      return {
        type: this.type,
        mode: this.mode,
        state: this.state,
        regions,
        capacityBytes,
        usedBytes,
        freeBytes,
        largestFreeBytes,
        pendingBytes,
        failedGiveBacks: this.#failedGiveBacks + failedGiveBacks,
        fragmentation: scattered,
        recovery: this.recovery,
      };
    } finally {
      this.leave();
    }
  }

  // ---- bytes ----

  write(id: RegionId, offset: number, bytes: Uint8Array, options = NO_OPTIONS): Promise<void> {
    try {
      checkBytes('bytes', bytes);
      const persist = checkPersist(options);
      const region = this.regionOf(id);
      checkRange('write', offset, bytes.length, region.size);
      return this.writeChecked(region, offset, bytes, persist) ?? DONE;
    } catch (error) {
      // What the checks and the hooks throw: errors, which the linter cannot know.
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      return Promise.reject(error);
    }
  }

  /** `write` behind its checks. @returns nothing if all is done */
  protected writeChecked(region: R, offset: number, bytes: Uint8Array, persist: boolean): Eventually<void> {
    const stored = persist ? this.storeDurably(region, offset, bytes) : undefined;
    if (stored !== undefined) return stored;
    const pending = persist
      ? this.writeDurably(region, offset, bytes)
      : this.writeBytes(region, offset, bytes);
    return pending === undefined ? undefined : this.during(region, pending);
  }

  async writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options = NO_OPTIONS,
  ): Promise<void> {
    checkBytes('bytes', bytes);
    const persist = checkPersist(options);
    const region = this.#pinned(id);
    try {
      const { ranges: checked, total } = checkRanges('write', ranges, region.size);
      if (total !== bytes.length) {
        throw new BedrockError(
          'INVALID_ARGUMENT',
          `the ranges hold ${total} bytes, but ${bytes.length} were given`,
        );
      }
      await this.#forEach(checked, (offset, size, from) =>
        this.writeBytes(region, offset, bytes.subarray(from, from + size)),
      );
      if (persist) await this.persistRanges(region, unionOf(checked));
    } finally {
      this.unpin(region);
    }
  }

  async read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    const region = this.#pinned(id);
    try {
      checkRange('read', offset, size, region.size);
      const buffer = allocateBuffer(size);
      const pending = this.readBytes(region, offset, buffer);
      if (pending !== undefined) await pending;
      return buffer;
    } finally {
      this.unpin(region);
    }
  }

  async readInto(id: RegionId, offset: number, buffer: Uint8Array): Promise<void> {
    checkBytes('buffer', buffer);
    const region = this.#pinned(id);
    try {
      checkRange('read', offset, buffer.length, region.size);
      const pending = this.readBytes(region, offset, buffer);
      if (pending !== undefined) await pending;
    } finally {
      this.unpin(region);
    }
  }

  async readv(id: RegionId, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const region = this.#pinned(id);
    try {
      const { ranges: checked, total } = checkRanges('read', ranges, region.size);
      const buffer = allocateBuffer(total);
      await this.#forEach(checked, (offset, size, from) =>
        this.readBytes(region, offset, buffer.subarray(from, from + size)),
      );
      return buffer;
    } finally {
      this.unpin(region);
    }
  }

  /**
   * Takes a step for each range, one after another; those that need no turn of the event loop leave it to others now and then. The region
   * is pinned meanwhile.
   * @param step with the range, and where its bytes are among those of all
   */
  async #forEach(
    ranges: readonly RegionRange[],
    step: (offset: number, size: number, from: number) => Eventually<void>,
  ): Promise<void> {
    let from = 0;
    let done = 0;
    for (const { offset, size } of ranges) {
      const pending = step(offset, size, from);
      from += size;
      done += size + RANGE_BYTES;
      if (pending !== undefined) await pending;
      else if (done >= TURN_BYTES) {
        done = 0;
        await setImmediate();
      }
    }
  }

  async persist(id: RegionId, ranges?: readonly RegionRange[]): Promise<void> {
    const region = this.#pinned(id);
    try {
      const checked =
        ranges === undefined ? undefined : unionOf(checkRanges('persist', ranges, region.size).ranges);
      // No bytes are durable already.
      if (checked?.length !== 0) await this.persistRanges(region, checked);
    } finally {
      this.unpin(region);
    }
  }

  async map(id: RegionId): Promise<RegionMapping> {
    const region = this.#pinned(id);
    let isMapped = true;
    const release = (): void => {
      if (!isMapped) return;
      isMapped = false;
      this.unpin(region);
    };
    try {
      const { views } = await this.mapRegion(region);
      return { views, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  // ---- work in flight ----

  /** @throws INVALID_ARGUMENT, TARGET_CLOSED, REGION_NOT_FOUND */
  protected regionOf(id: RegionId): R {
    checkId(id);
    this.checkOpen();
    const region = this.find(id);
    if (region === undefined || region.isErased) {
      throw new BedrockError('REGION_NOT_FOUND', `no region ${id.toString()} in this ${this.type} target`);
    }
    return region;
  }

  /** Finds a region and pins it. */
  #pinned(id: RegionId): R {
    const region = this.regionOf(id);
    this.pin(region);
    return region;
  }

  /** Keeps a region, and the target, in place until `unpin`. */
  protected pin(region: R): void {
    this.enter();
    region.pins++;
  }

  /** Keeps a region, and the target, in place as long as a hook takes that was called just now. */
  protected during(region: R, pending: Promise<void>): Promise<void> {
    this.pin(region);
    return pending.finally(() => this.unpin(region));
  }

  protected unpin(region: R): void {
    if (--region.pins === 0 && region.isErased) this.#releaseErased(region);
    else this.leave();
  }

  /** Gives back an erased region after its last call; still counts as work in flight, so that close waits for it. */
  #releaseErased(region: R): void {
    const released = this.#giveBack(region);
    if (released === undefined) this.leave();
    else void released.then(() => this.leave());
  }
}

function statOf({ id, size, createdAt }: RegionStat): RegionStat {
  return { id, size, createdAt };
}
