/**
 * What the front doors ask of a target that a library made in its own way: nothing that it gives is taken at its word. A result that the
 * contract does not have is INTERNAL, in words that name the backend, before any of it is sent.
 *
 * Targets of `BaseTarget` give what it checks and makes itself, and are asked directly.
 */
import { types } from 'node:util';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type {
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetStats,
} from '../contract/target.js';
import { BaseTarget } from './base-target.js';
import { unionOf } from './range-union.js';

const known = new WeakMap<Target, Target>();

/** The same target, its results checked. */
export function checkedTarget(target: Target): Target {
  if (target instanceof BaseTarget) return target;
  let checked = known.get(target);
  if (checked === undefined) known.set(target, (checked = checking(target)));
  return checked;
}

/** What it has beside these it has as before. */
function checking(target: Target): Target {
  const fault = (call: string, what: string): BedrockError =>
    new BedrockError('INTERNAL', `${call} of the backend "${target.type}" gave ${what}`);
  const idOf = (call: string, id: unknown): RegionId => {
    if (id instanceof RegionId) return id;
    throw fault(call, 'something that is no RegionId');
  };
  const statOf = (call: string, stat: unknown): RegionStat => {
    const { id, size, createdAt } = membersOf<RegionStat>(stat);
    if (!isCount(size)) throw fault(call, 'a size that is no whole number of bytes');
    if (!isCount(createdAt)) throw fault(call, 'a createdAt that is no time in milliseconds');
    return { id: idOf(call, id), size, createdAt };
  };
  const bytesOf = (call: string, bytes: unknown, size: number): Uint8Array => {
    if (!types.isUint8Array(bytes)) throw fault(call, 'something that is no Uint8Array');
    if (bytes.length !== size) throw fault(call, `${bytes.length} bytes instead of ${size}`);
    return bytes;
  };
  const pageOf = (page: unknown, limit: number | undefined): RegionPage => {
    const { regions, next } = membersOf<RegionPage>(page);
    if (!Array.isArray(regions)) throw fault('list', 'no list of regions');
    if (limit !== undefined && regions.length > limit)
      throw fault('list', `${regions.length} regions where at most ${limit} were asked for`);
    const stats = regions.map((region: unknown) => statOf('list', region));
    if (next === undefined) return { regions: stats };
    // Whoever goes on from it would come here again and again.
    if (stats.length === 0) throw fault('list', 'no regions, and that there are more');
    return { regions: stats, next: idOf('list', next) };
  };

  const overrides: Partial<Target> = {
    create: async (size) => idOf('create', await target.create(size)),
    createAndWrite: async (contents, options) => {
      if (ArrayBuffer.isView(contents))
        return idOf('createAndWrite', await target.createAndWrite(contents, options));
      const source = new WatchedSource(contents);
      // There is nothing to ask a source of no bytes for, and not every target does.
      if (contents.size === 0) for await (const piece of source) void piece;
      try {
        const pieces = contents.size === 0 ? [] : source;
        const id = await target.createAndWrite({ size: contents.size, source: pieces }, options);
        if (source.failure !== undefined) throw source.failure.error;
        if (!source.hasEnded) throw fault('createAndWrite', 'an ID before its source had ended');
        return idOf('createAndWrite', id);
      } finally {
        source.leave();
      }
    },
    read: async (id, offset, size) => bytesOf('read', await target.read(id, offset, size), size),
    readv: async (id, ranges) => bytesOf('readv', await target.readv(id, ranges), totalOf(ranges)),
    persist: async (id, ranges) => target.persist(id, ranges && compact(ranges)),
    stat: async (id) => {
      const stat = statOf('stat', await target.stat(id));
      if (stat.id.equals(id)) return stat;
      throw fault('stat', 'another region');
    },
    list: async (options) => pageOf(await target.list(options), options?.limit),
    stats: async () => {
      const stats: unknown = await target.stats();
      const wrong = wrongMember(stats);
      if (wrong !== undefined) throw fault('stats', `no ${wrong}`);
      const { pendingBytes, failedGiveBacks } = membersOf<TargetStats>(stats);
      return {
        ...(stats as TargetStats),
        pendingBytes: (pendingBytes ?? 0) as number,
        failedGiveBacks: (failedGiveBacks ?? 0) as number,
      };
    },
  };
  return new Proxy(overrides as Target, {
    get: (_, name) => {
      if (Object.hasOwn(overrides, name)) return overrides[name as keyof Target];
      const member: unknown = Reflect.get(target, name, target);
      // On the target itself, whose private members the proxy does not have.
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/** A source as a target is given it: what becomes of it is known, and what it gives is what was announced. */
class WatchedSource implements AsyncIterable<Uint8Array> {
  /** Whether the target has asked for everything, and was told of the end. */
  hasEnded = false;
  /** What the target was told by its source. */
  failure: { readonly error: unknown } | undefined;
  readonly #pieces: AsyncGenerator<Uint8Array>;

  constructor(contents: RegionSource) {
    this.#pieces = this.#watch(contents);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#pieces;
  }

  /** Ends it where the target has not; what holds a place or bytes until the next piece is asked for, gives them back. */
  leave(): void {
    // Not awaited: a piece that was asked for may take as long as its sender likes.
    this.#pieces.return(undefined).catch(() => undefined);
  }

  async *#watch({ size, source }: RegionSource): AsyncGenerator<Uint8Array> {
    let given = 0;
    try {
      for await (const piece of source) {
        given += piece.length;
        if (given > size)
          throw new BedrockError(
            'INVALID_ARGUMENT',
            `the source gave more than the ${size} bytes it announced`,
          );
        yield piece;
      }
      if (given < size)
        throw new BedrockError('INVALID_ARGUMENT', `the source ended after ${given} of ${size} bytes`);
      this.hasEnded = true;
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }
}

function membersOf<T>(thing: unknown): Partial<Record<keyof T, unknown>> {
  return typeof thing === 'object' && thing !== null ? thing : {};
}

/** Of bytes, regions or milliseconds. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function totalOf(ranges: readonly RegionRange[]): number {
  return ranges.reduce((sum, { size }) => sum + size, 0);
}

/** Their union, of ranges that any region could have; the target refuses others. */
function compact(ranges: readonly RegionRange[]): readonly RegionRange[] {
  const isSound = ranges.every(({ offset, size }) => size > 0 && Number.isSafeInteger(offset + size));
  return isSound ? unionOf(ranges) : ranges;
}

/** The name of a member that is not what it should be. */
function wrongMember(stats: unknown): string | undefined {
  const found = membersOf<TargetStats>(stats);
  for (const name of ['type', 'mode', 'state'] as const) if (typeof found[name] !== 'string') return name;
  for (const name of ['regions', 'usedBytes'] as const) if (!isCount(found[name])) return name;
  for (const name of ['capacityBytes', 'freeBytes', 'largestFreeBytes'] as const)
    if (found[name] !== null && !isCount(found[name])) return name;
  // Libraries of before they were figures do not have them.
  for (const name of ['pendingBytes', 'failedGiveBacks'] as const)
    if (found[name] !== undefined && !isCount(found[name])) return name;
  const { fragmentation } = found;
  if (typeof fragmentation !== 'number' || !Number.isFinite(fragmentation)) return 'fragmentation';
  const recovery = membersOf<TargetStats['recovery']>(found.recovery);
  for (const name of ['regions', 'bytes', 'quarantined'] as const)
    if (!isCount(recovery[name])) return `recovery.${name}`;
  return undefined;
}
