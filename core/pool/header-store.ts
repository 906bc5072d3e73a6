/**
 * The header of an open pool, and its changes: copy 0, then copy 1. Each is durable before the next
 * step, so that one valid copy exists at every moment. A change counts once copy 0 is durable.
 * Changes come one at a time.
 *
 * If there was no room for a copy, it may be torn, or valid after all, since a system without room
 * may have stored a part of it. The other copy is valid, and is not touched before the refused one
 * has been stored again: copy 1 before the next change, copy 0 by that change. After any other
 * failed store nobody knows what is durable on the medium. Then no change is made until recovery
 * has made both copies valid.
 */
import { HEADER_BYTES } from './extent.js';
import type { HeaderCopy } from './header-choice.js';
import { decodeHeader, encodeHeader, type PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import { isOutOfSpace, readBack } from './read-back.js';

export class HeaderStore {
  readonly #medium: PoolMedium;
  #current: PoolHeader;
  /** Why no more changes are made. */
  #failure: Error | undefined;
  /** The header that copy 1 still lacks, because the medium had no room for it. */
  #behind: Uint8Array | undefined;
  #isUncertain = false;
  #isOwed = false;

  /**
   * @param behind the header that copy 1 still lacks, because the medium had no room for it when
   *   the pool was opened
   */
  constructor(medium: PoolMedium, header: PoolHeader, behind?: Uint8Array) {
    this.#medium = medium;
    this.#current = header;
    this.#behind = behind;
  }

  get current(): PoolHeader {
    return this.#current;
  }

  /**
   * Whether the header of a failed change may still count at the next open. Then what it names must
   * be left alone. Check this again after each wait.
   */
  get isUncertain(): boolean {
    return this.#isUncertain || this.#failure !== undefined;
  }

  /** Whether the medium had no room for the current header, as corrected by recovery. */
  get isOwed(): boolean {
    return this.#isOwed;
  }

  /**
   * Makes the current header durable. If there is no room, it is owed.
   * @throws as `change`, except OUT_OF_SPACE
   */
  async store(): Promise<void> {
    try {
      await this.change({});
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
      this.#isOwed = true;
    }
  }

  /**
   * Ends the state in which a header that is not current may count.
   * @throws OUT_OF_SPACE while there is no room; the reason why no more changes are made
   */
  async settle(): Promise<void> {
    if (this.isUncertain || this.#isOwed) await this.change({});
  }

  /**
   * Makes a change; it is durable when this ends.
   * @param changed called in the step that makes the header current, so that nobody sees a capacity
   *   without its space
   * @throws OUT_OF_SPACE, and nothing has changed; READ_ONLY and what the medium throws, also for
   *   all later changes
   */
  async change(change: Partial<PoolHeader>, changed?: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#medium.look?.();
    const before = this.#current;
    const header = { ...before, ...change, sequence: before.sequence + 1 };
    const bytes = encodeHeader(header);
    if (this.#behind !== undefined) {
      await this.#storeCopy(1, this.#behind);
      this.#behind = undefined;
    }
    try {
      await this.#storeCopy(0, bytes);
    } catch (error) {
      if (isOutOfSpace(error)) this.#isUncertain = !(await this.#hasHeader(before.sequence));
      throw error;
    }
    this.#isUncertain = false;
    this.#isOwed = false;
    let isRefused = false;
    try {
      await this.#storeCopy(1, bytes);
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
      isRefused = true;
    }
    if (isRefused) this.#behind = bytes;
    this.#current = header;
    changed?.();
  }

  /** @throws OUT_OF_SPACE if it was refused; any other error is final */
  async #storeCopy(copy: HeaderCopy, bytes: Uint8Array): Promise<void> {
    try {
      await this.#medium.writeDurably(copy * HEADER_BYTES, bytes);
    } catch (error) {
      if (!isOutOfSpace(error)) this.#failure = error as Error;
      throw error;
    }
  }

  /** Whether copy 0 is the header with this sequence. */
  async #hasHeader(sequence: number): Promise<boolean> {
    const there = await readBack(this.#medium, 0, HEADER_BYTES);
    const decoded = there && decodeHeader(there);
    return decoded !== undefined && 'header' in decoded && decoded.header.sequence === sequence;
  }
}
