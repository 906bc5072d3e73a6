/**
 * The arguments of a request that are too long to wait for: their bytes land, as they come, where the command wants them, or in a
 * buffer of the pool. What is to fail anyway, and what there is no memory for, is dropped as it comes.
 */
import { BedrockError, asBedrockError } from '../errors.js';
import { giveBuffer, takeBuffer } from '../net/buffer-pool.js';
import type { KeptBytes, Landed } from './command.js';
import type { LongArgument } from './request.js';

/** The memory for long arguments, of all clients. */
export interface ArgumentMemory {
  /** @returns whether there are as many bytes, which are then taken */
  reserve(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** One of them. A class, as the engine takes objects of literals with some members changed for ever new kinds. */
class Arriving implements LongArgument, KeptBytes {
  filled = 0;

  constructor(
    readonly index: number,
    readonly length: number,
    readonly bytes: Uint8Array,
    readonly landed: Landed | undefined,
    /** Why its request will fail; its bytes are dropped. */
    readonly failure: BedrockError | undefined,
    readonly lent: Buffer | undefined,
    readonly reserved: number,
  ) {}
}

const NOTHING = Buffer.alloc(0);

export class LongArguments {
  /** Of the request that is being read. */
  all: Arriving[] = [];
  /** The one of them that is not whole yet. */
  #arriving: Arriving | undefined;

  constructor(private readonly memory: ArgumentMemory) {}

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
    const arriving = this.#placeOf(index, length, land);
    if (arriving.failure === undefined) arriving.bytes.set(first);
    arriving.filled = first.length;
    this.all.push(arriving);
    if (first.length === length) return true;
    this.#arriving = arriving;
    return false;
  }

  #placeOf(index: number, length: number, land: () => Landed | undefined): Arriving {
    try {
      const landed = land();
      if (landed !== undefined)
        return new Arriving(index, length, landed.landing.bytes, landed, undefined, undefined, 0);
      if (!this.memory.reserve(length))
        throw new BedrockError(
          'OVERLOADED',
          'what clients are sending fills the memory for long arguments; try again later',
        );
    } catch (error) {
      return new Arriving(index, length, NOTHING, undefined, asBedrockError(error), undefined, 0);
    }
    const lent = takeBuffer(length);
    return new Arriving(index, length, lent.subarray(0, length), undefined, undefined, lent, length);
  }

  /** Where its next bytes go. @param dropped where bytes go that nobody wants */
  room(dropped: Buffer): Buffer {
    const { failure, bytes, filled, length } = this.#arriving as Arriving;
    return failure === undefined ? (bytes.subarray(filled) as Buffer) : dropped.subarray(0, length - filled);
  }

  /** Bytes have come to the room. @returns whether it is whole */
  fill(count: number): boolean {
    const arriving = this.#arriving as Arriving;
    arriving.filled += count;
    if (arriving.filled < arriving.length) return false;
    this.#arriving = undefined;
    return true;
  }

  /** Why the request fails, if it does. */
  get failure(): BedrockError | undefined {
    return this.all.find(({ failure }) => failure !== undefined)?.failure;
  }

  /** Hands an argument over to a call that outlives the request. */
  take(index: number): KeptBytes | undefined {
    const at = this.all.findIndex((each) => each.index === index);
    return at < 0 ? undefined : this.all.splice(at, 1)[0];
  }

  /** Hands over a copy of them all, which takes their place in the memory for long arguments. */
  replaceBy(bytes: Uint8Array): KeptBytes {
    let reserved = 0;
    for (const argument of this.all) {
      reserved += argument.reserved;
      if (argument.lent !== undefined) giveBuffer(argument.lent);
    }
    this.all = [];
    return { bytes, lent: undefined, reserved };
  }

  /** The request is done with those that are left. */
  giveBack(): void {
    for (const argument of this.all) {
      argument.landed?.landing.release();
      this.release(argument);
    }
    this.all = [];
    this.#arriving = undefined;
  }

  /** A call is done with what it has kept. */
  release({ lent, reserved }: KeptBytes): void {
    if (lent !== undefined) giveBuffer(lent);
    if (reserved > 0) this.memory.giveBack(reserved);
  }
}
