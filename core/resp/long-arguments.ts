/**
 * The arguments of a request that are too long to wait for: their bytes land, as they come, where the command wants them, or in a
 * buffer that grows with them. What is to fail anyway, and what there is no memory for, is dropped as it comes.
 *
 * An announcement takes next to nothing: bytes count against the memory of all clients as they come, and a buffer is at most twice as
 * long as what is there of it, unless the client has sent as much at a time before.
 */
import { asBedrockError, BedrockError } from '../base/errors.js';
import { giveBuffer, MOST_POOLED_BYTES, takeBuffer } from '../net/buffer-pool.js';
import type { Share } from '../net/byte-budget.js';
import type { KeptBytes, Landed } from './operation-call.js';
import type { LongArgument } from './request.js';

/** Arguments up to this size are never refused for want of memory, and the first buffer of a larger one has as many bytes. */
const SMALL_BYTES = 2 ** 16;

/** One of them. A class, as the engine takes objects of literals with some members changed for ever new kinds. */
class Arriving implements LongArgument, KeptBytes {
  filled = 0;
  /** Where its bytes are; of one that is not whole, as far as there is room. */
  bytes: Uint8Array;
  lent: Buffer | undefined;
  reserved = 0;

  constructor(
    readonly index: number,
    readonly length: number,
    readonly landed: Landed | undefined,
    /** Why its request will fail; its bytes are dropped. */
    public failure: BedrockError | undefined,
  ) {
    this.bytes = landed?.landing.bytes ?? NOTHING;
  }
}

const NOTHING = Buffer.alloc(0);

export class LongArguments {
  /** Of the request that is being read. */
  all: Arriving[] = [];
  /** The one of them that is not whole yet. */
  #arriving: Arriving | undefined;

  /** Largest buffer that is taken before its bytes have come. */
  #firstBytes = SMALL_BYTES;

  /**
   * @param arriving what they take while they come
   * @param inUse    what they take once calls have them
   */
  constructor(
    private readonly arriving: Share,
    private readonly inUse: Share,
  ) {}

  get isArriving(): boolean {
    return this.#arriving !== undefined;
  }

  /** Bytes that are there of the one that is not whole yet. */
  get filled(): number {
    return this.#arriving?.filled ?? 0;
  }

  /**
   * An argument begins.
   * @param first the bytes of it that are there already
   * @param land where the command wants it; what it throws becomes the answer
   * @returns whether it is whole
   */
  begin(index: number, length: number, first: Uint8Array, land: () => Landed | undefined): boolean {
    const argument = this.#placeOf(index, length, land);
    this.all.push(argument);
    // As much of it as has come there may be more of than the first buffer has.
    for (let at = 0; argument.failure === undefined && at < first.length;) {
      this.#grow(argument);
      const piece = first.subarray(at, argument.bytes.length);
      // Nothing of it, where there was no memory.
      argument.bytes.set(piece, at);
      at += piece.length;
      argument.filled = at;
      this.#count(argument);
    }
    argument.filled = first.length;
    if (first.length === length) return true;
    this.#arriving = argument;
    return false;
  }

  #placeOf(index: number, length: number, land: () => Landed | undefined): Arriving {
    try {
      return new Arriving(index, length, land(), undefined);
    } catch (error) {
      return new Arriving(index, length, undefined, asBedrockError(error));
    }
  }

  /** Where its next bytes go. @param dropped where bytes go that nobody wants */
  room(dropped: Buffer): Buffer {
    const argument = this.#arriving as Arriving;
    this.#grow(argument);
    const { failure, bytes, filled, length } = argument;
    return failure === undefined ? (bytes.subarray(filled) as Buffer) : dropped.subarray(0, length - filled);
  }

  /** Sees to it that there is room for more of it. Only while nothing is being read. */
  #grow(argument: Arriving): void {
    const { filled, bytes, length, failure } = argument;
    if (failure !== undefined || filled < bytes.length || filled === length) return;
    try {
      const lent = takeBuffer(Math.min(length, Math.max(this.#firstBytes, 2 * filled)));
      lent.set(bytes);
      if (argument.lent !== undefined) giveBuffer(argument.lent);
      argument.lent = lent;
      argument.bytes = lent.subarray(0, length);
    } catch (error) {
      this.#fail(argument, asBedrockError(error));
    }
  }

  /** Bytes have come to the room. @returns whether it is whole */
  fill(count: number): boolean {
    const argument = this.#arriving as Arriving;
    argument.filled += count;
    this.#count(argument);
    if (argument.filled < argument.length) return false;
    this.#arriving = undefined;
    // Whoever sends many of a size has them come into one buffer each.
    if (argument.lent !== undefined)
      this.#firstBytes = Math.max(this.#firstBytes, Math.min(argument.length, MOST_POOLED_BYTES));
    return true;
  }

  /** Counts what has come of it. */
  #count(argument: Arriving): void {
    const { lent, filled, reserved, length } = argument;
    if (lent === undefined || filled <= reserved) return;
    if (length <= SMALL_BYTES) {
      this.arriving.force(length);
      argument.reserved = length;
      return;
    }
    const wanted = Math.min(length, Math.ceil(filled / SMALL_BYTES) * SMALL_BYTES);
    if (this.arriving.take(wanted - reserved)) argument.reserved = wanted;
    else
      this.#fail(
        argument,
        new BedrockError('OVERLOADED', 'what clients are sending fills the memory for it; try again later'),
      );
  }

  #fail(argument: Arriving, failure: BedrockError): void {
    argument.failure = failure;
    this.#drop(argument);
    argument.bytes = NOTHING;
    argument.lent = undefined;
    argument.reserved = 0;
  }

  #drop({ lent, reserved }: Arriving): void {
    if (lent !== undefined) giveBuffer(lent);
    this.arriving.give(reserved);
  }

  /** Why the request fails, if it does. */
  get failure(): BedrockError | undefined {
    return this.all.find(({ failure }) => failure !== undefined)?.failure;
  }

  /** Hands an argument over to a call that outlives the request. */
  take(index: number): KeptBytes | undefined {
    const at = this.all.findIndex((each) => each.index === index);
    if (at < 0) return undefined;
    const [argument] = this.all.splice(at, 1) as [Arriving];
    this.arriving.give(argument.reserved);
    this.inUse.force(argument.reserved);
    return argument;
  }

  /** The request is done with those that are left. */
  giveBack(): void {
    for (const argument of this.all) {
      argument.landed?.landing.release();
      this.#drop(argument);
    }
    this.all = [];
    this.#arriving = undefined;
  }
}
