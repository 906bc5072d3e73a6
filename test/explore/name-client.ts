/**
 * A user of a target's names in its own process: it puts, renames, erases, writes and reads by
 * name, lists names, and changes several at once, while others do the same with the same names.
 * What it sees goes to `Naming`, and to the ownership of bytes.
 */
import type { Change, RegionId, RegionMapping } from '../../core/index.js';
import type { BaseTarget } from '../../core/targets/base-target.js';
import type { SeenBytes } from '../../core/targets/named-store.js';
import { codeOf } from './exploring-client.js';
import { type Asked, NAME_REFUSALS, NameChanges, short } from './name-changes.js';
import type { Owned, Span } from './owned.js';

/** Two that fit behind most contents, and one that does not. */
const NAMES = ['n/a', 'n/b', `n/${'c'.repeat(70)}`];
/** Only transactions change these, both of them, and no other client uses their regions. */
const PAIR = ['p/a', 'p/b'] as const;

/** In successive microtasks. */
const LOOKS = 24;

interface Held {
  readonly id: string;
  readonly mapping: RegionMapping;
}

export class NameClient extends NameChanges {
  protected readonly hurry = 2;
  readonly #held: Held[] = [];

  protected get isHolding(): boolean {
    return this.#held.length > 0;
  }

  protected releaseOne(): void {
    this.#release(this.#held.shift() as Held);
  }

  protected doSomething(): Promise<unknown> {
    const { random } = this.around.schedule;
    switch (random.below(23)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.put(this.#someName());
      case 4:
        return this.putIfAbsent(this.#someName());
      case 5:
        return this.putInPlaceOf(this.#someName());
      case 6:
        return this.find(this.#someName());
      case 7:
        return this.read(this.#someName());
      case 8:
        return this.write(this.#someName());
      case 9:
        return random.below(2) === 0 ? this.erase(this.#someName()) : this.eraseFound(this.#someName());
      case 10:
        return this.rename(this.#someName(), random.below(5) === 0 ? undefined : this.#someName());
      case 11:
        return this.#list();
      case 12:
        return this.#putPair();
      case 13:
        return this.#readPair();
      case 14:
        return this.#transact();
      case 15:
        return this.renameFound(this.#someName(), this.#someName());
      case 16:
        return this.#watch([this.#someName()], () => this.put(NAMES[0] as string));
      case 17:
        return this.#watch(PAIR, () => this.#putPair());
      case 18:
      case 19:
      case 20:
        return this.#replaceRead(this.#someName());
      default:
        return this.around.isMappable ? this.#map(this.#someName()) : this.find(this.#someName());
    }
  }

  #someName(): string {
    const { random } = this.around.schedule;
    // What everybody changes at once is more telling.
    return random.below(2) === 0 ? (NAMES[0] as string) : random.pick(NAMES);
  }

  /** Looks where names lead, in each of many microtasks, while they are changed. */
  async #watch(names: readonly string[], change: () => Promise<void>): Promise<void> {
    const { schedule } = this.around;
    this.around.note(`${this.name} looks at ${names.map(short).join()} again and again`);
    const all: Promise<unknown>[] = [change()];
    // Who fails is asked at the end, with all of them.
    all[0]?.catch(() => undefined);
    for (let left = schedule.random.pick([1, 4, 10]) * LOOKS; left > 0; left--) {
      const glance = this.#glance(names);
      glance.catch(() => undefined);
      all.push(glance);
      // In each of many microtasks; then when it is its turn again.
      if (left % LOOKS === 1) await schedule.pause();
      else await Promise.resolve();
    }
    await Promise.all(all);
  }

  /** Where names lead, all of them in this moment. */
  async #glance(names: readonly string[]): Promise<void> {
    const { target, ownership } = this.around;
    const [first, second] = await Promise.all(
      names.map(async (name) => {
        const span = ownership.begin();
        try {
          const { id } = await target.find(name);
          this.naming.saw(name, id.toString(), span);
          return id.toString();
        } catch (error) {
          const code = codeOf(error);
          if (!NAME_REFUSALS.has(code)) throw error;
          if (code === 'REGION_NOT_FOUND') this.naming.missed(name, span);
          return undefined;
        }
      }),
    );
    if (first !== undefined && second !== undefined) this.naming.sawPair(first, second);
  }

  async #list(): Promise<void> {
    const { target } = this.around;
    const done = await this.call('lists the names', () => target.names({ limit: 1000 }));
    if (done === undefined) return;
    const names = done.result.names.map(({ name, id }) => ({ name, id: id.toString() }));
    this.naming.listed(names, done.span);
  }

  /** A view stays that of its region, whoever gets the name. */
  async #map(name: string): Promise<void> {
    const { target, ownership } = this.around;
    if (this.#held.length > 1) {
      this.releaseOne();
      return;
    }
    const found = await this.find(name);
    if (found === undefined) return;
    const id = found.toString();
    const done = await this.call(`maps ${id}`, () => target.map(found));
    if (done === undefined) return;
    this.#held.push({ id, mapping: done.result });
    ownership.saw(id, 0, viewOf(done.result).slice(), done.span);
  }

  #release({ id, mapping }: Held): void {
    this.around.ownership.held(id, viewOf(mapping));
    this.around.note(`${this.name} releases its view of ${id}`);
    mapping.release();
  }

  // ---- several at once ----

  /**
   * As commands of Redis do that read a value and then put another one: if that is done, nobody has
   * changed the value in between.
   */
  async #replaceRead(name: string): Promise<void> {
    const { ownership, schedule } = this.around;
    const target = this.around.target as BaseTarget;
    const id = await this.find(name);
    if (id === undefined) return;
    const seen = { id, changes: target.changesOf(id) };
    const read = await this.call(`reads ${id.toString()}`, async () => {
      const { size } = await target.stat(id);
      return target.read(id, 0, size);
    });
    if (read === undefined) return;
    ownership.saw(id.toString(), 0, read.result, read.span);
    if (schedule.random.below(2) === 0) await schedule.pause();
    const isDone =
      schedule.random.below(2) === 0
        ? await this.#putUnchanged(name, seen)
        : (await this.#transactAll(
            `replaces what it has read of ${short(name)}`,
            (span) => [this.#askPut(name, this.contents(), span)],
            [{ type: 'expect', name, id }],
            [seen],
          )) !== undefined;
    if (!isDone) return;
    this.naming.madeAsExpected(id.toString());
    ownership.replaced(id.toString(), read.result);
  }

  async #putUnchanged(name: string, seen: SeenBytes): Promise<boolean> {
    const target = this.around.target as BaseTarget;
    const put = (contents: Uint8Array): Promise<RegionId> => target.putUnchanged(name, contents, seen);
    return (await this.putAs(name, `unless ${seen.id.toString()} was changed`, put)) !== undefined;
  }

  /** Some changes, all of them or none. */
  async #transact(): Promise<void> {
    const { schedule } = this.around;
    const { random } = schedule;
    const names = [...NAMES].sort(() => random.below(3) - 1).slice(0, 1 + random.below(3));
    await this.#transactAll(`changes ${names.map(short).join()} at once`, (span) =>
      names.map((name) => this.#ask(name, span)),
    );
  }

  #ask(name: string, span: Span): Asked {
    const { schedule } = this.around;
    const none = (): void => undefined;
    switch (schedule.random.below(4)) {
      case 0:
        return {
          change: { type: 'erase', ref: name },
          begun: [this.naming.begin(name, span)],
          owned: undefined,
          end: none,
        };
      case 1: {
        const bytes = this.contents();
        const end = this.naming.beginWrite(name, 0, bytes, span);
        return { change: { type: 'write', ref: name, offset: 0, bytes }, begun: [], owned: undefined, end };
      }
      default:
        return this.#askPut(name, this.contents(), span);
    }
  }

  #askPut(name: string, contents: Uint8Array, span: Span): Asked {
    const owned = this.around.ownership.beginCreate(contents.length, contents, span);
    const begun = [this.naming.begin(name, span, owned)];
    return { change: { type: 'put', name, contents }, begun, owned, end: () => undefined };
  }

  /** @returns the IDs of regions that were put, by change */
  async #transactAll(
    what: string,
    ask: (span: Span) => readonly Asked[],
    conditions: readonly Change[] = [],
    seen: readonly SeenBytes[] = [],
  ): Promise<readonly (RegionId | null)[] | undefined> {
    const { target, ownership, failures } = this.around;
    let asked: readonly Asked[] = [];
    const done = await this.call(
      what,
      (span) => {
        asked = ask(span);
        failures.journal();
        const changes = [...conditions, ...asked.map(({ change }) => change)];
        return seen.length === 0
          ? target.transact(changes)
          : (target as BaseTarget).transactUnchanged(changes, seen);
      },
      (_span, _code, isUncertain) => {
        for (const one of asked) {
          if (isUncertain) {
            if (one.owned !== undefined) ownership.lostCreate(one.owned);
            continue;
          }
          if (one.owned !== undefined) ownership.notCreated(one.owned);
          this.end(one, false);
        }
      },
    );
    if (done === undefined) return undefined;
    const ids = done.result.ids.slice(conditions.length);
    ownership.end(done.span);
    for (const [index, { owned }] of asked.entries())
      if (owned !== undefined) this.made(owned, ids[index] as RegionId);
    for (const one of asked) this.end(one, true);
    return ids;
  }

  async #putPair(): Promise<void> {
    const [first] = PAIR;
    // Half of them only if nobody else has put a pair meanwhile.
    const expected = this.around.schedule.random.below(2) === 0 ? undefined : await this.find(first);
    const conditions: Change[] =
      expected === undefined ? [] : [{ type: 'expect', name: first, id: expected }];
    const contents = this.contents();
    const ids = await this.#transactAll(
      `puts ${contents.length} to a pair`,
      (span) =>
        PAIR.map((name) => {
          const asked = this.#askPut(name, contents, span);
          (asked.owned as Owned).isPrivate = true;
          return asked;
        }),
      conditions,
    );
    if (ids === undefined) return;
    if (expected !== undefined) this.naming.madeAsExpected(expected.toString());
    const [one, other] = ids.map(String);
    this.naming.paired(one as string, other as string);
  }

  async #readPair(): Promise<void> {
    const [first, second] = PAIR;
    const before = await this.find(first);
    const between = await this.find(second);
    const after = await this.find(first);
    if (before === undefined || between === undefined || after?.equals(before) !== true) return;
    this.naming.sawPair(before.toString(), between.toString());
  }
}

function viewOf({ views }: RegionMapping): Uint8Array {
  return views[0] ?? new Uint8Array(0);
}
