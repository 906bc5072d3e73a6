/**
 * A user of a target's names in its own process: it puts, renames, erases, writes and reads by name, lists names, and changes several at
 * once, while others do the same with the same names. What it sees goes to `Naming`, and to the ownership of bytes.
 */
import type { Change, RegionId, RegionMapping } from '../../core/index.js';
import { contentsOf } from '../crash/program-run.js';
import { codeOf, REFUSALS, type Surroundings } from './local-client.js';
import type { NameChange, Naming } from './naming.js';
import type { Owned, Span } from './ownership.js';

/** Two that fit behind most contents, and one that does not. */
const NAMES = ['n/a', 'n/b', `n/${'c'.repeat(70)}`];
/** Only transactions change these, both of them, and no other client uses their regions. */
const PAIR = ['p/a', 'p/b'] as const;
const SIZES = [0, 1, 8, 40, 64, 65, 200];

/** In successive microtasks. */
const LOOKS = 24;

const NAME_REFUSALS = new Set([...REFUSALS, 'NAME_TAKEN', 'CONDITION_FAILED']);

interface Held {
  readonly id: string;
  readonly mapping: RegionMapping;
}

/** What a change of a transaction does, for the models. */
interface Asked {
  readonly change: Change;
  readonly begun: readonly NameChange[];
  readonly owned: Owned | undefined;
  readonly end: () => void;
}

export class NameClient {
  readonly #held: Held[] = [];

  constructor(
    private readonly name: string,
    private readonly around: Surroundings,
    private readonly naming: Naming,
  ) {}

  async run(operations: number): Promise<void> {
    const { schedule } = this.around;
    const underWay: Promise<unknown>[] = [];
    for (let left = operations; left > 0; left--) {
      await schedule.pause();
      const doing = this.#doSomething();
      if (schedule.random.below(2) === 0) {
        // Who fails is asked later.
        doing.catch(() => undefined);
        underWay.push(doing);
      } else {
        await doing;
      }
    }
    await Promise.all(underWay);
    for (const held of this.#held.splice(0)) {
      await schedule.pause();
      this.#release(held);
    }
  }

  #doSomething(): Promise<unknown> {
    const { random } = this.around.schedule;
    switch (random.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#put(this.#someName());
      case 4:
        return this.#putIfAbsent(this.#someName());
      case 5:
        return this.#putInPlaceOf(this.#someName());
      case 6:
        return this.#find(this.#someName());
      case 7:
        return this.#read(this.#someName());
      case 8:
        return this.#write(this.#someName());
      case 9:
        return random.below(2) === 0 ? this.#erase(this.#someName()) : this.#eraseFound(this.#someName());
      case 10:
        return this.#rename(this.#someName(), random.below(5) === 0 ? undefined : this.#someName());
      case 11:
        return this.#list();
      case 12:
        return this.#putPair();
      case 13:
        return this.#readPair();
      case 14:
        return this.#transact();
      case 15:
        return this.#renameFound(this.#someName(), this.#someName());
      case 16:
        return this.#watch([this.#someName()], () => this.#put(NAMES[0] as string));
      case 17:
        return this.#watch(PAIR, () => this.#putPair());
      default:
        return this.around.isMappable ? this.#map(this.#someName()) : this.#find(this.#someName());
    }
  }

  #someName(): string {
    const { random } = this.around.schedule;
    // What everybody changes at once is more telling.
    return random.below(2) === 0 ? (NAMES[0] as string) : random.pick(NAMES);
  }

  #contents(): Uint8Array {
    const { schedule, nextNumber } = this.around;
    return contentsOf(nextNumber(), schedule.random.pick(SIZES));
  }

  // ---- calls ----

  /** Counts a call as open until it has ended. @returns nothing if it was refused */
  async #call<T>(
    what: string,
    make: (span: Span) => Promise<T>,
    refused: (span: Span, code: string, isUncertain: boolean) => void = () => undefined,
  ): Promise<{ result: T; span: Span } | undefined> {
    const { ownership, calls, note, nextNumber, failures } = this.around;
    const number = nextNumber();
    const span = ownership.begin();
    const text = `${this.name} ${what}`;
    calls.set(number, text);
    note(`${text}…`);
    try {
      const result = await make(span);
      note(`${text}: done`);
      return { result, span };
    } catch (error) {
      const code = codeOf(error);
      note(`${text}: ${code}`);
      const isUncertain = failures.areUncertain(code);
      if (!NAME_REFUSALS.has(code) && !isUncertain) throw error;
      // Of what nobody knows, the moment at which it ended is not known either.
      if (!isUncertain) ownership.end(span);
      refused(span, code, isUncertain);
      return undefined;
    } finally {
      calls.delete(number);
    }
  }

  #notFound(name: string): (span: Span, code: string) => void {
    return (span, code) => {
      if (code === 'REGION_NOT_FOUND') this.naming.missed(name, span);
    };
  }

  // ---- one name ----

  async #putAs(
    name: string,
    condition: 'absent' | RegionId | undefined,
  ): Promise<{ span: Span; change: NameChange } | undefined> {
    const { target, ownership } = this.around;
    const contents = this.#contents();
    let owned: Owned | undefined;
    let change: NameChange | undefined;
    const how = condition === undefined ? '' : ` if ${String(condition)}`;
    const done = await this.#call(
      `puts ${contents.length} to ${short(name)}${how}`,
      (span) => {
        owned = ownership.beginCreate(contents.length, contents, span);
        change = this.naming.begin(name, span, owned);
        return target.put(name, contents, { ...(condition !== undefined && { if: condition }) });
      },
      (_span, _code, isUncertain) => {
        if (isUncertain) ownership.lostCreate(owned as Owned);
        else {
          ownership.notCreated(owned as Owned);
          this.naming.refused(change as NameChange);
        }
      },
    );
    if (done === undefined) return undefined;
    this.#made(owned as Owned, done.result);
    this.naming.done(change as NameChange);
    return { span: done.span, change: change as NameChange };
  }

  #made(owned: Owned, id: RegionId): void {
    this.around.ownership.created(owned, id.toString());
    this.naming.named(owned);
  }

  async #put(name: string): Promise<void> {
    await this.#putAs(name, undefined);
  }

  async #putIfAbsent(name: string): Promise<void> {
    const done = await this.#putAs(name, 'absent');
    if (done !== undefined) this.naming.madeAsFree(name, done.span);
  }

  async #putInPlaceOf(name: string): Promise<void> {
    const id = await this.#find(name);
    if (id === undefined) return;
    const done = await this.#putAs(name, id);
    if (done !== undefined) this.naming.madeAsExpected(id.toString());
  }

  async #find(name: string): Promise<RegionId | undefined> {
    const { target } = this.around;
    const done = await this.#call(`finds ${short(name)}`, () => target.find(name), this.#notFound(name));
    if (done === undefined) return undefined;
    this.naming.saw(name, done.result.id.toString(), done.span);
    return done.result.id;
  }

  async #read(name: string): Promise<void> {
    const { target, schedule } = this.around;
    const size = schedule.random.pick(SIZES);
    const read = await this.#call(
      `reads ${size} of ${short(name)}`,
      () => target.read(name, 0, size),
      this.#notFound(name),
    );
    if (read !== undefined) this.naming.sawBytes(name, 0, read.result, read.span);
  }

  async #write(name: string): Promise<void> {
    const { target, ownership } = this.around;
    const bytes = this.#contents();
    let end = (): void => undefined;
    const done = await this.#call(
      `writes ${bytes.length} to ${short(name)}`,
      (span) => {
        end = this.naming.beginWrite(name, 0, bytes, span);
        return target.write(name, 0, bytes, { persist: true });
      },
      this.#notFound(name),
    );
    end();
    if (done !== undefined) ownership.end(done.span);
  }

  async #erase(name: string): Promise<void> {
    const { target, ownership } = this.around;
    let change: NameChange | undefined;
    const done = await this.#call(
      `erases ${short(name)}`,
      (span) => {
        change = this.naming.begin(name, span);
        return target.erase(name);
      },
      (span, code, isUncertain) => {
        if (code === 'REGION_NOT_FOUND') this.naming.missed(name, span);
        if (!isUncertain) this.naming.refused(change as NameChange);
      },
    );
    if (done === undefined) return;
    ownership.end(done.span);
    this.naming.done(change as NameChange);
  }

  async #rename(from: string, to: string | undefined): Promise<void> {
    if (from === to) return;
    const { target, ownership, failures } = this.around;
    let asked: Pick<Asked, 'begun' | 'end'> | undefined;
    const done = await this.#call(
      `renames ${short(from)} to ${short(to)}`,
      (span) => {
        asked = this.#beginRename(from, to, span);
        failures.journal();
        return target.rename(from, to ?? null, { replace: true });
      },
      (span, code, isUncertain) => {
        if (code === 'REGION_NOT_FOUND') this.naming.missed(from, span);
        if (!isUncertain) this.#end(asked, false);
      },
    );
    if (done === undefined) return;
    ownership.end(done.span);
    this.#end(asked, true);
  }

  /** By ID, whatever name the region has by then. */
  async #eraseFound(name: string): Promise<void> {
    const id = await this.#find(name);
    if (id === undefined) return;
    const { target, ownership } = this.around;
    const text = id.toString();
    const done = await this.#call(
      `erases ${text}`,
      (span) => {
        ownership.beginErase(text, span);
        return target.erase(id);
      },
      (span, code, isUncertain) => {
        if (code === 'REGION_NOT_FOUND') ownership.missed(text, span);
        if (isUncertain) ownership.lostErase(text, span);
        else ownership.notErased(text, span);
      },
    );
    if (done !== undefined) ownership.erased(text, done.span);
  }

  async #renameFound(name: string, to: string): Promise<void> {
    const id = await this.#find(name);
    const owned = id && this.around.ownership.find(id.toString());
    if (id === undefined || owned === undefined) return;
    const { target, ownership, failures } = this.around;
    let change: NameChange | undefined;
    const done = await this.#call(
      `renames ${id.toString()} to ${short(to)}`,
      (span) => {
        change = this.naming.beginMoveOf(owned, to, span);
        failures.journal();
        return target.rename(id, to, { replace: true });
      },
      (_span, _code, isUncertain) => {
        if (!isUncertain) this.naming.refused(change as NameChange);
      },
    );
    if (done === undefined) return;
    ownership.end(done.span);
    this.naming.done(change as NameChange);
  }

  #beginRename(from: string, to: string | undefined, span: Span): Pick<Asked, 'begun' | 'end'> {
    const begun = [this.naming.begin(from, span)];
    if (to !== undefined) begun.push(this.naming.begin(to, span, undefined, true));
    return { begun, end: this.naming.beginMove(from, to) };
  }

  #end(asked: Pick<Asked, 'begun' | 'end'> | undefined, isDone: boolean): void {
    asked?.end();
    for (const change of asked?.begun ?? [])
      if (isDone) this.naming.done(change);
      else this.naming.refused(change);
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
    const done = await this.#call('lists the names', () => target.names({ limit: 1000 }));
    if (done === undefined) return;
    const names = done.result.names.map(({ name, id }) => ({ name, id: id.toString() }));
    this.naming.listed(names, done.span);
  }

  /** A view stays that of its region, whoever gets the name. */
  async #map(name: string): Promise<void> {
    const { target, ownership } = this.around;
    if (this.#held.length > 1) {
      this.#release(this.#held.shift() as Held);
      return;
    }
    const found = await this.#find(name);
    if (found === undefined) return;
    const id = found.toString();
    const done = await this.#call(`maps ${id}`, () => target.map(found));
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
        const bytes = this.#contents();
        const end = this.naming.beginWrite(name, 0, bytes, span);
        return { change: { type: 'write', ref: name, offset: 0, bytes }, begun: [], owned: undefined, end };
      }
      default:
        return this.#askPut(name, this.#contents(), span);
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
  ): Promise<readonly (RegionId | null)[] | undefined> {
    const { target, ownership, failures } = this.around;
    let asked: readonly Asked[] = [];
    const done = await this.#call(
      what,
      (span) => {
        asked = ask(span);
        failures.journal();
        return target.transact([...conditions, ...asked.map(({ change }) => change)]);
      },
      (_span, _code, isUncertain) => {
        for (const one of asked) {
          if (isUncertain) {
            if (one.owned !== undefined) ownership.lostCreate(one.owned);
            continue;
          }
          if (one.owned !== undefined) ownership.notCreated(one.owned);
          this.#end(one, false);
        }
      },
    );
    if (done === undefined) return undefined;
    const ids = done.result.ids.slice(conditions.length);
    ownership.end(done.span);
    for (const [index, { owned }] of asked.entries())
      if (owned !== undefined) this.#made(owned, ids[index] as RegionId);
    for (const one of asked) this.#end(one, true);
    return ids;
  }

  async #putPair(): Promise<void> {
    const [first] = PAIR;
    // Half of them only if nobody else has put a pair meanwhile.
    const expected = this.around.schedule.random.below(2) === 0 ? undefined : await this.#find(first);
    const conditions: Change[] =
      expected === undefined ? [] : [{ type: 'expect', name: first, id: expected }];
    const contents = this.#contents();
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
    const before = await this.#find(first);
    const between = await this.#find(second);
    const after = await this.#find(first);
    if (before === undefined || between === undefined || after?.equals(before) !== true) return;
    this.naming.sawPair(before.toString(), between.toString());
  }
}

function viewOf({ views }: RegionMapping): Uint8Array {
  return views[0] ?? new Uint8Array(0);
}

/** A name in a note. */
function short(name: string | undefined): string {
  return name?.slice(0, 5) ?? 'nothing';
}
