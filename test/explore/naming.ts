/**
 * Which region may have which name: what was asked for and what was answered, and what follows from
 * it. It knows nothing of locks, slots or orders.
 *
 * A name leads to a region that was given to it by a change that had begun by then, and never to
 * one that a later change has surely replaced. While a name surely has a region, whoever asks for
 * it finds one, a listing has it, and nobody gets it who wanted it to be free. Of two changes that
 * expect the same region at most one is made. Regions that were put together are seen together.
 */
import { type Owned, OwnershipFault, type Span } from './owned.js';
import type { Ownership } from './ownership.js';

/** What happens to a name: a region gets it, or none has it afterwards. */
export interface NameChange {
  readonly span: Span;
  readonly name: string;
  /** Absent: no region has the name afterwards, or nobody knows which. */
  readonly owned: Owned | undefined;
  /** Whether some region has the name afterwards. */
  readonly gives: boolean;
  outcome: 'open' | 'done' | 'refused';
}

/** A rename that has not been answered: whatever gets the one name may come to the other. */
interface Move {
  readonly from: string;
  readonly to: string | undefined;
}

/** A write by name that has not been answered: it goes to whichever region has the name. */
interface NamedWrite {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly span: Span;
}

export interface SeenName {
  readonly name: string;
  readonly id: string;
}

const NOTHING = new Uint8Array(0);

function fault(text: string): never {
  throw new OwnershipFault(text);
}

export class Naming {
  /** Regions that a name has, may have, or had, since all was last known. */
  readonly #holders = new Map<string, Set<Owned>>();
  readonly #changes = new Map<string, NameChange[]>();
  readonly #moves = new Set<Move>();
  readonly #writes = new Set<NamedWrite>();
  /** What was found under a name before its ID was given to anybody. */
  readonly #early = new Map<string, string[]>();
  /** IDs that a change expected, and was made. */
  readonly #expected = new Set<string>();
  /** Of regions that were put together, by the ID of the first: the ID of the second. */
  readonly #pairs = new Map<string, string>();
  readonly #pairSights: (readonly [string, string])[] = [];

  constructor(private readonly ownership: Ownership) {
    ownership.onErase = (owned, span) => this.#erasing(owned, span);
    ownership.mayHaveName = (owned, name) =>
      name === undefined ? !owned.isNamed || owned.mayBeNameless : this.#holdersOf(name).has(owned);
  }

  // ---- changes ----

  /**
   * A change is asked for.
   * @param owned the region that gets the name
   */
  begin(name: string, span: Span, owned?: Owned, gives = owned !== undefined): NameChange {
    // Any of them may be replaced from now on.
    for (const holder of this.#holdersOf(name)) if (holder !== owned) holder.isUncertain = true;
    if (owned !== undefined) this.#mayHave(owned, name);
    const change: NameChange = { span, name, owned, gives, outcome: 'open' };
    this.#changesOf(name).push(change);
    return change;
  }

  /** Whatever has one name gets the other one, or none. @returns what ends it */
  beginMove(from: string, to: string | undefined): () => void {
    const move = { from, to };
    this.#moves.add(move);
    for (const owned of [...this.#holdersOf(from)]) this.#moved(owned, to);
    return () => this.#moves.delete(move);
  }

  /**
   * A region gets a name, or none, whichever it has.
   * @returns what happens to the name that it gets; the one it had stays in doubt
   */
  beginMoveOf(owned: Owned, to: string | undefined, span: Span): NameChange | undefined {
    for (const [name, holders] of this.#holders)
      if (holders.has(owned) && name !== to) this.begin(name, span);
    const change = to === undefined ? undefined : this.begin(to, span, undefined, true);
    this.#moved(owned, to);
    return change;
  }

  #moved(owned: Owned, to: string | undefined): void {
    owned.hasMoved = true;
    if (to === undefined) owned.mayBeNameless = true;
    else this.#mayHave(owned, to);
  }

  #mayHave(owned: Owned, name: string): void {
    const holders = this.#holdersOf(name);
    owned.isNamed = true;
    // What is under way may replace it.
    const isOpen = ({ span, owned: other }: NameChange): boolean =>
      span.ended === Infinity && other !== owned;
    if (this.#changesOf(name).some(isOpen)) owned.isUncertain = true;
    if (holders.has(owned)) return;
    holders.add(owned);
    for (const span of owned.erases) this.#ended(name, span);
    for (const write of this.#writes) if (write.name === name) maybeWritten(owned, write);
    for (const { from, to } of this.#moves) if (from === name) this.#moved(owned, to);
  }

  /** A change was answered as made. */
  done(change: NameChange): void {
    const { span, name, owned } = change;
    change.outcome = 'done';
    for (const holder of this.#holdersOf(name)) {
      if (holder === owned || holder.hasMoved) continue;
      const given = this.#changesOf(name).find((other) => other.owned === holder);
      if (given?.outcome === 'done' && given.span.isBefore(span)) holder.gone ??= span;
    }
  }

  /**
   * A change was refused. While it was under way, what it would have ended may have been refused as
   * not there.
   */
  refused(change: NameChange): void {
    change.outcome = 'refused';
    if (change.owned?.id === undefined && change.owned !== undefined)
      this.#holdersOf(change.name).delete(change.owned);
  }

  /** Somebody erases a region that may have names. */
  #erasing(owned: Owned, span: Span): void {
    for (const [name, holders] of this.#holders) if (holders.has(owned)) this.#ended(name, span);
  }

  /** A name may have gone with its region. */
  #ended(name: string, span: Span): void {
    this.#changesOf(name).push({ span, name, owned: undefined, gives: false, outcome: 'open' });
  }

  /** A change was made that expected a name to have this region. */
  madeAsExpected(id: string): void {
    if (this.#expected.has(id)) fault(`two changes were made that expected the region ${id}`);
    this.#expected.add(id);
  }

  /** A change was made that expected a name to be free. */
  madeAsFree(name: string, span: Span): void {
    if (this.#isSurelyThere(name, span)) fault(`the name ${name} was taken, and given out as free`);
  }

  // ---- writes by name ----

  /** @returns what ends it */
  beginWrite(name: string, offset: number, bytes: Uint8Array, span: Span): () => void {
    const write = { name, offset, bytes: bytes.slice(), span };
    this.#writes.add(write);
    for (const owned of this.#holdersOf(name)) maybeWritten(owned, write);
    return () => this.#writes.delete(write);
  }

  // ---- what was seen ----

  /** A name led to a region. */
  saw(name: string, id: string, span: Span): void {
    this.ownership.saw(id, 0, NOTHING, span);
    const owned = this.ownership.find(id);
    if (owned === undefined) this.#early.set(id, [...(this.#early.get(id) ?? []), name]);
    else this.#checkHolder(name, owned);
  }

  /** A region has got its ID. */
  named(owned: Owned): void {
    for (const name of this.#early.get(owned.id ?? '') ?? []) this.#checkHolder(name, owned);
    this.#early.delete(owned.id ?? '');
  }

  #checkHolder(name: string, owned: Owned): void {
    if (!this.#holdersOf(name).has(owned))
      fault(`the name ${name} led to the region ${owned.id ?? ''}, which never had it`);
  }

  /** Bytes of whatever had a name. */
  sawBytes(name: string, offset: number, bytes: Uint8Array, span: Span): void {
    this.ownership.end(span);
    for (const owned of this.#holdersOf(name)) if (this.ownership.couldBe(owned, offset, bytes, span)) return;
    fault(`no region that may have had the name ${name} had these ${bytes.length} bytes at ${offset}`);
  }

  /** No region had the name. */
  missed(name: string, span: Span): void {
    this.ownership.end(span);
    if (this.#isSurelyThere(name, span)) fault(`the name ${name} was acknowledged, and is not found`);
  }

  /** All names, at one moment. */
  listed(names: readonly SeenName[], span: Span): void {
    this.ownership.end(span);
    for (const [index, { name, id }] of names.entries()) {
      const before = names[index - 1]?.name;
      if (before !== undefined && Buffer.compare(Buffer.from(before), Buffer.from(name)) >= 0)
        fault(`the name ${name} is listed after ${before}`);
      this.saw(name, id, span);
    }
    this.#checkAllOf(new Set(names.map(({ name }) => name)), span);
  }

  #checkAllOf(names: ReadonlySet<string>, span: Span): void {
    for (const name of this.#changes.keys())
      if (!names.has(name) && this.#isSurelyThere(name, span))
        fault(`the name ${name} was acknowledged, and is not listed`);
  }

  /** Whether a name had a region all the time. */
  #isSurelyThere(name: string, span: Span): boolean {
    const changes = this.#changesOf(name);
    const ends = (change: NameChange): boolean =>
      !change.gives &&
      change.span.began < span.ended &&
      (change.outcome !== 'refused' || change.span.ended > span.began);
    return changes.some(
      (given) =>
        given.gives &&
        given.outcome === 'done' &&
        given.span.isBefore(span) &&
        !changes.some((change) => ends(change) && !change.span.isBefore(given.span)),
    );
  }

  // ---- regions that are put together ----

  paired(first: string, second: string): void {
    this.#pairs.set(first, second);
    for (const [one, other] of this.#pairSights) if (one === first) this.#checkPair(one, other);
  }

  /** The first name led to `first` both before and after the second one led to `second`. */
  sawPair(first: string, second: string): void {
    this.#pairSights.push([first, second]);
    this.#checkPair(first, second);
  }

  #checkPair(first: string, second: string): void {
    const together = this.#pairs.get(first);
    if (together !== undefined && together !== second)
      fault(`the region ${first} was put together with ${together}, and seen beside ${second}`);
  }

  // ---- while nothing is under way ----

  /** All regions that are there, with their names. */
  settle(regions: readonly { readonly id: string; readonly name?: string | undefined }[]): void {
    const now = this.ownership.begin();
    this.ownership.end(now);
    const names = new Map<string, Owned>();
    for (const { id, name } of regions) {
      const owned = this.ownership.find(id) as Owned;
      if (name === undefined) {
        if (owned.isNamed && !owned.mayBeNameless) fault(`the region ${id} has lost its name`);
        continue;
      }
      if (names.has(name)) fault(`two regions have the name ${name}`);
      this.#checkHolder(name, owned);
      names.set(name, owned);
    }
    this.#checkAllOf(new Set(names.keys()), now);
    this.#forgetChanges();
    for (const [name, owned] of names) {
      this.#holdersOf(name).add(owned);
      this.#changesOf(name).push({ span: now, name, owned, gives: true, outcome: 'done' });
      owned.hasMoved = false;
      owned.mayBeNameless = false;
    }
  }

  /** The target was volatile, and has closed. */
  forgetAll(): void {
    this.#forgetChanges();
    this.#expected.clear();
    this.#pairs.clear();
  }

  #forgetChanges(): void {
    this.#holders.clear();
    this.#changes.clear();
    this.#moves.clear();
    this.#writes.clear();
    this.#early.clear();
    this.#pairSights.length = 0;
  }

  #holdersOf(name: string): Set<Owned> {
    let holders = this.#holders.get(name);
    if (holders === undefined) this.#holders.set(name, (holders = new Set()));
    return holders;
  }

  #changesOf(name: string): NameChange[] {
    let changes = this.#changes.get(name);
    if (changes === undefined) this.#changes.set(name, (changes = []));
    return changes;
  }
}

/** A write may have gone to a region. */
function maybeWritten(owned: Owned, { offset, bytes, span }: NamedWrite): void {
  if (offset + bytes.length <= owned.size) owned.writes.push({ span, offset, bytes, isDone: false });
}
