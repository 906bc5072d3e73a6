/**
 * One region, as far as those know who use it: when it was made and erased, what was written to it,
 * and which bytes it may have.
 */

/** What asks, in order; nothing where what overlaps may happen in any order. */
export interface Lane {
  readonly name: string;
}

/** From the asking to the answer; times are numbers of events. */
export class Span {
  ended = Infinity;

  /**
   * @param isCall whether it began with the call of the target itself, so that an erase counts from
   *   then on
   */
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

export interface Write {
  readonly span: Span;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Whether it was answered as done. */
  isDone: boolean;
  /** Whether it was a store through a view, of which the target knows nothing. */
  readonly isStore?: boolean;
}

/** Something that was seen in a region, bytes or only its being there. */
export interface Sight {
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
  /**
   * Whether nobody knows whether it is there: its creation, or its erase, was never answered, or a
   * name that it had got another.
   */
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
export function wasRefused({ refusedErases }: Owned, span: Span): boolean {
  return refusedErases.some((erase) => erase.began < span.ended && !erase.isBefore(span));
}

export function fault(text: string): never {
  throw new OwnershipFault(text);
}

export function markErased(owned: Owned, span: Span): void {
  owned.erased = span;
  owned.erases.add(span);
}

/** @param whose tells whose bytes they look like */
export function checkBytes(
  { id, writes }: Owned,
  { span, offset, bytes }: Sight,
  whose: (bytes: Uint8Array, at: number) => string,
): void {
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
      const owner = whose(bytes.subarray(index), at);
      fault(`byte ${at} of the region ${id ?? ''} is ${byte}, which nobody can have put there${owner}`);
    }
  }
}
