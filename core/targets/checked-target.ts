/**
 * Checks the results of targets that a library implements without `BaseTarget`: the doors do not
 * trust them. A result that breaks the contract becomes INTERNAL, with the backend's name, before
 * any part of it is sent.
 *
 * Targets based on `BaseTarget` check their own results, and are called directly.
 */
import { types } from 'node:util';
import { BedrockError } from '../base/errors.js';
import type { NamedRegion, NamesOptions, NamesPage, TransactionResult } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type {
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetStats,
} from '../contract/target.js';
import { checkGiven } from './arguments.js';
import { BaseTarget } from './base-target.js';
import { unionOfMany } from './many-ranges.js';

const known = new WeakMap<Target, Target>();

/** Wraps a target so that its results are checked. */
export function checkedTarget(target: Target): Target {
  if (target instanceof BaseTarget) return target;
  let checked = known.get(target);
  if (checked === undefined) known.set(target, (checked = checking(target)));
  return checked;
}

/** Members that are not checked are passed on unchanged. */
function checking(target: Target): Target {
  const fault = (call: string, what: string): BedrockError =>
    new BedrockError('INTERNAL', `${call} of the backend "${target.type}" gave ${what}`);
  const idOf = (call: string, id: unknown): RegionId => {
    if (id instanceof RegionId) return id;
    throw fault(call, 'something that is not a RegionId');
  };
  const statOf = (call: string, stat: unknown): RegionStat => {
    const { id, size, createdAt, name } = membersOf<RegionStat>(stat);
    if (!isCount(size)) throw fault(call, 'a size that is not a whole number of bytes');
    if (!isCount(createdAt)) throw fault(call, 'a createdAt that is not a time in milliseconds');
    if (name !== undefined && typeof name !== 'string') throw fault(call, 'a name that is not a string');
    return { id: idOf(call, id), size, createdAt, ...(name !== undefined && { name }) };
  };
  const bytesOf = (call: string, bytes: unknown, size: number): Uint8Array => {
    if (!types.isUint8Array(bytes)) throw fault(call, 'something that is not a Uint8Array');
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
    // A client would ask for the same page forever.
    if (stats.length === 0) throw fault('list', 'no regions, and that there are more');
    return { regions: stats, next: idOf('list', next) };
  };

  const namedOf = (call: string, named: unknown): NamedRegion => {
    const { name, ...stat } = statOf(call, named);
    if (name === undefined) throw fault(call, 'a region without its name');
    return { ...stat, name };
  };
  const namesOf = (page: unknown, { after, limit }: NamesOptions = {}): NamesPage => {
    const { names, prefixes, next } = membersOf<NamesPage>(page);
    if (!Array.isArray(names) || !isStrings(prefixes))
      throw fault('names', 'no lists of names and of prefixes');
    const count = names.length + prefixes.length;
    if (limit !== undefined && count > limit)
      throw fault('names', `${count} entries where at most ${limit} were asked for`);
    const checked = { names: names.map((named: unknown) => namedOf('names', named)), prefixes };
    if (next === undefined) return checked;
    if (typeof next !== 'string') throw fault('names', 'a next that is not a string');
    // A client would ask for the same page forever.
    if (count === 0 || next === after) throw fault('names', 'nothing, and that there is more');
    return { ...checked, next };
  };
  /** Older libraries, from before there were names, lack these calls. */
  const needs = (call: keyof Target): void => {
    if (typeof target[call] === 'function') return;
    throw new BedrockError('NOT_SUPPORTED', `the backend "${target.type}" has no ${call}`);
  };
  /** Gives contents to a target, and checks that the target has taken all of them when it returns the ID. */
  const written = async (
    call: string,
    contents: Uint8Array | RegionSource,
    give: (contents: Uint8Array | RegionSource) => Promise<RegionId>,
  ): Promise<RegionId> => {
    if (ArrayBuffer.isView(contents)) return idOf(call, await give(contents));
    const source = new WatchedSource(contents);
    // A source without bytes has no pieces, and some targets do not ask for any.
    if (contents.size === 0) for await (const piece of source) void piece;
    try {
      const id = await give({ size: contents.size, source: contents.size === 0 ? [] : source });
      if (source.failure !== undefined) throw source.failure.error;
      if (!source.hasEnded) throw fault(call, 'an ID before its source had ended');
      return idOf(call, id);
    } finally {
      source.leave();
    }
  };

  const overrides: Partial<Target> = {
    create: async (size, options) => idOf('create', await target.create(size, options)),
    createAndWrite: (contents, options) =>
      written('createAndWrite', contents, (given) => target.createAndWrite(given, options)),
    put: async (name, contents, options) => {
      needs('put');
      return written('put', contents, (given) => target.put(name, given, options));
    },
    find: async (name) => {
      needs('find');
      const found = namedOf('find', await target.find(name));
      if (found.name !== name) throw fault('find', 'a region of another name');
      return found;
    },
    rename: async (ref, name, options) => {
      needs('rename');
      return target.rename(ref, name, options);
    },
    names: async (options) => {
      needs('names');
      return namesOf(await target.names(options), options);
    },
    transact: async (changes) => {
      needs('transact');
      const { ids } = membersOf<TransactionResult>(await target.transact(changes));
      if (!Array.isArray(ids) || ids.length !== changes.length)
        throw fault('transact', 'no ID or null for each of the changes');
      const checked = ids.map((id: unknown, at) => {
        if (changes[at]?.type === 'put') return idOf('transact', id);
        if (id !== null) throw fault('transact', 'an ID for a change that makes no region');
        return null;
      });
      return { ids: checked };
    },
    read: async (id, offset, size) => bytesOf('read', await target.read(id, offset, size), size),
    readv: async (id, ranges) => bytesOf('readv', await target.readv(id, ranges), totalOf(ranges)),
    persist: async (id, ranges) => target.persist(id, ranges && (await compact(ranges))),
    stat: async (ref) => {
      const stat = statOf('stat', await target.stat(ref));
      if (typeof ref === 'string' ? stat.name === ref : stat.id.equals(ref)) return stat;
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
      // Called on the target itself: the proxy lacks its private members.
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/**
 * The source that the target gets. It records what the target did with it, and checks that it gives
 * what was announced.
 */
class WatchedSource implements AsyncIterable<Uint8Array> {
  /** Whether the target has asked for everything and has seen the end. */
  hasEnded = false;
  /** The error that the source gave the target. */
  failure: { readonly error: unknown } | undefined;
  readonly #pieces: AsyncGenerator<Uint8Array>;

  constructor(contents: RegionSource) {
    this.#pieces = this.#watch(contents);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    return this.#pieces;
  }

  /**
   * Ends the source if the target has not, so that a source that holds buffers or admissions until
   * the next request releases them.
   */
  leave(): void {
    // Not awaited: a requested piece may take as long as its sender likes.
    this.#pieces.return(undefined).catch(() => undefined);
  }

  async *#watch({ size, source }: RegionSource): AsyncGenerator<Uint8Array> {
    let given = 0;
    try {
      for await (const piece of source) {
        given += piece.length;
        checkGiven(given, size);
        yield piece;
      }
      checkGiven(given, size, true);
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

function isStrings(values: unknown): values is string[] {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

/** Whether a value is a count of bytes, regions or milliseconds. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function totalOf(ranges: readonly RegionRange[]): number {
  return ranges.reduce((sum, { size }) => sum + size, 0);
}

/** The union of ranges that could fit in some region; the target refuses others. */
function compact(ranges: readonly RegionRange[]): ReturnType<typeof unionOfMany> {
  const isSound = ranges.every(({ offset, size }) => size > 0 && Number.isSafeInteger(offset + size));
  return isSound ? unionOfMany(ranges) : ranges;
}

/** The name of the first member with a wrong value. */
function wrongMember(stats: unknown): string | undefined {
  const found = membersOf<TargetStats>(stats);
  for (const name of ['type', 'mode', 'state'] as const) if (typeof found[name] !== 'string') return name;
  for (const name of ['regions', 'usedBytes'] as const) if (!isCount(found[name])) return name;
  for (const name of ['capacityBytes', 'freeBytes', 'largestFreeBytes'] as const)
    if (found[name] !== null && !isCount(found[name])) return name;
  // Older libraries, from before these figures existed, lack them.
  for (const name of ['pendingBytes', 'failedGiveBacks'] as const)
    if (found[name] !== undefined && !isCount(found[name])) return name;
  const { fragmentation } = found;
  if (typeof fragmentation !== 'number' || !Number.isFinite(fragmentation)) return 'fragmentation';
  const recovery = membersOf<TargetStats['recovery']>(found.recovery);
  for (const name of ['regions', 'bytes', 'quarantined'] as const)
    if (!isCount(recovery[name])) return `recovery.${name}`;
  return undefined;
}
