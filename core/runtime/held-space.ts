/**
 * Space of a target that clients hold with what has not all come: regions that they upload, and
 * erased ones that a write still comes to. Nobody can see it, and nobody but them can give it back.
 *
 * An upload may take hours, and a time-out that let none last too long would have to know how large
 * it is and how fast its network. So all may go on while there is space. Where a new region finds
 * none, those give way that come slower than such an upload must: at fewer than 16 KiB a second, or
 * so slowly that it would take more than a day as a whole. The slowest is the first, and no more of
 * them than it takes; none, if all of them together would not be enough. So whoever keeps space
 * from others has to fill it, at a rate in proportion to what it holds; then it is a region, which
 * can be seen, and erased. Time in which the process stood still, or the client waited for the
 * daemon, is held against nobody.
 *
 * Only regions that the doors make have others give way. A program in this process, and a provider
 * that restores or imports, call the target itself, which is the same without a daemon and knows of
 * no clients; many regions are made in a restore, whose whole size no single call tells, so it
 * might end uploads and then not fit after all. They get OUT_OF_SPACE, and may try again: the
 * time-outs of the doors end what hardly moves.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionSource } from '../contract/target.js';
import { AttendedClock } from '../net/standstill.js';

/** Whoever brings fewer bytes a second, or fewer than make the whole in so long a time, is slow. */
const SLOW_RATE = 2 ** 14;
const LONG_MS = 86_400_000;
/** Nobody is slow before. */
const SLOW_MS = 1000;

/** A client that holds space. */
export interface SpaceHolder {
  /** Bytes that there would be for others. */
  readonly heldBytes: number;
  /** Whether it is the client that is waited for. */
  readonly isAwaited: boolean;
  /** Bytes that it has sent so far. */
  readonly movedBytes: number;
  /** Gives the space back. @returns when that is done; must not reject */
  giveWay(error: BedrockError): Promise<unknown> | undefined;
}

/** What a client says of contents that it sends. */
export type Sender = Omit<SpaceHolder, 'heldBytes' | 'giveWay'> & {
  /** Has the source throw the error. */
  end(error: BedrockError): void;
};

/**
 * A region that is made of what a client sends. A class: object literals with accessors cost the
 * engine a hidden class each.
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

  /** The space is free again when the attempt to make the region has ended. */
  giveWay(error: BedrockError): Promise<unknown> {
    this.sender.end(error);
    return this.made().catch(() => undefined);
  }
}

/** Of one target. */
export class HeldSpace {
  readonly #holds = new Set<Hold>();
  readonly #clock = new AttendedClock(() => this.#holds.size > 0);
  #giving: Promise<boolean> | undefined;

  /** @param now milliseconds; by default those in which the process did not stand still */
  constructor(private readonly now: () => number = this.#clock.now) {}

  /** A client holds space from now on. @returns what ends that */
  hold(holder: SpaceHolder): () => void {
    this.#clock.start();
    const hold = new Hold(holder, this.now());
    this.#holds.add(hold);
    return () => this.#holds.delete(hold);
  }

  /**
   * Makes a region, and has slow clients give way if there is no space for it.
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
        // Safe: nothing was made. Whoever comes first gets the space, and the others try again.
      }
    }
  }

  /** Has all of them give way, as nothing is served any more. */
  endAll(error: BedrockError): void {
    // A copy: who gives way lets go.
    for (const { holder } of [...this.#holds]) holder.giveWay(error)?.catch(() => undefined);
  }

  /**
   * The same for a region whose contents a client sends. From the first piece that is asked for, it
   * holds the space itself.
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

  /** @returns whether somebody gave way. Those who need room at the same time share what there is then */
  async #makeRoom(size: number, error: BedrockError): Promise<boolean> {
    // One at a time, so that no more give way than it takes. Safe: who is slow is looked at again.
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
  /** How fast it was when it was last looked at, where 1 is fast enough. */
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
    // What it did before counts no more.
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
