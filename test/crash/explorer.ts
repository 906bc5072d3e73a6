/**
 * Goes through a trace, and at each moment through the states that a power failure could leave
 * there: each is recovered by the real code, and judged. Some are gone on from: recovery with a
 * trace of its own, more work, and another power failure.
 */
import { choicesOf, type ChoiceLimits } from './crash-choices.js';
import { CrashImage, hashNumber, type Hash } from './crash-image.js';
import { Ledger } from './ledger.js';
import type { Observation } from './observation.js';
import { runProgram } from './program-run.js';
import { randomProgram, type Program } from './program.js';
import { Random } from '../fixtures/random.js';
import { recover } from './recovered-pool.js';
import { SimulatedMedia, type TraceEvent } from './simulated-media.js';
import { unitBytesOf, type Flaw, type PoolShape } from './simulated-pool.js';

export interface ExploreLimits extends ChoiceLimits {
  /** Part of the states on which it is tried whether the pool goes on working. */
  readonly thorough: number;
  /** Part of the states from which the work goes on, and ends in another power failure. */
  readonly chained: number;
  /** How many power failures may follow each other. */
  readonly depth: number;
  /** Distinct states after which it ends early. */
  readonly states: number;
}

/** A state that breaks the rules. */
export class CrashFinding extends Error {}

export interface Scenario {
  readonly shape: PoolShape;
  readonly seed: number;
  readonly limits: ExploreLimits;
  readonly flaw?: Flaw;
}

interface Run {
  readonly bytes: Uint8Array;
  readonly hash: Hash;
  readonly newLedger: () => Ledger;
  readonly program: Program;
  readonly depth: number;
  readonly seed: number;
  /** How it came to this, for the report. */
  readonly path: string;
}

export class Explorer {
  readonly #scenario: Scenario;
  readonly #unitBytes: number;
  /** Hashes of the states that were looked at. */
  readonly #states = new Set<number>();
  #namedStates = 0;
  #checks = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#unitBytes = unitBytesOf(scenario.shape.mode);
  }

  /** Distinct states so far. */
  get states(): number {
    return this.#states.size;
  }

  /**
   * Of them, those in which names, or changes of several places, had a part: some call on names had
   * begun.
   */
  get namedStates(): number {
    return this.#namedStates;
  }

  /** Recoveries that were judged: a state counts again when more was owed. */
  get checks(): number {
    return this.#checks;
  }

  get #isEnough(): boolean {
    return this.#states.size >= this.#scenario.limits.states;
  }

  /** @throws CrashFinding */
  async explore(bytes: Uint8Array, program: Program): Promise<void> {
    const { seed } = this.#scenario;
    const newLedger = (): Ledger => new Ledger();
    const hash = { high: 0, low: 0 };
    await this.#explore({ bytes, hash, newLedger, program, depth: 1, seed, path: '' });
  }

  async #explore(run: Run): Promise<void> {
    const { bytes, hash, newLedger, program, seed } = run;
    const { shape, flaw } = this.#scenario;
    let trace: readonly TraceEvent[];
    try {
      trace = await runProgram({ shape, bytes: bytes.slice(), ledger: newLedger(), seed, flaw }, program);
    } catch (error) {
      throw this.#finding(
        run,
        'without a power failure',
        error instanceof Error ? error.message : String(error),
      );
    }
    const image = new CrashImage(bytes, this.#unitBytes, hash);
    const scratch = new SimulatedMedia(bytes.slice(), this.#unitBytes, false);
    const ledger = newLedger();
    const known = { demands: -1, hashes: new Set<number>() };
    for (const [place, event] of trace.entries()) {
      if (this.#isEnough) return;
      image.take(event);
      if (event.kind === 'note') ledger.take(event.note);
      if (event.kind === 'durable') {
        const [from, to] = [event.fromUnit * this.#unitBytes, event.toUnit * this.#unitBytes];
        scratch.bytes.set(image.bytes.subarray(from, to), from);
      }
      // What becomes durable leaves fewer states, and what is begun asks for nothing.
      const isNews = event.kind === 'store' || ledger.demands !== known.demands;
      if (!isNews) continue;
      if (ledger.demands !== known.demands) {
        known.demands = ledger.demands;
        known.hashes.clear();
      }
      await this.#exploreMoment({ run, image, scratch, ledger, known: known.hashes, place, trace });
    }
  }

  async #exploreMoment(moment: Moment): Promise<void> {
    const { image, scratch, known, run, place } = moment;
    const { limits, seed } = this.#scenario;
    const random = new Random(seed, run.seed, run.depth, place);
    for (const choice of choicesOf(image.openUnits, limits, random)) {
      const hash = image.hashOf(choice);
      const number = hashNumber(hash);
      if (known.has(number)) continue;
      known.add(number);
      const isNew = !this.#states.has(number);
      if (isNew && moment.ledger.hasNames) this.#namedStates++;
      this.#states.add(number);
      this.#checks++;
      for (const [index, option] of choice.entries()) {
        const unit = image.openUnits[index];
        const contents = unit?.options[option - 1];
        if (unit === undefined || contents === undefined) continue;
        scratch.store(unit.unit * this.#unitBytes, contents);
      }
      const goesOn = isNew && run.depth < limits.depth && random.chance(limits.chained);
      const bytes = goesOn ? scratch.bytes.slice() : undefined;
      const pool = await this.#check(moment, choice, isNew && random.chance(limits.thorough));
      scratch.restoreFrom(image.bytes);
      if (bytes !== undefined) await this.#goOn(moment, choice, { bytes, hash, pool, random });
      if (this.#isEnough) return;
    }
  }

  async #check(moment: Moment, choice: Uint8Array, isThorough: boolean): Promise<Observation> {
    const { shape, flaw } = this.#scenario;
    const { fault, pool } = await recover(shape, moment.scratch, moment.ledger, isThorough, flaw);
    if (fault === undefined && pool !== undefined) return pool;
    throw this.#finding(moment.run, this.#describe(moment, choice), fault ?? '');
  }

  /**
   * Recovery is recorded in its turn, some work is done after it, and the power fails again
   * anywhere in that.
   */
  async #goOn(
    moment: Moment,
    choice: Uint8Array,
    { bytes, hash, pool, random }: { bytes: Uint8Array; hash: Hash; pool: Observation; random: Random },
  ): Promise<void> {
    const { run, ledger } = moment;
    const seed = random.word();
    const program = randomProgram(new Random(seed, 1), {
      stages: random.below(2),
      operations: 4,
      prefix: `after${run.depth}-`,
    });
    await this.#explore({
      bytes,
      hash,
      newLedger: () => Ledger.after(ledger, pool),
      program,
      depth: run.depth + 1,
      seed,
      path: this.#describe(moment, choice),
    });
  }

  #describe({ run, image, place, trace }: Moment, choice: Uint8Array): string {
    const units = image.openUnits.map(({ unit, options }, index) => {
      const kept = choice[index] === 0 ? 'old' : `${String(choice[index])}/${options.length}`;
      return `${unit * this.#unitBytes}:${kept}`;
    });
    const before = run.path === '' ? '' : `${run.path}\n  then recovery and `;
    const doing = JSON.stringify(run.program);
    return `${before}program ${doing}\n  power failure after event ${place} of ${trace.length}, ${this.#unitBytes} bytes at ${units.join(' ')}`;
  }

  #finding({ program, path }: Run, place: string, fault: string): CrashFinding {
    const { shape, seed } = this.#scenario;
    const how =
      place === 'without a power failure' ? `${path}\n  program ${JSON.stringify(program)}, ${place}` : place;
    return new CrashFinding(
      `${fault}\n  check ${this.#checks} of seed ${seed}, ${JSON.stringify(shape)}\n  ${how}`,
    );
  }
}

interface Moment {
  readonly run: Run;
  readonly image: CrashImage;
  /** The same bytes, on which states are tried. */
  readonly scratch: SimulatedMedia;
  readonly ledger: Ledger;
  /** Hashes of states that were judged since more was last owed. */
  readonly known: Set<number>;
  readonly place: number;
  readonly trace: readonly TraceEvent[];
}
