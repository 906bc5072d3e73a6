/** Targets whose names, puts or transactions are wrong in one point, each a wrapper around a right one. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  BedrockError,
  DEFAULT_LIST_LIMIT,
  RegionId,
  type Change,
  type MappedName,
  type MapNamesOptions,
  type NamedRegion,
  type NamesOptions,
  type NamesPage,
  type PutOptions,
  type RegionMapping,
  type RegionRef,
  type RegionSource,
  type RenameOptions,
  type TransactionResult,
} from '../../core/index.js';
import { Delegate } from './delegate.js';

type Contents = Uint8Array | RegionSource;

const HEX = /^[0-9a-f]{32}$/i;

export class NormalizesNames extends Delegate {
  override put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    return this.inner.put(name.normalize(), contents, options);
  }
  override createAndWrite(...[contents, options]: Parameters<Delegate['createAndWrite']>): Promise<RegionId> {
    const name = options?.name?.normalize();
    return this.inner.createAndWrite(contents, { ...options, ...(name !== undefined && { name }) });
  }
  override find(name: string): Promise<NamedRegion> {
    return this.inner.find(name.normalize());
  }
}

export class TakesHexForIds extends Delegate {
  protected override regionOf(ref: RegionRef): RegionRef {
    return typeof ref === 'string' && HEX.test(ref) ? RegionId.parse(ref) : ref;
  }
}

/** All names, sorted and cut here. */
abstract class SortsNames extends Delegate {
  protected abstract sorted(names: NamedRegion[]): NamedRegion[];

  protected async all(options: NamesOptions): Promise<NamedRegion[]> {
    await this.inner.names(options);
    const { prefix = '' } = options;
    return this.sorted([...(await this.inner.names({ prefix, limit: 10_000 })).names]);
  }

  override async names(options: NamesOptions = {}): Promise<NamesPage> {
    if (options.delimiter !== undefined) return this.inner.names(options);
    const all = await this.all(options);
    const at = options.after === undefined ? 0 : this.placeAfter(all, options.after);
    const end = at + (options.limit ?? DEFAULT_LIST_LIMIT);
    const names = all.slice(at, end);
    return { names, prefixes: [], ...(end < all.length && { next: names.at(-1)?.name ?? '' }) };
  }

  protected placeAfter(all: readonly NamedRegion[], after: string): number {
    const at = all.findIndex(({ name }) => Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0);
    return at < 0 ? all.length : at;
  }
}

export class OrdersNamesAsJavaScriptDoes extends SortsNames {
  protected override sorted(names: NamedRegion[]): NamedRegion[] {
    return names.toSorted(({ name: one }, { name: other }) => (one < other ? -1 : 1));
  }
}

export class CountsPlacesOverPages extends SortsNames {
  readonly #places = new Map<string, number>();

  protected override sorted(names: NamedRegion[]): NamedRegion[] {
    return names;
  }
  override async names(options: NamesOptions = {}): Promise<NamesPage> {
    const page = await super.names(options);
    if (page.next === undefined) this.#places.clear();
    else this.#places.set(page.next, (this.#places.get(options.after ?? '') ?? 0) + page.names.length);
    return page;
  }
  protected override placeAfter(all: readonly NamedRegion[], after: string): number {
    return this.#places.get(after) ?? super.placeAfter(all, after);
  }
}

export class GivesACommonPrefixOnEveryPage extends Delegate {
  override async names(options: NamesOptions = {}): Promise<NamesPage> {
    const { delimiter, after } = options;
    const page = await this.inner.names(options);
    if (delimiter === undefined || after?.endsWith(delimiter) !== true) return page;
    return { ...page, prefixes: [after, ...page.prefixes] };
  }
}

export class ReplacesInTwoSteps extends Delegate {
  override async put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    if (options?.if !== undefined) return this.inner.put(name, contents, options);
    await this.inner.erase(name).catch(() => undefined);
    await turn();
    return this.inner.put(name, contents);
  }
}

export class KeepsWhatAPutReplaces extends Delegate {
  override async put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    if (options?.if === undefined) await this.inner.rename(name, null).catch(() => undefined);
    return this.inner.put(name, contents, options);
  }
}

export class WritesIntoTheRegionOfTheName extends Delegate {
  override async put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    const there = await this.inner.find(name).catch(() => undefined);
    if (there === undefined || !('length' in contents) || there.size !== contents.length)
      return this.inner.put(name, contents, options);
    const half = contents.length >> 1;
    await this.inner.write(there.id, 0, contents.subarray(0, half));
    await turn();
    await this.inner.write(there.id, half, contents.subarray(half));
    return there.id;
  }
}

export class IgnoresConditions extends Delegate {
  override async put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    return this.inner.put(name, contents, options?.if === 'absent' ? {} : options);
  }
}

export class JudgesConditionsBeforeTheContents extends Delegate {
  override async put(name: string, contents: Contents, options: PutOptions = {}): Promise<RegionId> {
    if (options.if instanceof RegionId) {
      const there = await this.inner.find(name).catch(() => undefined);
      if (there?.id.equals(options.if) !== true) throw new BedrockError('CONDITION_FAILED', 'another region');
      return this.inner.put(name, contents);
    }
    return this.inner.put(name, contents, options);
  }
}

export class GivesUpTheOldRegionOfAFailedPut extends Delegate {
  override async put(name: string, contents: Contents, options?: PutOptions): Promise<RegionId> {
    try {
      return await this.inner.put(name, contents, options);
    } catch (error) {
      if ('source' in contents) await this.inner.erase(name).catch(() => undefined);
      throw error;
    }
  }
}

export class RenamesByCopying extends Delegate {
  override async rename(ref: RegionRef, name: string | null, options?: RenameOptions): Promise<void> {
    const { size, id } = await this.inner.stat(ref);
    if (name === null || options?.replace === true) return this.inner.rename(ref, name, options);
    const contents = await this.inner.read(ref, 0, size);
    await this.inner.createAndWrite(contents, { name });
    await this.inner.erase(id);
  }
}

export class ReplacesByEveryRename extends Delegate {
  override rename(ref: RegionRef, name: string | null, options?: RenameOptions): Promise<void> {
    return this.inner.rename(ref, name, { ...options, replace: true });
  }
}

export class MakesChangesOneByOne extends Delegate {
  override async transact(changes: readonly Change[]): Promise<TransactionResult> {
    if (!Array.isArray(changes)) return this.inner.transact(changes);
    const ids: (RegionId | null)[] = [];
    for (const [at, change] of changes.entries()) {
      try {
        ids.push(...(await this.inner.transact([change])).ids);
      } catch (error) {
        throw error instanceof BedrockError
          ? new BedrockError(error.code, error.message, { details: { ...error.details, change: at } })
          : error;
      }
    }
    return { ids };
  }
}

export class ShowsHalfOfATransaction extends Delegate {
  override async transact(changes: readonly Change[]): Promise<TransactionResult> {
    const areWrites = Array.isArray(changes) && changes.every(({ type }) => type === 'write');
    if (!areWrites || changes.length < 2) return this.inner.transact(changes);
    await this.inner.transact(changes.slice(0, 1));
    for (let turns = 0; turns < 8; turns++) await turn();
    const { ids } = await this.inner.transact(changes.slice(1));
    return { ids: [null, ...ids] };
  }
}

export class JudgesChangesByTheStart extends Delegate {
  override async transact(changes: readonly Change[]): Promise<TransactionResult> {
    if (Array.isArray(changes))
      for (const [at, change] of (changes as readonly (Change | null)[]).entries()) {
        if (change?.type !== 'expect' || typeof change.name !== 'string' || change.name === '') continue;
        const there = await this.inner.find(change.name).catch(() => undefined);
        if (String(there?.id ?? null) === String(change.id)) continue;
        throw new BedrockError('CONDITION_FAILED', 'another region', { details: { change: at } });
      }
    return this.inner.transact(changes);
  }
}

export class ForgetsWhichChangeFailed extends Delegate {
  override async transact(changes: readonly Change[]): Promise<TransactionResult> {
    try {
      return await this.inner.transact(changes);
    } catch (error) {
      if (!(error instanceof BedrockError)) throw error;
      throw new BedrockError(error.code, error.message);
    }
  }
}

export class TakesTransactionsOfAnySize extends Delegate {
  override async transact(changes: readonly Change[]): Promise<TransactionResult> {
    try {
      return await this.inner.transact(changes);
    } catch (error) {
      if (!(error instanceof BedrockError) || error.code !== 'TRANSACTION_TOO_LARGE') throw error;
      return { ids: changes.map(() => null) };
    }
  }
}

export class KeepsMappingsUntilItCloses extends Delegate {
  readonly #kept: RegionMapping[] = [];

  override async *mapNames(options?: MapNamesOptions): AsyncGenerator<MappedName> {
    for await (const mapped of this.inner.mapNames(options)) {
      this.#kept.push(await this.inner.map(mapped.id));
      yield mapped;
    }
  }
  override close(): Promise<void> {
    for (const mapping of this.#kept) mapping.release();
    return this.inner.close();
  }
}

export class MapsAllNamesFirst extends Delegate {
  override async *mapNames(options?: MapNamesOptions): AsyncGenerator<MappedName> {
    const { names } = await this.inner.names(options);
    for (const { name, id } of names) {
      const mapping = await this.inner.map(id);
      try {
        yield { name, id, views: mapping.views };
      } finally {
        mapping.release();
      }
    }
  }
}
