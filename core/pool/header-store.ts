/**
 * The header of an open pool, and its changes: copy 0, then copy 1, each durable before the next thing, so that one whole copy exists at
 * every instant. A change counts once copy 0 is durable; where there is no room for copy 1 then, it is made before the next change.
 *
 * A store that fails otherwise may have torn its copy. The other one must not be touched then, so there is no change any more until recovery has
 * made both whole. Changes come one at a time.
 */
import { HEADER_BYTES } from './extent.js';
import type { HeaderCopy } from './header-choice.js';
import { decodeHeader, encodeHeader, type PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import { isOutOfSpace, readBack } from './read-back.js';

export class HeaderStore {
  readonly #medium: PoolMedium;
  #current: PoolHeader;
  /** Why a change did not end. */
  #failure: Error | undefined;
  /** The header that copy 1 lacks still, as the medium had no room for it. */
  #behind: Uint8Array | undefined;

  constructor(medium: PoolMedium, header: PoolHeader) {
    this.#medium = medium;
    this.#current = header;
  }

  get current(): PoolHeader {
    return this.#current;
  }

  /** Whether no change is made any more; asked anew after each wait. */
  isFinal(): boolean {
    return this.#failure !== undefined;
  }

  /** @throws why no change is made any more */
  checkChangeable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Makes a change, durably when this ends.
   * @param changed done in the step that puts the header into force, so that nobody sees a capacity without its space
   */
  async change(change: Partial<PoolHeader>, changed?: () => void): Promise<void> {
    this.checkChangeable();
    await this.#medium.look?.();
    const before = this.#current;
    const header = { ...before, ...change, sequence: before.sequence + 1 };
    const bytes = encodeHeader(header);
    if (this.#behind !== undefined) {
      await this.#storeCopy(1, this.#behind, before.sequence - 1);
      this.#behind = undefined;
    }
    await this.#storeCopy(0, bytes, before.sequence);
    let isRefused = false;
    try {
      await this.#storeCopy(1, bytes, before.sequence);
    } catch (error) {
      if (!isOutOfSpace(error) || this.isFinal()) throw error;
      isRefused = true;
    }
    if (isRefused) this.#behind = bytes;
    this.#current = header;
    changed?.();
  }

  /**
   * @param before sequence of the header that stands there
   * @throws OUT_OF_SPACE if that is still so; anything else is final
   */
  async #storeCopy(copy: HeaderCopy, bytes: Uint8Array, before: number): Promise<void> {
    const offset = copy * HEADER_BYTES;
    try {
      await this.#medium.writeDurably(offset, bytes);
    } catch (error) {
      if (isOutOfSpace(error) && (await this.#hasHeader(offset, before))) throw error;
      // The copy may be torn now, so the other must not be touched until recovery has made both whole.
      this.#failure = error as Error;
      throw error;
    }
  }

  async #hasHeader(offset: number, sequence: number): Promise<boolean> {
    const there = await readBack(this.#medium, offset, HEADER_BYTES);
    const decoded = there && decodeHeader(there);
    return decoded !== undefined && 'header' in decoded && decoded.header.sequence === sequence;
  }
}
