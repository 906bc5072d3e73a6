/**
 * A user of a target in its own process: it makes, writes, reads, maps, erases, lists and imports,
 * guesses the IDs that come next, and does some of it in each of several microtasks in a row. What
 * it sees goes to the ownership of bytes.
 */
import { RegionId, type RegionMapping } from '../../core/index.js';
import { contentsOf } from '../crash/program-run.js';
import { codeOf, ExploringClient, REFUSALS } from './exploring-client.js';
import type { Owned, Span } from './owned.js';
import { wordsOf } from './ownership.js';

const SIZES = [0, 1, 8, 63, 64, 65, 100, 200, 512, 700];
const LOOKS = 24;
/** IDs that are told apart by their generations alone are guessed at so far ahead. */
const AHEAD = 2;

interface Held {
  readonly id: string;
  readonly owned: Owned | undefined;
  readonly mapping: RegionMapping;
}

export class LocalClient extends ExploringClient {
  protected readonly hurry = 3;
  readonly #held: Held[] = [];
  /** Most of what it asks for now is refused, and not worth a note. */
  #isGuessing = false;

  protected get isHolding(): boolean {
    return this.#held.length > 0;
  }

  protected override look(): void {
    this.#lookAtHeld();
  }

  protected async doSomething(): Promise<unknown> {
    const { random } = this.around.schedule;
    const { isMappable, isImportable } = this.around;
    switch (random.below(20)) {
      case 0:
      case 1:
        return this.#create();
      case 2:
      case 4:
        return this.#createAndWrite();
      case 5:
      case 6:
        return this.#erase(this.#someId());
      case 7:
      case 8:
        return this.#write(this.#someId());
      case 9:
        return this.#read(this.#someId());
      case 10:
        return random.below(2) === 0 ? this.#list() : this.#eraseUnderUse(this.#someId());
      case 11:
        return isMappable ? this.#map(this.#someId()) : this.#read(this.#someId());
      case 12:
        return this.#held.length > 0 ? this.#useHeld() : this.#persist(this.#someId());
      case 13:
      case 14:
      case 15:
        return this.#guess();
      case 16:
        return this.#createMany();
      case 17:
        return isImportable ? this.#import() : this.#create();
      case 3:
        return this.#eraseUnderUse(this.#someId());
      case 18:
        return isImportable ? this.#importErased() : this.#stat(this.#someId());
      default:
        return random.below(3) === 0 ? this.#breakOff() : this.#writeMany(this.#someId());
    }
  }

  // ---- which ----

  /** One that is there, as a rule; else one that was, or that may come. */
  #someId(): RegionId | undefined {
    const { ownership, schedule } = this.around;
    const { random } = schedule;
    const { shared, ids } = ownership;
    const known = random.below(8) > 0 ? shared.map(({ id }) => id as string) : ids;
    // What everybody uses at once is more telling.
    const some = known.slice(-3);
    return some.length === 0 ? undefined : RegionId.parse(random.pick(random.below(2) === 0 ? some : known));
  }

  /** An ID that is likely to be given out next: that of a slot that was used, some generations on. */
  #coming(): RegionId | undefined {
    const { ownership, schedule } = this.around;
    const { random } = schedule;
    const { ids } = ownership;
    if (ids.length === 0) return undefined;
    const last = new Map<number, string>();
    for (const id of ids) {
      const { slot, generation } = wordsOf(id);
      if (generation > wordsOf(last.get(slot) ?? id).generation || !last.has(slot)) last.set(slot, id);
    }
    const lowest = [...last.entries()].filter(([, id]) => (ownership.find(id)?.erases.size ?? 0) > 0);
    lowest.sort(([one], [other]) => one - other);
    // The lowest free slot is taken next.
    const [, id] =
      lowest.length === 0 || random.below(4) === 0 ? ['', random.pick(ids)] : (lowest[0] as [number, string]);
    const { slot, generation, poolLow, poolHigh } = RegionId.parse(id);
    return RegionId.of(slot, generation + 1 + random.below(AHEAD), poolLow, poolHigh);
  }

  // ---- calls ----

  /** Counts a call as open until it has ended. @returns nothing if it was refused */
  async #call<T>(
    what: string,
    make: (span: Span) => Promise<T>,
    refused?: (span: Span, code: string) => void,
  ): Promise<{ result: T; span: Span } | undefined> {
    const { ownership, calls, note, nextNumber } = this.around;
    const number = nextNumber();
    const span = ownership.beginCall();
    const text = `${this.name} ${what}`;
    if (!what.startsWith('list')) calls.set(number, text);
    if (!this.#isGuessing) note(`${text}…`);
    try {
      const result = await make(span);
      if (!this.#isGuessing || !what.startsWith('create')) note(`${text}: done`);
      return { result, span };
    } catch (error) {
      const code = codeOf(error);
      if (!this.#isGuessing) note(`${text}: ${code}`);
      if (!REFUSALS.has(code) && !this.around.failures.areUncertain(code)) throw error;
      refused?.(span, code);
      return undefined;
    } finally {
      calls.delete(number);
    }
  }

  async #create(size = this.around.schedule.random.pick(SIZES)): Promise<void> {
    const { target, ownership } = this.around;
    let owned: Owned | undefined;
    const made = await this.#call(
      `create ${size}`,
      (span) => {
        owned = ownership.beginCreate(size, undefined, span);
        return target.create(size);
      },
      (_span, code) => this.#notCreated(owned as Owned, code),
    );
    if (made !== undefined) ownership.created(owned as Owned, made.result.toString());
  }

  #notCreated(owned: Owned, code: string): void {
    const { ownership, failures } = this.around;
    if (failures.areUncertain(code)) ownership.lostCreate(owned);
    else ownership.notCreated(owned);
  }

  async #createAndWrite(size = this.around.schedule.random.pick(SIZES)): Promise<void> {
    const { target, ownership, schedule, nextNumber } = this.around;
    const { random } = schedule;
    const contents = contentsOf(nextNumber(), size);
    const persist = random.below(2) === 0;
    let owned: Owned | undefined;
    const made = await this.#call(
      `createAndWrite ${size}`,
      (span) => {
        owned = ownership.beginCreate(size, contents, span);
        const source = random.below(2) === 0 ? contents : { size, source: this.#pieces(contents) };
        return target.createAndWrite(source, { persist });
      },
      (_span, code) => this.#notCreated(owned as Owned, code),
    );
    if (made !== undefined) ownership.created(owned as Owned, made.result.toString());
  }

  async *#pieces(contents: Uint8Array, failsAt = Infinity): AsyncGenerator<Uint8Array> {
    const { schedule } = this.around;
    for (let at = 0; at < contents.length;) {
      const piece = contents.subarray(at, at + 1 + schedule.random.below(contents.length));
      if (schedule.random.below(2) === 0) await schedule.pause();
      if (at + piece.length > failsAt)
        throw Object.assign(new Error('the source has failed'), { code: 'ABORTED' });
      yield piece;
      at += piece.length;
    }
    if (failsAt < Infinity) throw Object.assign(new Error('the source has failed'), { code: 'ABORTED' });
  }

  /** A creation that fails half way. */
  async #breakOff(): Promise<void> {
    const { target, schedule, nextNumber } = this.around;
    const size = schedule.random.pick(SIZES);
    const contents = contentsOf(nextNumber(), size);
    const source = this.#pieces(contents, schedule.random.below(size + 1));
    const made = await this.#call(`a creation of ${size} that breaks off`, () =>
      target.createAndWrite({ size, source }),
    );
    if (made !== undefined) throw new Error('a region was made of a source that failed');
  }

  async #erase(id: RegionId | undefined): Promise<void> {
    if (id === undefined) return;
    const { target, ownership, failures } = this.around;
    const text = id.toString();
    const done = await this.#call(
      `erase ${text}`,
      (span) => {
        ownership.beginErase(text, span);
        return target.erase(id);
      },
      (span, code) => {
        if (code === 'REGION_NOT_FOUND') ownership.missed(text, span);
        if (failures.areUncertain(code)) ownership.lostErase(text, span);
        else ownership.notErased(text, span);
      },
    );
    if (done !== undefined) ownership.erased(text, done.span);
  }

  /** An offset and a size within a region of the size that this one is known to have. */
  #part(id: RegionId): { offset: number; size: number } {
    const { ownership, schedule } = this.around;
    const { random } = schedule;
    const whole = ownership.find(id.toString())?.size ?? 64;
    const offset = random.below(3) === 0 ? random.below(whole + 1) : 0;
    return { offset, size: random.below(3) === 0 ? random.below(whole - offset + 1) : whole - offset };
  }

  #missed(id: RegionId): (span: Span, code: string) => void {
    return (span, code) => {
      if (code === 'REGION_NOT_FOUND') this.around.ownership.missed(id.toString(), span);
    };
  }

  async #write(id: RegionId | undefined): Promise<void> {
    if (id === undefined) return;
    const { target, ownership, schedule, nextNumber } = this.around;
    const { offset, size } = this.#part(id);
    const bytes = contentsOf(nextNumber(), size);
    const persist = schedule.random.below(2) === 0;
    let end = (): void => undefined;
    const done = await this.#call(
      `write ${id.toString()} ${offset}+${size}`,
      (span) => {
        end = ownership.beginWrite(id.toString(), offset, bytes, span);
        return target.write(id, offset, bytes, { persist });
      },
      this.#missed(id),
    );
    if (done !== undefined) end();
  }

  async #writeMany(id: RegionId | undefined): Promise<void> {
    const size = id === undefined ? undefined : this.around.ownership.find(id.toString())?.size;
    if (id === undefined || size === undefined || size < 4) return;
    const { target, ownership, schedule, nextNumber } = this.around;
    const half = size >> 1;
    const bytes = contentsOf(nextNumber(), size);
    const ranges = [
      { offset: half, size: size - half },
      { offset: 0, size: half },
    ];
    const ends: (() => void)[] = [];
    const done = await this.#call(
      `writev ${id.toString()}`,
      (span) => {
        ends.push(ownership.beginWrite(id.toString(), half, bytes.subarray(0, size - half), span));
        ends.push(ownership.beginWrite(id.toString(), 0, bytes.subarray(size - half), span));
        return target.writev(id, ranges, bytes, { persist: schedule.random.below(2) === 0 });
      },
      this.#missed(id),
    );
    if (done !== undefined) for (const end of ends) end();
  }

  /** @returns whether it was there */
  async #read(id: RegionId | undefined): Promise<boolean> {
    if (id === undefined) return false;
    const { target, ownership, schedule } = this.around;
    const { offset, size } = this.#part(id);
    const how = schedule.random.below(4);
    const read = async (): Promise<Uint8Array> => {
      if (how === 0) return target.read(id, offset, size);
      if (how <= 2) {
        const half = size >> 1;
        return target.readv(id, [
          { offset, size: half },
          { offset: offset + half, size: size - half },
        ]);
      }
      const into = new Uint8Array(size);
      await target.readInto(id, offset, into);
      return into;
    };
    const done = await this.#call(`read ${id.toString()} ${offset}+${size}`, read, this.#missed(id));
    if (done !== undefined) ownership.saw(id.toString(), offset, done.result, done.span);
    return done !== undefined;
  }

  async #stat(id: RegionId | undefined): Promise<void> {
    if (id === undefined) return;
    const { target, ownership } = this.around;
    const done = await this.#call(`stat ${id.toString()}`, () => target.stat(id), this.#missed(id));
    if (done !== undefined) ownership.saw(id.toString(), 0, new Uint8Array(0), done.span);
  }

  async #persist(id: RegionId | undefined): Promise<void> {
    if (id === undefined) return;
    const { target } = this.around;
    await this.#call(`persist ${id.toString()}`, () => target.persist(id), this.#missed(id));
  }

  async #list(): Promise<void> {
    const { target, ownership, schedule } = this.around;
    const limit = schedule.random.pick([1, 2, 1000, 1000]);
    let pages = 0;
    const done = await this.#call(`list by ${limit}`, async () => {
      const found: { id: string; size: number }[] = [];
      pages = 0;
      let after: RegionId | undefined;
      do {
        // Between two pages nothing is open.
        const page = await target.list({ limit, ...(after !== undefined && { after }) });
        pages++;
        found.push(...page.regions.map(({ id, size }) => ({ id: id.toString(), size })));
        after = page.next;
        if (after !== undefined) await schedule.pause();
      } while (after !== undefined);
      return found;
    });
    // Page by page: an erase refuses what is called after it, and not the pages that are still to come.
    if (done !== undefined)
      ownership.listed(done.result, pages === 1 ? done.span : done.span.asSeveralCalls());
  }

  // ---- mappings ----

  /** @returns whether it was there */
  async #map(id: RegionId | undefined): Promise<boolean> {
    if (id === undefined) return false;
    const { target, ownership } = this.around;
    const text = id.toString();
    const done = await this.#call(`map ${text}`, () => target.map(id), this.#missed(id));
    if (done === undefined) return false;
    const { mapping, owned } = { mapping: done.result, owned: ownership.find(text) };
    this.#held.push({ id: text, owned, mapping });
    ownership.saw(text, 0, viewOf(mapping).slice(), done.span);
    return true;
  }

  #lookAtHeld(): void {
    for (const { id, mapping } of this.#held) this.around.ownership.held(id, viewOf(mapping));
  }

  async #useHeld(): Promise<void> {
    const { ownership, schedule, nextNumber, note } = this.around;
    const { random } = schedule;
    await Promise.resolve();
    if (random.below(2) === 0) {
      this.releaseOne();
      return;
    }
    const { id, mapping } = random.pick(this.#held);
    const owned = ownership.find(id);
    const view = viewOf(mapping);
    if (owned === undefined || view.length === 0) return;
    const bytes = contentsOf(nextNumber(), view.length);
    note(`${this.name} stores through its view of ${id}`);
    ownership.stored(owned, 0, bytes);
    view.set(bytes);
  }

  protected releaseOne(): void {
    if (this.#held.length > 0) this.#release(this.around.schedule.random.pick(this.#held));
  }

  #release(held: Held): void {
    this.#held.splice(this.#held.indexOf(held), 1);
    this.around.ownership.held(held.id, viewOf(held.mapping));
    this.around.note(`${this.name} releases its view of ${held.id}`);
    held.mapping.release();
  }

  // ---- in each of many microtasks ----

  /** Looks for what may come, as often as the engine lets it. */
  async #guess(): Promise<void> {
    const id = this.#coming();
    if (id === undefined) return;
    const { isMappable, isImportable, schedule, ownership, note } = this.around;
    const doesMap = isMappable && schedule.random.below(2) === 0;
    const all: Promise<unknown>[] = [];
    // It may be made at the same time.
    const how = schedule.random.below(4);
    if (how === 0) all.push(this.#createAndWrite());
    else if (how < 3 && isImportable) all.push(this.#import(id));
    // Who fails is asked at the end, with all of them.
    all[0]?.catch(() => undefined);
    const found: true[] = [];
    this.#isGuessing = true;
    note(`${this.name} looks for ${id.toString()} again and again`);
    for (let left = schedule.random.pick([1, 8, 20]) * LOOKS; left > 0 && found.length === 0; left--) {
      const look = doesMap ? this.#map(id) : this.#read(id);
      all.push(look);
      look.then((isThere) => isThere && found.push(true)).catch(() => undefined);
      // In each of many microtasks; then when it is its turn again.
      if (left % LOOKS === 1) await schedule.pause();
      else await Promise.resolve();
    }
    this.#isGuessing = false;
    // The first one alone keeps the region then.
    if (doesMap)
      for (const later of this.#held.filter((held) => held.id === id.toString()).slice(1))
        this.#release(later);
    if (found.length > 0 && schedule.random.below(4) > 0) {
      // What the space is given to next must not be seen, nor changed, through what was found.
      const size = ownership.find(id.toString())?.size;
      await this.#erase(id);
      await Promise.all([this.#createAndWrite(size), this.#createAndWrite(size)]);
      this.#lookAtHeld();
    }
    await Promise.all(all);
    while (this.#held.length > 2) this.releaseOne();
  }

  /** Erases a region while it is used, and takes its space again. */
  async #eraseUnderUse(id: RegionId | undefined): Promise<void> {
    if (id === undefined) return;
    const { schedule, ownership } = this.around;
    const { random } = schedule;
    const size = ownership.find(id.toString())?.size;
    const uses: Promise<unknown>[] = [];
    for (let left = 1 + random.below(3); left > 0; left--)
      uses.push(random.pick([() => this.#write(id), () => this.#read(id), () => this.#writeMany(id)])());
    // Who fails is asked later.
    for (const use of uses) use.catch(() => undefined);
    for (let left = random.below(12); left > 0; left--) await Promise.resolve();
    await this.#erase(id);
    for (let left = 1 + random.below(3); left > 0; left--) await this.#createAndWrite(size);
    await Promise.all(uses);
    for (const left of ownership.shared.slice(-3)) await this.#read(RegionId.parse(left.id as string));
  }

  /** Takes all the slots that it can have. */
  async #createMany(): Promise<void> {
    const { schedule, isCheap, note } = this.around;
    const [atOnce, times] = schedule.random.pick<[number, number]>(
      isCheap
        ? [
            [2, 4],
            [8, 24],
          ]
        : [[2, 2]],
    );
    const all: Promise<void>[] = [];
    this.#isGuessing = true;
    note(`${this.name} makes ${atOnce} regions of nothing, ${times} times`);
    for (let left = times; left > 0; left--) {
      for (let each = 0; each < atOnce; each++) all.push(this.#create(0));
      await Promise.resolve();
    }
    await Promise.all(all);
    this.#isGuessing = false;
  }

  // ---- import ----

  async #import(id = this.#coming()): Promise<void> {
    if (id === undefined) return;
    const { target, ownership, schedule, nextNumber } = this.around;
    const { random } = schedule;
    const size = random.pick(SIZES);
    const contents = contentsOf(nextNumber(), size);
    const source = random.below(2) === 0 ? contents : { size, source: this.#pieces(contents) };
    let owned: Owned | undefined;
    const done = await this.#call(
      `import ${id.toString()}`,
      (span) => {
        owned = ownership.beginCreate(size, contents, span);
        return target.importRegion(id, source, { createdAt: 1 });
      },
      (_span, code) => this.#notCreated(owned as Owned, code),
    );
    if (done !== undefined) ownership.created(owned as Owned, id.toString());
  }

  async #importErased(): Promise<void> {
    const id = this.#coming();
    if (id === undefined) return;
    const { target, ownership } = this.around;
    const done = await this.#call(`importErased ${id.toString()}`, () => target.importErased([id]));
    if (done === undefined) return;
    ownership.end(done.span);
    ownership.markDead(id.slot, id.generation);
  }
}

function viewOf({ views }: RegionMapping): Uint8Array {
  return views[0] ?? new Uint8Array(0);
}
