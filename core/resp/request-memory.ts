/**
 * Memory that the calls of a connection use after their requests: arguments, copies of arguments,
 * and lists.
 *
 * A request is read directly from the input, and the next bytes replace it there. A call that goes
 * on longer keeps what it needs here, and gives it back with `release`. What it keeps counts
 * against the memory that the requests of all clients share. If that is full, the request is
 * refused with OVERLOADED.
 */
import { allocateBytes } from '../base/allocation.js';
import type { Share } from '../net/byte-budget.js';
import { giveBuffer, takeBuffer } from '../net/spare-buffers.js';
import { Arguments } from './arguments.js';
import { noRoom } from './input.js';
import type { LongArguments } from './long-arguments.js';
import type { KeptBytes } from './operation-call.js';
import type { Request } from './request.js';

/** A client that holds fewer bytes than this is never refused for lack of memory. */
export const MODEST_BYTES = 2 ** 16;

/** Lists with fewer members are not counted. */
const SHORT_LIST = 256;
/** Heap bytes for each member. */
const MEMBER_BYTES = 128;

const NOTHING = Buffer.alloc(0);

export interface KeptArguments {
  readonly args: Arguments;
  /** Call it when nobody uses the arguments any more. */
  readonly release: () => void;
}

export class RequestMemory {
  /**
   * @param request the request at hand
   * @param long its long arguments
   * @param arriving memory of requests that have arrived
   * @param inUse memory that calls use; its holder is never evicted
   */
  constructor(
    private readonly request: Request,
    private readonly long: LongArguments,
    private readonly arriving: Share,
    private readonly inUse: Share,
  ) {}

  /** Keeps the bytes of an argument. */
  keep(index: number): KeptBytes {
    const long = this.long.take(index);
    if (long !== undefined) return long;
    const bytes = this.request.bytes(index);
    const lent = takeBuffer(bytes.length);
    lent.set(bytes);
    return { bytes: lent.subarray(0, bytes.length), lent, reserved: 0 };
  }

  /**
   * Copies several arguments, one after another: every `step`th, starting at `first`.
   * @throws OVERLOADED
   */
  keepCopy(first: number, step: number, count: number): KeptBytes {
    const { request } = this;
    let total = 0;
    for (let each = 0; each < count; each++) total += request.lengthOf(first + each * step);
    const reserved = total + count * MEMBER_BYTES;
    this.#use(reserved);
    try {
      const lent = takeBuffer(total);
      let at = 0;
      for (let each = 0; each < count; each++) at += request.copyTo(lent, at, first + each * step);
      return { bytes: lent.subarray(0, total), lent, reserved };
    } catch (error) {
      this.inUse.give(reserved);
      throw error;
    }
  }

  /**
   * Reserves memory for a list of `length` ranges or regions. Nothing is reserved for a short list.
   * @throws OVERLOADED
   */
  keepList(length: number): KeptBytes | undefined {
    if (length < SHORT_LIST) return undefined;
    const reserved = length * MEMBER_BYTES;
    this.#use(reserved);
    return { bytes: NOTHING, lent: undefined, reserved };
  }

  /** Keeps all arguments. @throws OVERLOADED */
  keepArguments(): KeptArguments {
    return this.#keepArguments(this.inUse);
  }

  /**
   * Keeps all arguments for a transaction. They may wait as long as the client likes, so the client
   * is closed if others need the memory.
   * @throws OVERLOADED
   */
  queueArguments(): KeptArguments {
    return this.#keepArguments(this.arriving);
  }

  #keepArguments(share: Share): KeptArguments {
    const { request } = this;
    const { count } = request;
    let total = 0;
    for (let index = 0; index < count; index++)
      if (request.longAt(index) === undefined) total += request.lengthOf(index);
    const reserved = total + count * MEMBER_BYTES;
    if (reserved <= MODEST_BYTES && share.bytes <= MODEST_BYTES) share.force(reserved);
    else if (!share.take(reserved)) throw noRoom();
    const long: KeptBytes[] = [];
    try {
      const copy = allocateBytes(total);
      let at = 0;
      const all = Array.from({ length: count }, (_, index) => {
        const kept = this.long.take(index);
        if (kept !== undefined) {
          long.push(kept);
          this.inUse.give(kept.reserved);
          share.force(kept.reserved);
          const { buffer, byteOffset, length } = kept.bytes;
          return Buffer.from(buffer, byteOffset, length);
        }
        const bytes = copy.subarray(at, (at += request.lengthOf(index)));
        bytes.set(request.bytes(index));
        return bytes;
      });
      const release = (): void => {
        share.give(reserved);
        for (const { lent, reserved: more } of long) {
          if (lent !== undefined) giveBuffer(lent);
          share.give(more);
        }
      };
      return { args: new Arguments(all), release };
    } catch (error) {
      share.give(reserved);
      throw error;
    }
  }

  /** @throws OVERLOADED */
  #use(bytes: number): void {
    if (bytes <= MODEST_BYTES) this.inUse.force(bytes);
    else if (!this.inUse.take(bytes)) throw noRoom();
  }

  /** A call no longer needs what it kept. */
  release({ lent, reserved }: KeptBytes): void {
    if (lent !== undefined) giveBuffer(lent);
    this.inUse.give(reserved);
  }
}
