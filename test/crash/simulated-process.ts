/**
 * A process that uses a simulated medium, and its thread pool: jobs in flight together, of which
 * the seed says whose next step comes first. When the process is killed, what it had in flight may
 * still be stored, and nobody is told.
 */
import type { Random } from '../fixtures/random.js';

/** A part of a job that happens in one piece. */
export interface Step {
  readonly run: () => void;
  /** A system call that the kernel may carry out though the process is gone already. */
  readonly outlivesProcess?: boolean;
}

interface Job {
  readonly steps: Step[];
  readonly end: () => void;
}

/** Thrown into a process that is killed while it stores into memory. */
export class ProcessKilled extends Error {}

export class SimulatedProcess {
  #isAlive = true;
  readonly #random: Random | undefined;
  #jobs: Job[] = [];

  /** @param random chooses whose turn it is; without it every job is done at once */
  constructor(random?: Random) {
    this.#random = random;
  }

  /** A call, not a property: it changes while somebody waits. */
  isAlive(): boolean {
    return this.#isAlive;
  }

  /** For what may be done in several ways; 0 if nothing is left to chance. */
  choice(bound: number): number {
    return this.#random?.below(bound) ?? 0;
  }

  /** Before everything that the process itself does to the medium. */
  checkAlive(): void {
    if (!this.#isAlive) throw new ProcessKilled();
  }

  /** Does something on the thread pool. */
  start<T>(steps: readonly Step[], result: () => T): Promise<T> {
    if (!this.#isAlive) return new Promise(() => undefined);
    if (this.#random === undefined) {
      for (const { run } of steps) run();
      return Promise.resolve(result());
    }
    return new Promise((resolve) => {
      this.#jobs.push({ steps: [...steps], end: () => resolve(result()) });
    });
  }

  /** Lets one of the jobs go on. @returns false if there is none */
  step(): boolean {
    const job = this.#random?.pick(this.#jobs);
    if (job === undefined) return false;
    job.steps.shift()?.run();
    if (job.steps.length > 0) return true;
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    job.end();
    return true;
  }

  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    const jobs = this.#jobs;
    this.#jobs = [];
    for (const { steps } of jobs)
      for (const { run, outlivesProcess } of steps) {
        if (outlivesProcess !== true || this.choice(2) === 0) break;
        run();
      }
  }
}
