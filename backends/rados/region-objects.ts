/**
 * The bytes of regions: one object for each stripe.
 *
 * | object | holds |
 * |---|---|
 * | `r` ID | the first stripe, and in keys the numbers of further ones; it is there exactly as long as the region is |
 * | `r` ID `.` number | a further stripe; it is there if something in it was written |
 *
 * Each has the attribute `size`, the size of the region in 16 hexadecimal digits; of an erased
 * region it is `-` in the first stripe, which is less. The attribute `filled` of the first stripe
 * says that every further one is there. What lies in no object reads as zeros.
 *
 * Every write asserts in the same operation that its object exists and that its end is within the
 * region. So it neither makes an object of an erased region again, nor lets one grow, however late
 * it arrives. A further stripe is made by its first write: it is noted in the first stripe, then
 * made; then the writer looks whether the first one is still there. If not, the region was erased
 * meanwhile, and the writer removes what it has made.
 *
 * An erasure marks the first stripe, so that no further one is noted any more, removes those that
 * are noted, and the first one last. If it is interrupted, it begins again. Who finds a further
 * stripe missing looks at the first, so nobody takes what is erased for zeros.
 */
import { BedrockError, type RegionRange } from '../../core/index.js';
import type { ReadStep, WriteStep } from './addon.js';
import { ABSENT, CONDITION, EXISTS, type Objects, type Pairs } from './cluster.js';
import { inWindows } from './windows.js';

/** Most objects of a region. */
const MAX_STRIPES = 2 ** 20;
/** Sizes that are remembered, as they never change. */
const KNOWN_SIZES = 10_000;
const SIZE = 'size';
const ERASED = Buffer.from('-');
const FILLED = 'filled';
const NOTED_KEYS = 1000;

/** Pieces in one operation, and their bytes, if there is more than one. */
const MOST_STEPS = 128;
const GROUP_BYTES = 2 ** 22;

/** A region that is being made, and that nobody knows yet. */
export interface Unknown {
  readonly key: string;
  readonly size: number;
  /** Called before an object is removed that is there already. */
  readonly onLeft?: () => Promise<void>;
}

interface Piece {
  /** Where it begins in the object. */
  readonly from: number;
  /** Where it begins among the bytes of the call. */
  readonly at: number;
  readonly size: number;
}

export class RegionObjects {
  readonly #sizes = new Map<string, number>();

  constructor(
    private readonly objects: Objects,
    readonly stripeBytes: number,
    /** The second half of all IDs. */
    private poolId: string,
  ) {}

  /** Takes the regions of another pool id for its own. */
  changePool(poolId: string): void {
    this.poolId = poolId;
    this.#sizes.clear();
  }

  #objectOf(key: string, stripe: number): string {
    return objectOf(key + this.poolId, stripe);
  }

  /** The size of the largest region. */
  get maxBytes(): number {
    return MAX_STRIPES * this.stripeBytes;
  }

  /** Makes a further stripe of a region that nobody knows yet. */
  async makeStripe({ key, size, onLeft }: Unknown, stripe: number, bytes: Uint8Array): Promise<void> {
    await this.#makeObject(this.#objectOf(key, stripe), makingSteps(size, bytes), onLeft);
  }

  /** Makes the first stripe, when the others are there. @param bytes of a filled region */
  async make({ key, size, onLeft }: Unknown, bytes?: Uint8Array): Promise<void> {
    const steps = makingSteps(size, bytes);
    if (bytes !== undefined && size > this.stripeBytes) steps.push(['setxattr', FILLED, Buffer.from('1')]);
    await this.#makeObject(this.#objectOf(key, 0), steps, onLeft);
  }

  /** What is there under a new ID can only be left of an import that was interrupted, and is nobody's. */
  async #makeObject(object: string, steps: readonly WriteStep[], onLeft: Unknown['onLeft']): Promise<void> {
    while ((await this.objects.write(object, steps)) === EXISTS) {
      await onLeft?.();
      await this.objects.write(object, [['remove']]);
    }
  }

  /** Removes a region, or what is there of it. */
  async remove(key: string, size: number): Promise<void> {
    this.#sizes.delete(key);
    const first = this.#objectOf(key, 0);
    if (size > this.stripeBytes) {
      const marked = await this.objects.write(first, [['assertExists'], ['setxattr', SIZE, ERASED]]);
      if (marked === ABSENT) return;
      await this.#removeFurther(key, size);
    }
    await this.objects.write(first, [['remove']]);
  }

  async #removeFurther(key: string, size: number): Promise<void> {
    let from: Buffer = Buffer.alloc(0);
    for (;;) {
      const page = ['omapPage', from, Buffer.alloc(0), NOTED_KEYS] as const;
      const { status, results } = await this.objects.read(this.#objectOf(key, 0), [['xattrs'], page]);
      if (status === ABSENT) return;
      if ((results[0] as Record<string, Buffer>)[FILLED] !== undefined)
        return this.#removeStripes(key, upTo(size / this.stripeBytes));
      const { pairs, more } = results[1] as Pairs;
      const noted = pairs.filter((_, at) => at % 2 === 0);
      await this.#removeStripes(key, noted.map(Number));
      if (!more) return;
      from = noted.at(-1) as Buffer;
    }
  }

  /** Removes so many stripes of a region whose first one may not be there. */
  async removeMade(key: string, stripes: number): Promise<void> {
    await this.#removeStripes(key, [0, ...upTo(stripes)]);
  }

  async #removeStripes(key: string, stripes: Iterable<number>): Promise<void> {
    await inWindows(stripes, async (stripe) => {
      await this.objects.write(this.#objectOf(key, stripe), [['remove']]);
    });
  }

  /** Size of a region, by asking whether it is there. @throws REGION_NOT_FOUND */
  async sizeOf(key: string): Promise<number> {
    const { status, results } = await this.objects.read(this.#objectOf(key, 0), [
      ['assertExists'],
      ['xattrs'],
    ]);
    if (status === ABSENT) throw this.#notFound(key);
    const text = String((results[1] as Record<string, Buffer>)[SIZE]);
    if (text === String(ERASED)) throw this.#notFound(key);
    const size = Number.parseInt(text, 16);
    if (!Number.isSafeInteger(size))
      throw new BedrockError('INTERNAL', `the object of region ${key} has no size`);
    return this.#note(key, size);
  }

  /** The same, from memory where it is known: the region may be gone. @throws REGION_NOT_FOUND */
  async knownSize(key: string): Promise<number> {
    return this.#sizes.get(key) ?? (await this.sizeOf(key));
  }

  #note(key: string, size: number): number {
    if (this.#sizes.size >= KNOWN_SIZES) this.#sizes.clear();
    this.#sizes.set(key, size);
    return size;
  }

  /**
   * Stores the bytes of ranges, which follow each other in `bytes`; the ranges are within the
   * region. Where they overlap, the last one counts.
   * @throws REGION_NOT_FOUND
   */
  async write(key: string, size: number, ranges: readonly RegionRange[], bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) await this.sizeOf(key);
    await inWindows(this.#byStripe(ranges), async ([stripe, groups]) => {
      // In order, as they may overlap.
      for (const pieces of groups) await this.#writePieces(key, size, stripe, pieces, bytes);
    });
  }

  async #writePieces(
    key: string,
    size: number,
    stripe: number,
    pieces: readonly Piece[],
    bytes: Uint8Array,
  ): Promise<void> {
    const object = this.#objectOf(key, stripe);
    const end = stripe * this.stripeBytes + endOf(pieces);
    const writes = pieces.map(({ from, at, size: length }): WriteStep => {
      return ['write', from, bufferOf(bytes.subarray(at, at + length))];
    });
    for (;;) {
      const status = await this.objects.write(object, [
        ['assertExists'],
        ['cmpxattr', SIZE, '<=', sizeText(end)],
        ...writes,
      ]);
      if (status === 0) return;
      if (status === CONDITION) throw await this.#beyond(key, end);
      if (stripe === 0) throw this.#notFound(key);
      // Nothing was written to this stripe yet, or the region is gone.
      await this.#noteStripe(key, stripe, end);
      const made = await this.objects.write(object, [
        ['create'],
        ['setxattr', SIZE, sizeText(size)],
        ...writes,
      ]);
      if (made === EXISTS) continue;
      try {
        await this.sizeOf(key);
      } catch (error) {
        if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND')
          await this.objects.write(object, [['remove']]);
        throw error;
      }
      return;
    }
  }

  /** Notes in the first stripe that there is a further one. @throws REGION_NOT_FOUND */
  async #noteStripe(key: string, stripe: number, end: number): Promise<void> {
    const status = await this.objects.write(this.#objectOf(key, 0), [
      ['assertExists'],
      ['cmpxattr', SIZE, '<=', sizeText(end)],
      ['omapSet', [Buffer.from(String(stripe)), Buffer.alloc(0)]],
    ]);
    if (status === ABSENT) throw this.#notFound(key);
    if (status === CONDITION) throw await this.#beyond(key, end);
  }

  /** Fills a buffer with ranges, one after another; they are within the region. @throws REGION_NOT_FOUND */
  async read(key: string, ranges: readonly RegionRange[], into: Uint8Array): Promise<void> {
    if (into.length === 0) await this.sizeOf(key);
    const sparse = new Set<number>();
    await inWindows(this.#byStripe(ranges), async ([stripe, groups]) => {
      for (const pieces of groups) {
        const end = stripe * this.stripeBytes + endOf(pieces);
        const parts = pieces.map(({ at, size }) => into.subarray(at, at + size));
        const { status, results } = await this.objects.read(this.#objectOf(key, stripe), [
          ['cmpxattr', SIZE, '<=', sizeText(end)],
          ...pieces.map(({ from }, index): ReadStep => ['read', from, bufferOf(parts[index] as Uint8Array)]),
        ]);
        if (status === CONDITION) throw await this.#beyond(key, end);
        if (status === ABSENT && stripe === 0) throw this.#notFound(key);
        if (status === ABSENT) sparse.add(stripe);
        for (const [index, part] of parts.entries())
          part.fill(0, status === ABSENT ? 0 : (results[index + 1] as number));
      }
    });
    if (sparse.size > 0) await this.sizeOf(key);
  }

  /** The pieces of ranges by the stripe that they are in, in groups of one operation each. */
  #byStripe(ranges: readonly RegionRange[]): Map<number, Piece[][]> {
    const stripes = new Map<number, Piece[][]>();
    let before = 0;
    for (const { offset, size } of ranges) {
      for (let at = 0; at < size;) {
        const stripe = Math.floor((offset + at) / this.stripeBytes);
        const from = offset + at - stripe * this.stripeBytes;
        const piece = { from, at: before + at, size: Math.min(size - at, this.stripeBytes - from) };
        const groups = stripes.get(stripe) ?? [];
        stripes.set(stripe, groups);
        const last = groups.at(-1);
        if (last === undefined || !hasRoom(last, piece)) groups.push([piece]);
        else last.push(piece);
        at += piece.size;
      }
      before += size;
    }
    return stripes;
  }

  /** The error for an end that is not within the region. @throws REGION_NOT_FOUND if that is erased */
  async #beyond(key: string, end: number): Promise<BedrockError> {
    await this.sizeOf(key);
    return new BedrockError('OUT_OF_RANGE', `region ${key} ends before ${end}`);
  }

  #notFound(key: string): BedrockError {
    this.#sizes.delete(key);
    return new BedrockError('REGION_NOT_FOUND', `no region ${key} in this namespace`);
  }
}

function hasRoom(group: readonly Piece[], { size }: Piece): boolean {
  const bytes = group.reduce((sum, piece) => sum + piece.size, size);
  return group.length < MOST_STEPS && bytes <= GROUP_BYTES;
}

function endOf(pieces: readonly Piece[]): number {
  return pieces.reduce((end, { from, size }) => Math.max(end, from + size), 0);
}

/** The numbers from 1 to one below a number. */
function* upTo(number: number): Generator<number> {
  for (let each = 1; each < number; each++) yield each;
}

/** The ID of the region that an object belongs to, if it belongs to one. */
export function idOfObject(object: string): string | undefined {
  return /^r([0-9a-f]{32})(?:\.\d+)?$/.exec(object)?.[1];
}

/** @param id 32 hexadecimal digits */
export function objectOf(id: string, stripe: number): string {
  return stripe === 0 ? `r${id}` : `r${id}.${stripe}`;
}

function makingSteps(size: number, bytes?: Uint8Array): WriteStep[] {
  const steps: WriteStep[] = [['create'], ['setxattr', SIZE, sizeText(size)]];
  if (bytes !== undefined && bytes.length > 0) steps.push(['write', 0, bufferOf(bytes)]);
  return steps;
}

/** Of one length, so that texts are ordered as the numbers are. */
function sizeText(size: number): Buffer {
  return Buffer.from(size.toString(16).padStart(16, '0'));
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
