/**
 * How the door judges the progress of a client: whether it sends a request too slowly, and whether
 * it must give way to others because of the memory that it holds. The connection says what the
 * client is doing; the door decides when to look.
 */
import type { ShareHolder } from '../net/byte-budget.js';
import { MIN_RATE } from './uploads.js';

/** The connection of a client, to those that may close it. */
export interface AwaitedClient {
  /** Whether it is the client's turn: to send the rest of something, or to take replies. */
  readonly isAwaited: boolean;
  /** Bytes that have arrived from it. */
  readonly receivedBytes: number;
  /** Bytes of replies that it has taken. */
  readonly takenBytes: number;
  /** Closes the connection. */
  lose(): void;
}

/** What a client holds of memory that all clients share. */
export class HeldMemory implements ShareHolder {
  /**
   * @param what `a request`: it makes progress by sending; `replies`: by taking them
   * @param noteEvicted told before the client is closed
   */
  constructor(
    private readonly client: AwaitedClient,
    private readonly what: 'a request' | 'replies',
    private readonly door: { noteEvicted(what: string): void },
  ) {}

  get isAwaited(): boolean {
    return this.client.isAwaited;
  }

  get movedBytes(): number {
    return this.what === 'replies' ? this.client.takenBytes : this.client.receivedBytes;
  }

  evict(): void {
    this.door.noteEvicted(this.what);
    this.client.lose();
  }
}

/**
 * Notices a client of which almost nothing of a request arrives. The bytes of the request may land
 * in a region. That keeps the region's space, and delays the close of its target.
 */
export class DripWatch {
  /** The incomplete request at the last look, by number. */
  #request = -1;
  /**
   * When it was first seen, or was last found to be fast enough; and the bytes that had arrived by
   * then.
   */
  #sinceMs = 0;
  #receivedBytes = 0;

  /**
   * @param request number of the incomplete request; -1 if there is none
   * @param receivedBytes all bytes that have arrived from the client
   * @param now milliseconds, not counting time in which the daemon did not run
   * @returns whether the request was too slow for `timeoutMs`
   */
  isDripping(request: number, receivedBytes: number, now: number, timeoutMs: number): boolean {
    const elapsed = now - this.#sinceMs;
    const isSame = request === this.#request;
    if (request === -1 || (isSame && elapsed < timeoutMs)) {
      this.#request = request;
      return false;
    }
    if (isSame && (receivedBytes - this.#receivedBytes) * 1000 < MIN_RATE * elapsed) return true;
    this.#request = request;
    this.#sinceMs = now;
    this.#receivedBytes = receivedBytes;
    return false;
  }
}
