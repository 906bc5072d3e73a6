/**
 * A body that is collected until it is complete, such as JSON. It is in one buffer, whose size
 * follows the bytes received and never the announced length. Separate pieces would be worse: a
 * piece may be a single byte, and keeping it would take a hundred times that.
 *
 * All such bodies of a door share a budget. Small ones always fit. If there is no room for a larger
 * one, bodies that were waited for and hardly moved are closed. If that does not help, it is
 * refused.
 */
import type { IncomingMessage } from 'node:http';
import { allocateBytes } from '../base/allocation.js';
import { BedrockError } from '../base/errors.js';
import type { ByteBudget, Share, ShareHolder } from '../net/byte-budget.js';
import { ClientGone } from './problem.js';

/** Bytes that a body may always take, whatever the others hold. */
export const SMALL_BODY_BYTES = 4096;

export class GatheredBody implements ShareHolder {
  /** Received bytes are added at once, so the daemon is always waiting for more. */
  readonly isAwaited = true;
  readonly #share: Share;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #isEvicted = false;

  constructor(
    budget: ByteBudget,
    private readonly request: IncomingMessage,
  ) {
    this.#share = budget.share(this);
  }

  get movedBytes(): number {
    return this.#length;
  }

  /** Ends this body when others need the memory. */
  evict(): void {
    this.#isEvicted = true;
    this.release();
    this.request.destroy();
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

  /** Releases all its memory. */
  release(): void {
    this.#share.give(this.#share.bytes);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
  }

  /** After an eviction there may still be bytes to read, but they are not the complete body. */
  #checkIsThere(): void {
    if (this.#isEvicted) throw new ClientGone('its body was closed to make room for others');
  }

  #grow(atLeast: number): void {
    const capacity = Math.max(atLeast, 2 * this.#buffer.length, 512);
    const more = capacity - this.#buffer.length;
    if (capacity <= SMALL_BODY_BYTES) this.#share.force(more);
    else if (!this.#share.take(more))
      throw new BedrockError('OVERLOADED', 'the memory for JSON bodies is full; try again later');
    const grown = allocateBytes(capacity);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
