/**
 * A body that is gathered until it is whole, as one in JSON is. It lies in one buffer that grows with what has come, never with what was
 * announced: a piece may be a single byte, and kept as it came it would take a hundred times that.
 *
 * All such bodies of a door share a budget. Small ones always have room in it; a larger one for which there is none is refused, after
 * those that were waited for and hardly moved have been closed.
 */
import type { IncomingMessage } from 'node:http';
import { allocateBytes } from '../base/allocation.js';
import { BedrockError } from '../base/errors.js';
import type { ByteBudget, Share } from '../net/byte-budget.js';
import { ClientGone } from './problem.js';

/** What a body may take however much the others hold. */
export const SMALL_BODY_BYTES = 4096;

export class GatheredBody {
  readonly #share: Share;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #isEvicted = false;

  constructor(budget: ByteBudget, request: IncomingMessage) {
    const moved = (): number => this.#length;
    this.#share = budget.share({
      // What has come is added at once: there is nothing to do but wait for more.
      isAwaited: true,
      get movedBytes() {
        return moved();
      },
      evict: () => {
        this.#isEvicted = true;
        this.release();
        request.destroy();
      },
    });
  }

  /** @throws OVERLOADED, ClientGone */
  add(piece: Uint8Array): void {
    this.#checkIsThere();
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(piece, this.#length);
    this.#length = length;
  }

  /** @throws ClientGone */
  text(): string {
    this.#checkIsThere();
    return this.#buffer.toString('utf8', 0, this.#length);
  }

  /** Gives back all that it holds. */
  release(): void {
    this.#share.give(this.#share.bytes);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
  }

  /** After an eviction there may still be bytes to read, and what comes of them is not the body. */
  #checkIsThere(): void {
    if (this.#isEvicted) throw new ClientGone('its body was closed to make room for others');
  }

  #grow(atLeast: number): void {
    const capacity = Math.max(atLeast, 2 * this.#buffer.length, 512);
    const more = capacity - this.#buffer.length;
    if (capacity <= SMALL_BODY_BYTES) this.#share.force(more);
    else if (!this.#share.take(more))
      throw new BedrockError('OVERLOADED', 'too much of bodies in JSON is on its way; try again later');
    const grown = allocateBytes(capacity);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
