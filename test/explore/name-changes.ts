/**
 * What a user of names does with one of them: it puts, finds, reads, writes, erases and renames, by
 * name or by an ID that it has found. What it sees goes to `Naming`, and to the ownership of bytes.
 */
import type { Change, RegionId } from '../../core/index.js';
import { contentsOf } from '../crash/program-run.js';
import { codeOf, ExploringClient, REFUSALS, type Surroundings } from './exploring-client.js';
import type { NameChange, Naming } from './naming.js';
import type { Owned, Span } from './owned.js';

const SIZES = [0, 1, 8, 40, 64, 65, 200];

export const NAME_REFUSALS: ReadonlySet<string> = new Set([...REFUSALS, 'NAME_TAKEN', 'CONDITION_FAILED']);

/** What a change of a transaction does, for the models. */
export interface Asked {
  readonly change: Change;
  readonly begun: readonly NameChange[];
  readonly owned: Owned | undefined;
  readonly end: () => void;
}

export abstract class NameChanges extends ExploringClient {
  constructor(
    name: string,
    around: Surroundings,
    protected readonly naming: Naming,
  ) {
    super(name, around);
  }

  protected contents(): Uint8Array {
    const { schedule, nextNumber } = this.around;
    return contentsOf(nextNumber(), schedule.random.pick(SIZES));
  }

  // ---- calls ----

  /** Counts a call as open until it has ended. @returns nothing if it was refused */
  protected async call<T>(
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

  protected notFound(name: string): (span: Span, code: string) => void {
    return (span, code) => {
      if (code === 'REGION_NOT_FOUND') this.naming.missed(name, span);
    };
  }

  // ---- one name ----

  protected async putAs(
    name: string,
    how: string,
    put: (contents: Uint8Array) => Promise<RegionId>,
  ): Promise<{ span: Span; change: NameChange } | undefined> {
    const { ownership } = this.around;
    const contents = this.contents();
    let owned: Owned | undefined;
    let change: NameChange | undefined;
    const done = await this.call(
      `puts ${contents.length} to ${short(name)} ${how}`,
      (span) => {
        owned = ownership.beginCreate(contents.length, contents, span);
        change = this.naming.begin(name, span, owned);
        return put(contents);
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
    this.made(owned as Owned, done.result);
    this.naming.done(change as NameChange);
    return { span: done.span, change: change as NameChange };
  }

  #putIf(name: string, condition: 'absent' | RegionId | undefined): ReturnType<NameChanges['putAs']> {
    const { target } = this.around;
    const how = condition === undefined ? '' : `if ${String(condition)}`;
    return this.putAs(name, how, (contents) =>
      target.put(name, contents, { ...(condition !== undefined && { if: condition }) }),
    );
  }

  protected made(owned: Owned, id: RegionId): void {
    this.around.ownership.created(owned, id.toString());
    this.naming.named(owned);
  }

  protected async put(name: string): Promise<void> {
    await this.#putIf(name, undefined);
  }

  protected async putIfAbsent(name: string): Promise<void> {
    const done = await this.#putIf(name, 'absent');
    if (done !== undefined) this.naming.madeAsFree(name, done.span);
  }

  protected async putInPlaceOf(name: string): Promise<void> {
    const id = await this.find(name);
    if (id === undefined) return;
    const done = await this.#putIf(name, id);
    if (done !== undefined) this.naming.madeAsExpected(id.toString());
  }

  protected async find(name: string): Promise<RegionId | undefined> {
    const { target } = this.around;
    const done = await this.call(`finds ${short(name)}`, () => target.find(name), this.notFound(name));
    if (done === undefined) return undefined;
    this.naming.saw(name, done.result.id.toString(), done.span);
    return done.result.id;
  }

  protected async read(name: string): Promise<void> {
    const { target, schedule } = this.around;
    const size = schedule.random.pick(SIZES);
    const read = await this.call(
      `reads ${size} of ${short(name)}`,
      () => target.read(name, 0, size),
      this.notFound(name),
    );
    if (read !== undefined) this.naming.sawBytes(name, 0, read.result, read.span);
  }

  protected async write(name: string): Promise<void> {
    const { target, ownership } = this.around;
    const bytes = this.contents();
    let end = (): void => undefined;
    const done = await this.call(
      `writes ${bytes.length} to ${short(name)}`,
      (span) => {
        end = this.naming.beginWrite(name, 0, bytes, span);
        return target.write(name, 0, bytes, { persist: true });
      },
      this.notFound(name),
    );
    end();
    if (done !== undefined) ownership.end(done.span);
  }

  protected async erase(name: string): Promise<void> {
    const { target, ownership } = this.around;
    let change: NameChange | undefined;
    const done = await this.call(
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

  protected async rename(from: string, to: string | undefined): Promise<void> {
    if (from === to) return;
    const { target, ownership, failures } = this.around;
    let asked: Pick<Asked, 'begun' | 'end'> | undefined;
    const done = await this.call(
      `renames ${short(from)} to ${short(to)}`,
      (span) => {
        asked = this.#beginRename(from, to, span);
        failures.journal();
        return target.rename(from, to ?? null, { replace: true });
      },
      (span, code, isUncertain) => {
        if (code === 'REGION_NOT_FOUND') this.naming.missed(from, span);
        if (!isUncertain) this.end(asked, false);
      },
    );
    if (done === undefined) return;
    ownership.end(done.span);
    this.end(asked, true);
  }

  /** By ID, whatever name the region has by then. */
  protected async eraseFound(name: string): Promise<void> {
    const id = await this.find(name);
    if (id === undefined) return;
    const { target, ownership } = this.around;
    const text = id.toString();
    const done = await this.call(
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

  protected async renameFound(name: string, to: string): Promise<void> {
    const id = await this.find(name);
    const owned = id && this.around.ownership.find(id.toString());
    if (id === undefined || owned === undefined) return;
    const { target, ownership, failures } = this.around;
    let change: NameChange | undefined;
    const done = await this.call(
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

  protected end(asked: Pick<Asked, 'begun' | 'end'> | undefined, isDone: boolean): void {
    asked?.end();
    for (const change of asked?.begun ?? [])
      if (isDone) this.naming.done(change);
      else this.naming.refused(change);
  }
}

/** A name in a note. */
export function short(name: string | undefined): string {
  return name?.slice(0, 5) ?? 'nothing';
}
