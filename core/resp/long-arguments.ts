/**
 * Arguments of a request that are too long to buffer first. Their bytes land, as they arrive, where
 * the command wants them, or in a buffer that grows with them. Bytes for which there is no memory,
 * or whose request will fail anyway, are dropped as they arrive.
 *
 * An announced length reserves almost nothing. Bytes count against the memory of all clients as
 * they arrive. A buffer is at most twice as long as the bytes in it, unless the client has sent as
 * much at a time before.
 */
import { asBedrockError, type BedrockError } from '../base/errors.js';
import { giveBuffer, MOST_SPARE_BYTES, takeBuffer } from '../net/spare-buffers.js';
import type { Share } from '../net/byte-budget.js';
import { noRoom } from './input.js';
import type { KeptBytes, Landed } from './operation-call.js';
import type { LongArgument } from './request.js';

/**
 * Arguments up to this size are never refused for lack of memory. It is also the size of the first
 * buffer of a larger one.
 */
const SMALL_BYTES = 2 ** 16;

/**
 * A long argument. It is a class, since the engine treats object literals whose members change as
 * ever new kinds of objects.
 */
class Arriving implements LongArgument, KeptBytes {
  filled = 0;
  /** The place of its bytes; for an incomplete argument, only as far as there is room. */
  bytes: Uint8Array;
  lent: Buffer | undefined;
  reserved = 0;

  constructor(
    readonly index: number,
    readonly length: number,
    readonly landed: Landed | undefined,
    /** Why its request will fail; then its bytes are dropped. */
    public failure: BedrockError | undefined,
  ) {
    this.bytes = landed?.landing.bytes ?? NOTHING;
  }
}

const NOTHING = Buffer.alloc(0);

/** Knows where a command wants its last argument. */
export interface LongPlaces {
  /**
   * The place for an argument of the request at hand.
   * @returns nothing if the argument goes to a buffer
   */
  land(length: number): Landed | undefined;
}

export class LongArguments {
  /** The long arguments of the request that is being read. */
  all: Arriving[] = [];
  /** The one that is not complete yet. */
  #arriving: Arriving | undefined;

  /** Whether the current request has a long argument, and whether the previous one had one. */
  #isThere = false;
  #wasThere = false;

  /** The largest buffer that is allocated before its bytes have arrived. */
  #firstBytes = SMALL_BYTES;

  /**
   * @param arriving memory for arguments that are arriving
   * @param inUse memory for arguments that calls use
   */
  constructor(
    private readonly arriving: Share,
    private readonly inUse: Share,
  ) {}

  get isArriving(): boolean {
    return this.#arriving !== undefined;
  }

  /** Whether the next request probably has a long argument, as the current or the previous one has. */
  get isExpected(): boolean {
    return this.#isThere || this.#wasThere;
  }

  /** Bytes of the incomplete argument that have arrived. */
  get filled(): number {
    return this.#arriving?.filled ?? 0;
  }

  /**
   * Begins an argument.
   * @param first bytes of it that have already arrived
   * @param places if the command may want it somewhere; if this throws, the error becomes the reply
   * @returns whether it is complete
   */
  begin(index: number, length: number, first: Uint8Array, places: LongPlaces | undefined): boolean {
    this.#isThere = true;
    const argument = this.#makeArriving(index, length, places);
    this.all.push(argument);
    // More bytes may have arrived than the first buffer holds.
    for (let at = 0; argument.failure === undefined && at < first.length;) {
      this.#grow(argument);
      const piece = first.subarray(at, argument.bytes.length);
      // Without memory, nothing of it is stored.
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

  #makeArriving(index: number, length: number, places: LongPlaces | undefined): Arriving {
    try {
      return new Arriving(index, length, places?.land(length), undefined);
    } catch (error) {
      return new Arriving(index, length, undefined, asBedrockError(error));
    }
  }

  /** Where the next bytes of the argument go. @param dropped where unwanted bytes go */
  room(dropped: Buffer): Buffer {
    const argument = this.#arriving as Arriving;
    this.#grow(argument);
    const { failure, bytes, filled, length } = argument;
    return failure === undefined ? (bytes.subarray(filled) as Buffer) : dropped.subarray(0, length - filled);
  }

  /** Makes room for more bytes of the argument. Only while nothing is being read. */
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

  /** Reports bytes that have arrived in the room. @returns whether the argument is complete */
  fill(count: number): boolean {
    const argument = this.#arriving as Arriving;
    argument.filled += count;
    this.#count(argument);
    if (argument.filled < argument.length) return false;
    this.#arriving = undefined;
    // A client that sends many arguments of one size gets a whole buffer for each at once.
    if (argument.lent !== undefined)
      this.#firstBytes = Math.max(this.#firstBytes, Math.min(argument.length, MOST_SPARE_BYTES));
    return true;
  }

  /** Counts the bytes that have arrived. */
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
    else this.#fail(argument, noRoom());
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
    for (const { failure } of this.all) if (failure !== undefined) return failure;
    return undefined;
  }

  /** Hands an argument over to a call that goes on after the request. */
  take(index: number): KeptBytes | undefined {
    const at = this.all.findIndex((each) => each.index === index);
    if (at < 0) return undefined;
    const [argument] = this.all.splice(at, 1) as [Arriving];
    this.arriving.give(argument.reserved);
    this.inUse.force(argument.reserved);
    return argument;
  }

  /** The request was carried out. */
  requestDone(): void {
    this.#wasThere = this.#isThere;
    this.#isThere = false;
    if (this.all.length > 0) this.giveBack();
  }

  /** Gives back arguments that nobody took. */
  giveBack(): void {
    for (const argument of this.all) {
      argument.landed?.landing.release();
      this.#drop(argument);
    }
    this.all = [];
    this.#arriving = undefined;
  }
}
