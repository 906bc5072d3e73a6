/**
 * One run of everything: storage of some kind, a target over it that is opened, used by several
 * clients at once, closed in the midst of it or after it, and opened again. All that happens
 * follows from the seed.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Target } from '../../core/index.js';
import { Random } from '../fixtures/random.js';
import { exploredStorage, KINDS, type ExploredStorage, type Kind } from './explored-targets.js';
import { Failures } from './failures.js';
import { HttpClient } from './http-client.js';
import { HttpDoor } from './http-door.js';
import { codeOf, type Surroundings } from './exploring-client.js';
import { LocalClient } from './local-client.js';
import { NameClient } from './name-client.js';
import { Naming } from './naming.js';
import { Ownership } from './ownership.js';
import { makeDoor, makeProvider, RespClient } from './resp-client.js';
import { Schedule } from './schedule.js';

/** Of what happened, the end that a report shows. */
const NOTED = 60;

export interface EpisodeOptions {
  readonly seed: number;
  /** Which of the seed's. */
  readonly number: number;
  /** Only these kinds of target; all of them unless told. */
  readonly kinds?: readonly string[] | undefined;
}

export interface EpisodeResult {
  readonly kind: string;
  readonly steps: number;
  /** What was wrong, with what happened before it; nothing if all was right. */
  readonly finding: string | undefined;
}

export async function runEpisode({ seed, number, kinds }: EpisodeOptions): Promise<EpisodeResult> {
  const random = new Random(seed, number);
  const among = kinds === undefined ? KINDS : KINDS.filter((kind) => kinds.includes(kind));
  const kind = random.pick(among);
  const episode = new Episode(kind, new Schedule(random));
  const now = performance.now.bind(performance);
  // A clock that does not tell how fast the machine is.
  performance.now = () => episode.schedule.now;
  try {
    await episode.run();
    return { kind, steps: episode.schedule.now, finding: undefined };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    episode.abandon();
    return { kind, steps: episode.schedule.now, finding: `${kind}: ${text}\n${episode.notes}` };
  } finally {
    performance.now = now;
  }
}

class Episode {
  readonly #storage: ExploredStorage;
  readonly #ownership = new Ownership();
  readonly #naming = new Naming(this.#ownership);
  readonly #notes: string[] = [];
  readonly #failures: Failures;
  readonly #connected: (RespClient | HttpClient)[] = [];
  #number = 0;

  constructor(
    kind: Kind,
    readonly schedule: Schedule,
  ) {
    this.#failures = new Failures(schedule);
    this.#storage = exploredStorage(kind, schedule, this.#failures);
  }

  get notes(): string {
    return this.#notes.slice(-NOTED).join('\n');
  }

  async run(): Promise<void> {
    const { random } = this.schedule;
    for (let stages = 1 + random.below(2); stages > 0; stages--) {
      const target = this.#storage.target();
      await this.schedule.drive(target.open());
      await this.#look(target);
      if (this.#storage.mayFail) this.#failures.begin();
      await this.#use(target);
      this.#failures.forget();
      this.#storage.closed();
      if (this.#storage.isPersistent) continue;
      this.#ownership.forgetAll();
      this.#naming.forgetAll();
    }
    const target = this.#storage.target();
    await this.schedule.drive(target.open());
    await this.#look(target);
    await this.schedule.drive(target.close());
  }

  /** Ends what goes on where `run` has failed. */
  abandon(): void {
    for (const client of this.#connected) client.abandon();
  }

  async #use(target: Target): Promise<void> {
    const { schedule } = this;
    const { random } = schedule;
    const around = this.#surroundings(target);
    const clients = Array.from({ length: 1 + random.below(4) }, (_, index) =>
      new LocalClient(`client ${index}`, around).run(2 + random.below(20)),
    );
    if (this.#storage.isNamed)
      for (let left = random.below(4); left > 0; left--)
        clients.push(new NameClient(`names ${left}`, around, this.#naming).run(2 + random.below(20)));
    const provider = makeProvider(target, schedule);
    const redis = makeDoor(provider, schedule);
    const http = await HttpDoor.open(provider, (error) => {
      if (!this.#failures.mayBeTold) schedule.fail(error);
    });
    for (let left = random.below(3); left > 0; left--) {
      const [name, batches] = [`connection ${left}`, 1 + random.below(5)];
      const client =
        random.below(2) === 0 ? new RespClient(name, around, redis) : new HttpClient(name, around, http);
      this.#connected.push(client);
      clients.push(client.run(batches));
    }
    const all = Promise.all(clients);
    // Some targets are closed while they are used.
    const closing = random.below(3) === 0 ? this.#closeEarly(target, http, around) : undefined;
    await schedule.drive(Promise.all([all, closing]));
    await schedule.settle();
    this.#failures.end();
    if (closing !== undefined) return;
    // What nobody knows of a medium that has failed, the next open finds out.
    if (!this.#failures.hasFailed) await this.#look(target);
    await schedule.drive(this.#close(target));
  }

  /** One that cannot end durable says so. */
  async #close(target: Target): Promise<void> {
    try {
      await target.close();
    } catch (error) {
      if (!this.#failures.areUncertain(codeOf(error))) throw error;
    }
  }

  async #closeEarly(target: Target, http: HttpDoor, { calls, note }: Surroundings): Promise<void> {
    const { schedule } = this;
    for (let left = schedule.random.below(40); left > 0; left--) await schedule.pause();
    if (schedule.random.below(2) === 0) {
      note('the HTTP door is told to stop');
      http.stop();
      await schedule.pause();
    }
    const before = new Map(calls);
    note('the target is closed…');
    await this.#close(target);
    note('the target is closed: done');
    // Those who called are told a few microtasks later.
    await turn();
    for (const [number, text] of before)
      if (calls.has(number)) throw new Error(`the target was closed before this had ended: ${text}`);
  }

  #surroundings(target: Target): Surroundings {
    const { isMappable, isImportable, isCheap } = this.#storage;
    return {
      target,
      schedule: this.schedule,
      ownership: this.#ownership,
      isMappable,
      isImportable,
      isCheap,
      failures: this.#failures,
      calls: new Map(),
      nextNumber: () => ++this.#number,
      note: (text) => this.#notes.push(text),
    };
  }

  /**
   * While nothing is under way: all that is owed is there, nothing else, and the space is that of
   * the regions.
   */
  async #look(target: Target): Promise<void> {
    this.#notes.push('everything is looked at');
    const regions = await this.schedule.drive(everything(target));
    this.#ownership.settle(regions);
    this.#naming.settle(regions);
    const { usedBytes, pendingBytes, regions: count } = await this.schedule.drive(target.stats());
    if (count !== regions.length)
      throw new Error(`${regions.length} regions are listed, and ${count} counted`);
    const accounted = this.#storage.usedBytes(regions.map(({ size }) => size)) + pendingBytes;
    if (usedBytes !== accounted)
      throw new Error(
        `${usedBytes} bytes are used, but the regions, and what is given back, take ${accounted}`,
      );
  }
}

interface Everything {
  readonly id: string;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly name: string | undefined;
}

async function everything(target: Target): Promise<Everything[]> {
  const { regions } = await target.list({ limit: 1_000_000 });
  return Promise.all(
    regions.map(async ({ id, size, name }) => ({
      id: id.toString(),
      size,
      name,
      bytes: await target.read(id, 0, size),
    })),
  );
}
