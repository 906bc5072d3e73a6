/**
 * Says what happens next, by a seed: every operation of the medium ends, and every client goes on,
 * when it is its turn. Several may be let go at once, each some microtasks later than now, so that
 * what follows on them mixes in every order that the engine could give it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Random } from '../fixtures/random.js';
import { SimulatedProcess, type Step } from '../crash/simulated-process.js';

interface Job {
  readonly run: () => void;
  /** Of two jobs the one with the higher rank goes first, where ranks count. */
  readonly rank: number;
}

/** More than any chain of promises in the code is long. */
const MAX_HOPS = 24;
const AT_ONCE = [1, 1, 1, 2, 3, 8];
/** What is ranked so low waits until hardly anything else is left. */
const VERY_LOW = 2 ** 16;
/** Turns of the event loop in which nothing is let go before a call counts as stuck. */
const MAX_IDLE_TURNS = 100;
/** So many steps, where a round has some thousand, are those of somebody who waits for what never comes. */
const MAX_STEPS = 50_000;

export class Schedule {
  readonly #jobs: Job[] = [];
  /** In some runs everything is as likely to go on as anything else; in others some things take very long. */
  readonly #areRanked: boolean;
  #error: unknown;
  /** Steps so far: the time. */
  now = 0;

  constructor(readonly random: Random) {
    this.#areRanked = random.below(2) === 0;
  }

  /** Does something when its turn comes. */
  add(run: () => void): void {
    const rank = this.random.word();
    this.#jobs.push({ run, rank: this.random.below(6) === 0 ? rank / VERY_LOW : rank });
  }

  /** Waits for its turn. */
  pause(): Promise<void> {
    return new Promise((resolve) => this.add(resolve));
  }

  /** Ends the run: whoever finds what must not be, where nobody can be told. */
  fail(error: unknown): void {
    this.#error ??= error;
  }

  /** @throws what was given to `fail` */
  check(): void {
    if (this.#error !== undefined) throw this.#error as Error;
  }

  /** Lets one thing after another go on until a promise is settled. */
  async drive<T>(work: Promise<T>): Promise<T> {
    const outcome = { isSettled: false };
    work.then(
      () => (outcome.isSettled = true),
      () => (outcome.isSettled = true),
    );
    for (let idle = 0; !outcome.isSettled;) {
      if (this.#step()) idle = 0;
      else if (++idle > MAX_IDLE_TURNS) throw new Error('a call never ends');
      if (this.now > MAX_STEPS) throw new Error('somebody waits for ever');
      await turn();
      this.check();
    }
    return work;
  }

  /** Until nothing is left that could go on by itself. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 4;) {
      if (this.#step()) idle = 0;
      else idle++;
      await turn();
      this.check();
    }
  }

  #step(): boolean {
    const jobs = this.#jobs;
    if (jobs.length === 0) return false;
    this.now++;
    const { random } = this;
    for (let left = random.pick(AT_ONCE), first = true; left > 0 && jobs.length > 0; left--, first = false) {
      const next = this.#next();
      // What is to wait long is not let go because there is room for it.
      if (!first && this.#areRanked && (jobs[next] as Job).rank < VERY_LOW) break;
      const [job] = jobs.splice(next, 1) as [Job];
      void this.#letGo(job.run, random.below(3) === 0 ? 0 : random.below(MAX_HOPS));
    }
    return true;
  }

  #next(): number {
    const jobs = this.#jobs;
    if (!this.#areRanked || this.random.below(32) === 0) return this.random.below(jobs.length);
    let highest = 0;
    for (const [index, { rank }] of jobs.entries()) if (rank > (jobs[highest] as Job).rank) highest = index;
    return highest;
  }

  async #letGo(job: () => void, hops: number): Promise<void> {
    for (let left = hops; left > 0; left--) await Promise.resolve();
    try {
      job();
    } catch (error) {
      this.fail(error);
    }
  }
}

/** A thread pool whose jobs take their turns by a schedule, each step of each for itself. */
export class ScheduledProcess extends SimulatedProcess {
  readonly #schedule: Schedule;
  #isOver = false;
  #underWay = 0;

  constructor(schedule: Schedule) {
    super(schedule.random);
    this.#schedule = schedule;
  }

  /** The medium was closed: nothing may be asked of it any more. */
  end(): void {
    this.#isOver = true;
    if (this.#underWay > 0)
      this.#schedule.fail(
        new Error(`the medium was closed, and ${this.#underWay} calls of it are under way`),
      );
  }

  override start<T>(steps: readonly Step[], result: () => T): Promise<T> {
    if (this.#isOver) this.#schedule.fail(new Error('the medium is used after it was closed'));
    this.#underWay++;
    return new Promise((resolve) => {
      const left = [...steps];
      const next = (): void => {
        left.shift()?.run();
        if (left.length > 0) this.#schedule.add(next);
        else {
          this.#underWay--;
          resolve(result());
        }
      };
      this.#schedule.add(next);
    });
  }
}
