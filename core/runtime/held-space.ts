/**
 * Space of a target that clients hold for regions that are not complete: regions that are being
 * uploaded, and erased regions that a write is still coming to. Nobody can see such a region, and
 * only its client can give its space back.
 *
 * An upload may take hours. A time-out for a whole upload would have to know its size and the speed
 * of its network. So uploads continue while there is space. When a new region finds none, slow
 * clients are ended: those that send fewer than 16 KiB a second, or so slowly that the whole would
 * take more than a day. The slowest is ended first, and no more of them than necessary; none, if
 * all of them together would not free enough. So a client that keeps space from others must fill
 * it, at a rate in proportion to its size. Then it is a region, which can be seen and erased. Time
 * in which the process stood still, or in which the client waited for the daemon, does not count.
 *
 * Only regions that the doors create end other uploads. A program in this process, and a provider
 * that restores or imports, call the target itself, which knows of no clients. A restore creates
 * many regions, and no single call tells its whole size: it might end uploads and then not fit
 * after all. These callers get OUT_OF_SPACE and may try again. The time-outs of the doors end
 * uploads that hardly move.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionSource } from '../contract/target.js';
import { AttendedClock } from '../net/standstill.js';

/**
 * A client is slow if it sends fewer bytes a second than this, or fewer than complete the whole in
 * this time.
 */
const SLOW_RATE = 2 ** 14;
const LONG_MS = 86_400_000;
/** Nobody counts as slow before this much time. */
const SLOW_MS = 1000;

/** A client that holds space. */
export interface SpaceHolder {
  /** Bytes that would be free for others. */
  readonly heldBytes: number;
  /** Whether the daemon waits for the client. */
  readonly isAwaited: boolean;
  /** Bytes that the client has sent so far. */
  readonly movedBytes: number;
  /** Gives the space back. @returns resolves when that is done; must not reject */
  giveWay(error: BedrockError): Promise<unknown> | undefined;
}

/** The client that sends contents. */
export type Sender = Omit<SpaceHolder, 'heldBytes' | 'giveWay'> & {
  /** Makes the source throw the error. */
  end(error: BedrockError): void;
};

/**
 * A region whose contents a client sends. This is a class since each object literal with accessors
 * would cost the engine a hidden class.
 */
class Receiving implements SpaceHolder {
  constructor(
    readonly heldBytes: number,
    private readonly sender: Sender,
    private readonly made: () => Promise<unknown>,
  ) {}

  get isAwaited(): boolean {
    return this.sender.isAwaited;
  }

  get movedBytes(): number {
    return this.sender.movedBytes;
  }

  /** The space is free again when the attempt to create the region has ended. */
  giveWay(error: BedrockError): Promise<unknown> {
    this.sender.end(error);
    return this.made().catch(() => undefined);
  }
}

/** The held space of one target. */
export class HeldSpace {
  readonly #holds = new Set<Hold>();
  readonly #clock = new AttendedClock(() => this.#holds.size > 0);
  #giving: Promise<boolean> | undefined;

  /** @param now milliseconds; by default those in which the process did not stand still */
  constructor(private readonly now: () => number = this.#clock.now) {}

  /** Notes that a client holds space. @returns a function that ends this */
  hold(holder: SpaceHolder): () => void {
    this.#clock.start();
    const hold = new Hold(holder, this.now());
    this.#holds.add(hold);
    return () => this.#holds.delete(hold);
  }

  /**
   * Creates a region. If there is no space for it, slow clients are ended.
   * @param size of the region, bytes
   * @param mayRepeat whether it may be tried again after OUT_OF_SPACE
   * @throws as `make`
   */
  async make<T>(size: number, make: () => Promise<T>, mayRepeat = (): boolean => true): Promise<T> {
    for (;;) {
      try {
        return await make();
      } catch (error) {
        if (!isOutOfSpace(error) || !mayRepeat() || !(await this.#makeRoom(size, error))) throw error;
        // Safe: nothing was created. The first that tries again gets the space, and the others try
        // once more.
      }
    }
  }

  /** Ends all of them, when the daemon stops serving. */
  endAll(error: BedrockError): void {
    // A copy, since ending a client removes its hold.
    for (const { holder } of [...this.#holds]) holder.giveWay(error)?.catch(() => undefined);
  }

  /**
   * The same for a region whose contents a client sends. It holds space itself from the moment when
   * its first piece is requested.
   * @throws as `make`
   */
  receive<T>(
    { size, source }: RegionSource,
    make: (contents: RegionSource) => Promise<T>,
    sender: Sender,
  ): Promise<T> {
    let release: (() => void) | undefined;
    let made!: Promise<T>;
    const begin = (): void => {
      release = this.hold(new Receiving(size, sender, () => made));
    };
    const making = (): Promise<T> => (made = make({ size, source: whenAsked(source, begin) }));
    return this.make(size, making, () => release === undefined).finally(() => release?.());
  }

  /**
   * @returns whether a client was ended. Calls that need room at the same time share the space that
   *   this frees
   */
  async #makeRoom(size: number, error: BedrockError): Promise<boolean> {
    // One at a time, so that no more clients are ended than necessary. Safe: each call determines
    // again who is slow.
    while (this.#giving !== undefined) if (await this.#giving) return true;
    this.#giving = this.#giveWay(size, error).finally(() => (this.#giving = undefined));
    return this.#giving;
  }

  async #giveWay(size: number, error: BedrockError): Promise<boolean> {
    const now = this.now();
    const slow = [...this.#holds].filter((hold) => hold.isSlow(now));
    let atMost = Number(error.details.free ?? 0);
    let slowest: Hold | undefined;
    for (const hold of slow) {
      atMost += hold.holder.heldBytes;
      if (slowest === undefined || hold.pace < slowest.pace) slowest = hold;
    }
    if (slowest === undefined || atMost < size) return false;
    this.#holds.delete(slowest);
    const { heldBytes } = slowest.holder;
    await slowest.holder.giveWay(
      new BedrockError(
        'REQUEST_TIMEOUT',
        `others needed the ${heldBytes} bytes of its region, and it came too slowly to keep them: an upload to a full target brings at least ${SLOW_RATE} bytes a second, and comes within a day; try again later`,
        { details: { size: heldBytes } },
      ),
    );
    return true;
  }
}

class Hold {
  /** Its speed when it was last measured, where 1 is just fast enough. */
  pace = 1;
  #markBytes: number;
  #markedAt: number;

  constructor(
    readonly holder: SpaceHolder,
    now: number,
  ) {
    this.#markBytes = holder.movedBytes;
    this.#markedAt = now;
  }

  isSlow(now: number): boolean {
    const { heldBytes, isAwaited, movedBytes } = this.holder;
    const elapsedMs = now - this.#markedAt;
    if (heldBytes === 0 || elapsedMs < SLOW_MS) return false;
    const least = elapsedMs * Math.max(SLOW_RATE / 1000, heldBytes / LONG_MS);
    this.pace = (movedBytes - this.#markBytes) / least;
    if (isAwaited && this.pace < 1) return true;
    // What it did before no longer counts.
    this.#markBytes = movedBytes;
    this.#markedAt = now;
    return false;
  }
}

function isOutOfSpace(error: unknown): error is BedrockError {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}

async function* whenAsked(source: RegionSource['source'], begin: () => void): AsyncGenerator<Uint8Array> {
  begin();
  yield* source;
}
