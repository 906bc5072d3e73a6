/**
 * The place in a region where a long argument lands while it arrives. The region keeps its space
 * until the bytes are there, even if it is erased meanwhile. In that case a slow client gives way
 * to others that need the space.
 *
 * It is a class, with its accessors on the prototype: an object literal with accessors costs the
 * engine a hidden class of its own each time, and a client may send such arguments by the ten
 * thousand a second.
 */
import type { SpaceHolder } from '../runtime/held-space.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Landing } from '../targets/direct-target.js';
import type { AwaitedClient } from './client-progress.js';

export class HeldLanding implements Landing, SpaceHolder {
  readonly bytes: Uint8Array;
  readonly regionSize: number;
  readonly #endHold: () => void;
  #isHeld = true;

  constructor(
    private readonly landing: Landing,
    private readonly served: ServedTarget,
    private readonly client: AwaitedClient,
  ) {
    this.bytes = landing.bytes;
    this.regionSize = landing.regionSize;
    this.#endHold = served.space.hold(this);
    served.requests.enter();
  }

  get isErased(): boolean {
    return this.landing.isErased;
  }

  get heldBytes(): number {
    return this.isErased ? this.regionSize : 0;
  }

  get isAwaited(): boolean {
    return this.client.isAwaited;
  }

  get movedBytes(): number {
    return this.client.receivedBytes;
  }

  /**
   * The system may already have been told to store the next bytes there, and nothing else ends
   * that.
   */
  giveWay(): undefined {
    this.client.lose();
    return undefined;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#endHold();
    this.landing.release();
    this.served.requests.leave();
  }
}
