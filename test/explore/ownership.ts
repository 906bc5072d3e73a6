/**
 * Whose every byte may be: what was asked for and what was answered, in the order in which it
 * happened, and what follows from it. It knows nothing of slots, extents or pins.
 *
 * A byte that somebody saw in a region must have been put there by a write to that region, one that
 * had begun by then and that no other had surely replaced. A region is found from the answer to its
 * creation until its erase is asked for, under one ID that no other has or had. What was asked for
 * on one connection happens in that order; anything else that overlaps in time happens in any.
 */
import { checkBytes, fault, markErased, Owned, Span, wasRefused, type Lane, type Sight } from './owned.js';

const NOTHING = new Uint8Array(0);

export class Ownership {
  #now = 0;
  readonly #regions = new Map<string, Owned>();
  /**
   * IDs that must never be given out any more, nor those before them in their slots, as
   * importErased was told.
   */
  readonly #dead: { readonly slot: number; readonly generation: number; readonly since: number }[] = [];
  /** What was seen under IDs that nobody was given yet. */
  readonly #early = new Map<string, Sight[]>();
  /** Erases of such: those that were asked for, and those that succeeded. */
  readonly #earlyErases = new Map<string, Set<Span>>();
  readonly #earlyErased = new Map<string, Span>();
  /** Those of which nobody knows whether they took place. */
  readonly #earlyLost = new Set<string>();
  /** Creations that were never answered. */
  readonly #lost: Owned[] = [];
  readonly #open = new Set<Owned>();
  #ids: string[] = [];
  /** Told of each erase that is asked for. */
  onErase: ((owned: Owned, span: Span) => void) | undefined;
  /** Whether a region may have a name, or none. */
  mayHaveName: (owned: Owned, name: string | undefined) => boolean = () => true;

  begin(lane?: Lane): Span {
    return new Span(++this.#now, lane);
  }

  /** Of a call that is made in this moment. */
  beginCall(): Span {
    return new Span(++this.#now, undefined, true);
  }

  end(span: Span): void {
    span.ended = ++this.#now;
  }

  /** Regions that are there, as far as anybody can know. */
  get live(): Owned[] {
    return [...this.#regions.values()].filter(({ erases }) => erases.size === 0);
  }

  /** Those of them that everybody uses. */
  get shared(): Owned[] {
    return this.live.filter(({ isPrivate }) => !isPrivate);
  }

  find(id: string): Owned | undefined {
    return this.#regions.get(id);
  }

  /** IDs that were given out since the target was opened with nothing in it, except private ones. */
  get ids(): readonly string[] {
    return this.#ids;
  }

  // ---- creation ----

  beginCreate(size: number, contents: Uint8Array | undefined, span: Span): Owned {
    const owned = new Owned(size, contents, span);
    this.#open.add(owned);
    return owned;
  }

  created(owned: Owned, id: string): void {
    this.end(owned.created);
    this.#open.delete(owned);
    this.#name(owned, id);
  }

  #name(owned: Owned, id: string): void {
    if (this.#regions.has(id)) fault(`the ID ${id} was given out twice`);
    const { slot, generation } = wordsOf(id);
    const isDead = this.#dead.some(
      (dead) => dead.slot === slot && generation <= dead.generation && owned.created.began > dead.since,
    );
    if (isDead) fault(`the ID ${id} was given out, though importErased has said that it is gone`);
    owned.id = id;
    this.#regions.set(id, owned);
    if (!owned.isPrivate) this.#ids.push(id);
    for (const span of this.#earlyErases.get(id) ?? []) {
      owned.erases.add(span);
      this.onErase?.(owned, span);
    }
    this.#earlyErases.delete(id);
    if (this.#earlyLost.delete(id)) owned.isUncertain = true;
    const erased = this.#earlyErased.get(id);
    if (erased !== undefined) {
      markErased(owned, erased);
      this.onErase?.(owned, erased);
    }
    for (const sight of this.#early.get(id) ?? []) this.#check(owned, sight);
    this.#early.delete(id);
    this.#earlyErased.delete(id);
  }

  notCreated(owned: Owned): void {
    this.#open.delete(owned);
  }

  /** Nobody will ever know. */
  lostCreate(owned: Owned): void {
    this.#open.delete(owned);
    owned.isUncertain = true;
    this.#lost.push(owned);
  }

  // ---- writes ----

  beginWrite(id: string, offset: number, bytes: Uint8Array, span: Span): () => void {
    const owned = this.#regions.get(id);
    const write = { span, offset, bytes: bytes.slice(), isDone: false };
    owned?.writes.push(write);
    return () => {
      this.end(span);
      write.isDone = true;
      if (owned === undefined) fault(`a write to ${id} succeeded, which is nobody's`);
      this.#checkThere(owned, span, 'was written to');
    };
  }

  /** A store through a view: it happens at once. */
  stored(owned: Owned, offset: number, bytes: Uint8Array): void {
    const span = this.begin();
    span.ended = span.began;
    owned.writes.push({ span, offset, bytes: bytes.slice(), isDone: true, isStore: true });
  }

  // ---- erase ----

  beginErase(id: string, span: Span): Owned | undefined {
    const owned = this.#regions.get(id);
    if (owned !== undefined) {
      owned.erases.add(span);
      this.onErase?.(owned, span);
    } else this.#earlyErases.set(id, (this.#earlyErases.get(id) ?? new Set()).add(span));
    return owned;
  }

  /** @param span that of the erase which succeeded */
  erased(id: string, span: Span): void {
    this.end(span);
    const owned = this.#regions.get(id);
    if (owned === undefined) {
      this.#earlyErased.set(id, span);
      this.#early.set(id, this.#early.get(id) ?? []);
      return;
    }
    if (owned.erased !== undefined) fault(`the region ${id} was erased twice`);
    if (owned.gone?.isBefore(span) === true) fault(`the region ${id} was erased after it was replaced`);
    markErased(owned, span);
  }

  /** It was refused, perhaps because another one was faster. */
  notErased(id: string, span: Span): void {
    this.end(span);
    const owned = this.#regions.get(id);
    if (owned?.erases.delete(span) === true) owned.refusedErases.push(span);
    this.#earlyErases.get(id)?.delete(span);
  }

  /** Nobody will ever know whether it took place. */
  lostErase(id: string, span: Span): void {
    const owned = this.#regions.get(id);
    const erases = owned === undefined ? this.#earlyErases.get(id) : owned.erases;
    if (erases?.delete(span) !== true) return;
    if (owned === undefined) this.#earlyLost.add(id);
    else owned.isUncertain = true;
    // It refuses nothing any more, if it has not taken place.
    erases.add(span.asSeveralCalls());
  }

  markDead(slot: number, generation: number): void {
    this.#dead.push({ slot, generation, since: ++this.#now });
  }

  // ---- what was seen ----

  /** Bytes of a region, or, with none, that it is there. */
  saw(id: string, offset: number, bytes: Uint8Array, span: Span): void {
    if (span.ended === Infinity) this.end(span);
    const sight = { span, offset, bytes: bytes.slice() };
    const owned = this.#regions.get(id);
    if (owned !== undefined) this.#check(owned, sight);
    else this.#early.set(id, [...(this.#early.get(id) ?? []), sight]);
  }

  /** A mapping is held: its bytes are the region's whether it was erased or not. */
  held(id: string, bytes: Uint8Array): void {
    const span = this.begin();
    span.ended = span.began;
    const owned = this.#regions.get(id);
    if (owned !== undefined) this.#checkBytes(owned, { span, offset: 0, bytes });
  }

  /**
   * It was replaced by somebody who had read these bytes: they were the last ones. Of stores
   * through a view the target cannot know.
   */
  replaced(id: string, bytes: Uint8Array): void {
    const owned = this.#regions.get(id);
    if (owned?.writes.some(({ isStore }) => isStore) === false) this.held(id, bytes);
  }

  /** It was refused as not there. */
  missed(id: string, span: Span): void {
    if (span.ended === Infinity) this.end(span);
    const owned = this.#regions.get(id);
    if (owned === undefined || owned.isUncertain || !owned.created.isBefore(span)) return;
    if ([...owned.erases].some((erase) => erase.began < span.ended) || wasRefused(owned, span)) return;
    fault(`the region ${id} was acknowledged, and is not found`);
  }

  /** Whether these bytes may have been seen in a region. */
  couldBe(owned: Owned, offset: number, bytes: Uint8Array, span: Span): boolean {
    try {
      this.#check(owned, { span, offset, bytes });
      return true;
    } catch {
      return false;
    }
  }

  #check(owned: Owned, sight: Sight): void {
    this.#checkThere(owned, sight.span, 'was seen');
    if (sight.offset + sight.bytes.length > owned.size)
      fault(`the region ${owned.id ?? ''} is longer than it was made`);
    this.#checkBytes(owned, sight);
  }

  #checkThere({ id, erased, gone, erases, created, isNamed }: Owned, span: Span, what: string): void {
    const isErased = erased?.isBefore(span) === true || gone?.isBefore(span) === true;
    // Called, it refuses what is called later, though it may take its time.
    const isRefused =
      !isNamed && [...erases].some((erase) => erase.isCall && span.isCall && erase.began < span.began);
    if (isErased || isRefused) fault(`the region ${id ?? ''} ${what} after it was erased`);
    if (created.began > span.ended) fault(`the region ${id ?? ''} ${what} before anybody made it`);
  }

  #checkBytes(owned: Owned, sight: Sight): void {
    checkBytes(owned, sight, (bytes, at) => this.#ownerOf(bytes, at));
  }

  /** Whose bytes these look like. */
  #ownerOf(bytes: Uint8Array, at: number): string {
    const few = bytes.subarray(0, 8);
    if (few.length < 8) return '';
    for (const { id, writes } of this.#regions.values())
      for (const write of writes)
        if (Buffer.from(write.bytes).includes(Buffer.from(few)))
          return `; it looks like a write to the region ${id ?? ''} of ${write.bytes.length} bytes at ${write.offset} (here at ${at})`;
    return '';
  }

  /**
   * A listing that was whole: every region that was there all the time is in it, once, and nothing
   * that cannot be.
   * @param options.hasNamed false for one that lists regions with names by these
   */
  listed(
    regions: readonly { readonly id: string; readonly size?: number }[],
    span: Span,
    { hasNamed = true }: { readonly hasNamed?: boolean } = {},
  ): void {
    this.end(span);
    const seen = new Set<string>();
    for (const { id, size } of regions) {
      if (seen.has(id)) fault(`the region ${id} is listed twice`);
      seen.add(id);
      const owned = this.#regions.get(id);
      if (owned !== undefined && size !== undefined && owned.size !== size)
        fault(`the region ${id} is listed with ${size} bytes, not ${owned.size}`);
      this.saw(id, 0, NOTHING, span);
    }
    for (const owned of this.#regions.values()) {
      const { id = '', created, erases, isUncertain, isNamed } = owned;
      if (isNamed && !hasNamed) continue;
      if (seen.has(id) || isUncertain || !created.isBefore(span) || wasRefused(owned, span)) continue;
      if (![...erases].some((erase) => erase.began < span.ended))
        fault(`the region ${id} is there, and not listed`);
    }
  }

  // ---- while nothing is under way ----

  /** All that is there: no more, no less. Regions whose creation was never answered may be among them. */
  settle(
    regions: readonly {
      readonly id: string;
      readonly size: number;
      readonly bytes: Uint8Array;
      readonly name?: string | undefined;
    }[],
  ): void {
    // Those that somebody saw early leave less to choose from.
    const unknown = regions.filter(({ id }) => !this.#regions.has(id));
    unknown.sort((one, other) => Number(this.#early.has(other.id)) - Number(this.#early.has(one.id)));
    for (const { id, size, bytes, name } of unknown) this.#adopt(id, size, bytes, name);
    for (const { id, bytes } of regions) {
      const owned = this.#regions.get(id) as Owned;
      if (owned.isUncertain && owned.erased === undefined) owned.erases.clear();
      this.saw(id, 0, bytes, this.begin());
      owned.isUncertain = false;
    }
    const seen = new Set(regions.map(({ id }) => id));
    for (const owned of this.live) {
      const { id = '', isUncertain } = owned;
      if (seen.has(id)) continue;
      if (!isUncertain) fault(`the region ${id} was acknowledged, and is not there`);
      const span = this.begin();
      this.end(span);
      markErased(owned, span);
    }
    this.#adoptErased();
    this.#lost.length = 0;
    if (this.#open.size > 0) fault(`${this.#open.size} creations were never answered`);
    for (const [id] of this.#early) fault(`something was found under the ID ${id}, which nobody was given`);
  }

  #adopt(id: string, size: number, bytes: Uint8Array, name: string | undefined): void {
    const sights = this.#early.get(id) ?? [];
    const at = this.#lost.findIndex(
      (lost) =>
        lost.size === size &&
        this.mayHaveName(lost, name) &&
        this.#fits(lost, bytes) &&
        sights.every(({ span }) => lost.created.began < span.ended),
    );
    if (at < 0) fault(`nobody has made the region ${id} of ${size} bytes, with these bytes`);
    const [lost] = this.#lost.splice(at, 1) as [Owned];
    this.#name(lost, id);
  }

  /** Regions whose creation was never answered, and which somebody has found and erased. */
  #adoptErased(): void {
    for (const id of this.#earlyErased.keys()) {
      const sights = this.#early.get(id) ?? [];
      const at = this.#lost.findIndex((lost) =>
        sights.every(
          ({ span, offset, bytes }) =>
            lost.created.began < span.ended &&
            offset + bytes.length <= lost.size &&
            this.#fits(lost, bytes, offset),
        ),
      );
      if (at >= 0) this.#name((this.#lost.splice(at, 1) as [Owned])[0], id);
    }
  }

  #fits(lost: Owned, bytes: Uint8Array, offset = 0): boolean {
    try {
      this.#checkBytes(lost, { span: this.begin(), offset, bytes });
      return true;
    } catch {
      return false;
    }
  }

  /** The target was volatile, and has closed: nothing is there any more. */
  forgetAll(): void {
    for (const owned of this.live) {
      const span = this.begin();
      this.end(span);
      markErased(owned, span);
    }
    this.#lost.length = 0;
    this.#early.clear();
    this.#earlyErased.clear();
    this.#earlyErases.clear();
    this.#earlyLost.clear();
    this.#ids = [];
    this.#dead.length = 0;
  }
}

export function wordsOf(id: string): { slot: number; generation: number } {
  const bytes = Buffer.from(id, 'hex');
  return { slot: bytes.readUInt32LE(0), generation: bytes.readUInt32LE(4) };
}
