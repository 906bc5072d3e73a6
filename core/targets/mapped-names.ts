/**
 * The loop of `mapNames`: named regions in the order of their names, each mapped while the loop is
 * at it. It goes through the names once, and finds each region only when the loop asks for it. So
 * names that are removed meanwhile are skipped.
 *
 * It is not an async generator, which would cost as much as finding and mapping a region. A step
 * that has nothing to wait for is done when `next` returns. Steps that are requested together run
 * one after another.
 */
import type { MappedName } from '../contract/names.js';
import type { Eventually } from './lifecycle.js';
import type { NameEntry } from './named-store.js';
import type { Region } from './region.js';

/** What the loop needs of a target. */
export interface MappedStore<R extends Region> {
  /** @throws what the first step throws, if the target has no such loop or the arguments are wrong */
  begin(): { readonly prefix: string; readonly names: Iterator<NameEntry> };
  /** @throws TARGET_CLOSED */
  checkOpen(): void;
  /** The region of an entry that `names` has just given. */
  regionOf(entry: NameEntry): R | undefined;
  /** The region that has a name now. */
  lookUpName(name: string): R | undefined;
  /** What has to end before a region may be mapped: a transaction that writes to it, for example. */
  busy(region: R): Promise<void> | undefined;
  /** Pins a region that is not busy, and maps it. */
  map(region: R): Eventually<MappedName['views']>;
  /** Ends what `map` began. */
  release(region: R): void;
}

type Step = IteratorResult<MappedName, undefined>;

const OVER: Step = { done: true, value: undefined };

export class MappedNames<R extends Region> implements AsyncIterableIterator<MappedName> {
  readonly #store: MappedStore<R>;
  #names: Iterator<NameEntry> | undefined;
  #prefix = '';
  /** The region that the loop is at. */
  #current: R | undefined;
  #isOver = false;
  /** A step that has to wait. */
  #pending: Promise<unknown> | undefined;

  constructor(store: MappedStore<R>) {
    this.#store = store;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Releases the region that the loop was at, and maps the next. */
  next(): Promise<Step> {
    return this.#inTurn(() => this.#step());
  }

  /** Ends the loop. */
  return(): Promise<Step> {
    return this.#inTurn(() => this.#end());
  }

  #inTurn(step: () => Eventually<Step>): Promise<Step> {
    const result =
      this.#pending === undefined ? this.#ended(step) : this.#pending.then(() => this.#ended(step));
    if (!(result instanceof Promise)) return Promise.resolve(result);
    const pending = result.then(
      () => undefined,
      () => undefined,
    );
    this.#pending = pending;
    void pending.then(() => {
      if (this.#pending === pending) this.#pending = undefined;
    });
    return result;
  }

  /** A step; the loop is over if it fails. */
  #ended(step: () => Eventually<Step>): Eventually<Step> {
    const failed = (error: unknown): Promise<never> => {
      this.#isOver = true;
      // What the hooks throw: errors, which the linter cannot know.
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      return Promise.reject(error);
    };
    try {
      const result = step();
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  }

  #end(): Step {
    this.#isOver = true;
    this.#letGo();
    return OVER;
  }

  #letGo(): void {
    const region = this.#current;
    if (region === undefined) return;
    this.#current = undefined;
    this.#store.release(region);
  }

  #step(): Eventually<Step> {
    this.#letGo();
    if (this.#isOver) return OVER;
    const store = this.#store;
    if (this.#names === undefined) {
      const { prefix, names } = store.begin();
      this.#prefix = prefix;
      this.#names = names;
    } else store.checkOpen();
    for (;;) {
      const { value: entry, done } = this.#names.next() as IteratorResult<NameEntry, undefined>;
      if (done === true || !entry.name.startsWith(this.#prefix)) return this.#end();
      const region = store.regionOf(entry);
      if (region === undefined || region.isErased) continue;
      const busy = store.busy(region);
      return busy === undefined ? this.#map(entry.name, region) : this.#stepAfter(busy, entry.name);
    }
  }

  /** Waits until the region of a name is not busy any more. */
  async #stepAfter(busy: Promise<void>, name: string): Promise<Step> {
    const store = this.#store;
    for (let ended = busy; ;) {
      await ended;
      store.checkOpen();
      // The name may belong to another region by now, or to none.
      const region = store.lookUpName(name);
      if (region === undefined || region.isErased) return this.#step();
      const next = store.busy(region);
      if (next === undefined) return this.#map(name, region);
      ended = next;
    }
  }

  #map(name: string, region: R): Eventually<Step> {
    const views = this.#store.map(region);
    const given = (mapped: MappedName['views']): Step => {
      this.#current = region;
      return { done: false, value: { name, id: region.id, views: mapped } };
    };
    return views instanceof Promise ? views.then(given) : given(views);
  }
}
