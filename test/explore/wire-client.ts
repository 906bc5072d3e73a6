/**
 * What the clients of both doors do alike: batches of requests that come in pieces, and an end in
 * order or by breaking off.
 */
import type { Surroundings } from './exploring-client.js';
import type { Lane } from './owned.js';

/** How a client of a door goes about it. */
export interface Habits {
  /** Most requests of a batch, those that answers have led to aside. */
  readonly mostRequests: number;
  /** Of so many batches the answers of one are waited for. */
  readonly waitsOneIn: number;
  /** Whether one that breaks off does so within its last batch. */
  readonly cuts: boolean;
}

export abstract class WireClient<Asked> {
  protected readonly lane: Lane;
  /** Requests whose answers are still to come. */
  protected readonly asked: Asked[] = [];
  /** Requests that answers have led to. */
  protected readonly next: (() => Buffer)[] = [];
  protected isGone = false;
  protected abstract readonly socket: { destroy(): unknown };

  constructor(
    protected readonly name: string,
    protected readonly around: Surroundings,
    private readonly habits: Habits,
  ) {
    this.lane = { name };
  }

  /** Makes a request, or several that belong together. */
  protected abstract requests(): Buffer[];
  /** In pieces, each when it is its turn. @param isCut whether not all of it is sent */
  protected abstract send(bytes: Buffer, isCut: boolean): Promise<void>;

  /**
   * Breaks the connection of a round that has ended before its time: nothing of it may keep the
   * process from ending.
   */
  abandon(): void {
    this.socket.destroy();
  }

  async run(batches: number): Promise<void> {
    const { schedule, note } = this.around;
    const { mostRequests, waitsOneIn, cuts } = this.habits;
    const { random } = schedule;
    const breaksOff = random.below(3) === 0;
    for (let left = batches; left > 0 && !this.isGone; left--) {
      const requests = this.#led();
      for (let count = 1 + random.below(mostRequests); count > 0; count--) requests.push(...this.requests());
      const isCut = left === 1 && breaksOff && cuts;
      await this.send(Buffer.concat(requests), isCut);
      if (!isCut && random.below(waitsOneIn) === 0) await this.#allAnswered();
    }
    if (breaksOff) note(`${this.name} breaks off`);
    else {
      do {
        await this.send(Buffer.concat(this.#led()), false);
        await this.#allAnswered();
      } while (this.next.length > 0 && !this.isGone);
    }
    this.socket.destroy();
    await schedule.pause();
  }

  #led(): Buffer[] {
    return this.next.splice(0).map((make) => make());
  }

  async #allAnswered(): Promise<void> {
    while (this.asked.length > 0 && !this.isGone) await this.around.schedule.pause();
  }

  /** A region, mostly a live one, and often one of the latest. */
  protected someId(): string | undefined {
    const { ownership, schedule } = this.around;
    const { random } = schedule;
    const known = random.below(6) > 0 ? ownership.shared.map(({ id }) => id as string) : ownership.ids;
    const some = random.below(2) === 0 ? known.slice(-2) : known;
    return some.length === 0 ? undefined : random.pick(some);
  }

  /** Some range of a region, often all of it. */
  protected part(id: string): { offset: number; size: number } {
    const { ownership, schedule } = this.around;
    const { random } = schedule;
    const whole = ownership.find(id)?.size ?? 0;
    const offset = random.below(3) === 0 ? random.below(whole + 1) : 0;
    return { offset, size: random.below(3) === 0 ? random.below(whole - offset + 1) : whole - offset };
  }
}
