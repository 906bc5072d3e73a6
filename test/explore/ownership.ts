/**
 * Whose every byte may be: what was asked for and what was answered, in the order in which it happened, and what follows from it. It knows
 * nothing of slots, extents or pins.
 *
 * A byte that somebody saw in a region must have been put there by a write to that region, one that had begun by then and that no other
 * had surely replaced. A region is found from the answer to its creation until its erase is asked for, under one ID that no other has or
 * had. What was asked for on one connection happens in that order; anything else that overlaps in time happens in any.
 */

/** What asks, in order; nothing where what overlaps may happen in any order. */
export interface Lane {
  readonly name: string;
}

/** From the asking to the answer; times are numbers of events. */
export class Span {
  ended = Infinity;

  /** @param isCall whether it began with the call of the target itself, so that an erase counts from then on */
  constructor(
    readonly began: number,
    readonly lane?: Lane,
    readonly isCall = false,
  ) {}

  /** The same for what was called again and again in that time. */
  asSeveralCalls(): Span {
    const span = new Span(this.began, this.lane);
    span.ended = this.ended;
    return span;
  }

  /** Whether this was surely over before the other one began. */
  isBefore(other: Span): boolean {
    if (this.ended < other.began) return true;
    return this.lane !== undefined && this.lane === other.lane && this.began < other.began;
  }
}

interface Write {
  readonly span: Span;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Whether it was answered as done. */
  isDone: boolean;
}

/** Something that was seen in a region, bytes or only its being there. */
interface Sight {
  readonly span: Span;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class Owned {
  id: string | undefined;
  readonly writes: Write[] = [];
  created: Span;
  /** That were asked for: one that succeeded, and those of which nobody knows yet. */
  readonly erases = new Set<Span>();
  /** Those that were refused. While each was under way, the region was refused as not there. */
  readonly refusedErases: Span[] = [];
  erased: Span | undefined;
  /** Whether nobody knows whether it is there: its creation, or its erase, was never answered, or a name that it had got another. */
  isUncertain = false;
  /** Of a change that has surely given its name to another region, or to none. */
  gone: Span | undefined;
  /** Whether it ever may have had a name. Then an erase may have to wait, and refuses nothing at once. */
  isNamed = false;
  /** Whether it may have another name than it was given, or none. */
  hasMoved = false;
  mayBeNameless = false;
  /** Whether it is used by name only. */
  isPrivate = false;

  constructor(
    readonly size: number,
    contents: Uint8Array | undefined,
    created: Span,
  ) {
    this.created = created;
    this.writes.push({
      span: new Span(-1),
      offset: 0,
      bytes: contents ?? new Uint8Array(size),
      isDone: true,
    });
    (this.writes[0] as Write).span.ended = -1;
  }
}

export class OwnershipFault extends Error {}

/** Whether an erase that was refused in the end was under way, which refuses what comes meanwhile. */
function wasRefused({ refusedErases }: Owned, span: Span): boolean {
  return refusedErases.some((erase) => erase.began < span.ended && !erase.isBefore(span));
}

function fault(text: string): never {
  throw new OwnershipFault(text);
}

const NOTHING = new Uint8Array(0);

export class Ownership {
  #now = 0;
  readonly #regions = new Map<string, Owned>();
  /** IDs that must never be given out any more, nor those before them in their slots, as importErased was told. */
  readonly #dead: { readonly slot: number; readonly generation: number; readonly since: number }[] = [];
  /** What was seen under IDs that nobody was given yet. */
  readonly #early = new Map<string, Sight[]>();
  /** Erases of such: those that were asked for, and those that succeeded. */
  readonly #earlyErases = new Map<string, Set<Span>>();
  readonly #earlyErased = new Map<string, Span>();
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
    owned.writes.push({ span, offset, bytes: bytes.slice(), isDone: true });
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
    if (owned?.erases.delete(span) !== true) return;
    owned.isUncertain = true;
    // It refuses nothing any more, if it has not taken place.
    owned.erases.add(span.asSeveralCalls());
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

  #checkBytes({ id, writes }: Owned, { span, offset, bytes }: Sight): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    const before = writes.filter(
      (write) =>
        write.span.began < span.ended && write.offset < end && write.offset + write.bytes.length > offset,
    );
    // Mostly the last one has all of them.
    const last = before.at(-1);
    if (last !== undefined && last.offset <= offset && last.offset + last.bytes.length >= end) {
      const same = last.bytes.subarray(offset - last.offset, end - last.offset);
      if (Buffer.compare(same, bytes) === 0) return;
    }
    for (const [index, byte] of bytes.entries()) {
      const at = offset + index;
      const covers = (write: Write): boolean => at >= write.offset && at < write.offset + write.bytes.length;
      const isPossible = before.some(
        (write) =>
          covers(write) &&
          write.bytes[at - write.offset] === byte &&
          !before.some(
            (newer) =>
              newer.isDone && covers(newer) && write.span.isBefore(newer.span) && newer.span.isBefore(span),
          ),
      );
      if (!isPossible) {
        const owner = this.#ownerOf(bytes.subarray(index), at);
        fault(`byte ${at} of the region ${id ?? ''} is ${byte}, which nobody can have put there${owner}`);
      }
    }
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
   * A listing that was whole: every region that was there all the time is in it, once, and nothing that cannot be.
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
    this.#ids = [];
    this.#dead.length = 0;
  }
}

function markErased(owned: Owned, span: Span): void {
  owned.erased = span;
  owned.erases.add(span);
}

export function wordsOf(id: string): { slot: number; generation: number } {
  const bytes = Buffer.from(id, 'hex');
  return { slot: bytes.readUInt32LE(0), generation: bytes.readUInt32LE(4) };
}
