/** What `npm run crash` does: power failures in random programs, or rounds of `kill -9`. */
import { killKinds, runKillRounds } from '../fixtures/kill-rounds.js';
import { runEpisode } from './episode.js';

export interface LongRun {
  readonly seed: number;
  readonly states: number;
  /** Number of the only episode that is run; 0 for all. */
  readonly only: number;
}

export interface LongRunOutput {
  /** A line that stays. */
  say(line: string): void;
  /** One that takes the place of the last one, on a terminal; anywhere else nothing. */
  progress(line: string): void;
}

/** @returns whether every state was as it should be */
export async function runLong({ seed, states, only }: LongRun, output: LongRunOutput): Promise<boolean> {
  const started = performance.now();
  const rate = (count: number): string =>
    `${Math.round(count / ((performance.now() - started) / 1000))} a second`;
  let seen = 0;
  let named = 0;
  let checks = 0;
  for (let number = only || 1; seen < states; number++) {
    try {
      const result = await runEpisode(seed, number, only > 0 ? Infinity : states - seen);
      seen += result.states;
      named += result.namedStates;
      checks += result.checks;
    } catch (error) {
      output.say(error instanceof Error ? error.message : String(error));
      output.say(`replay it with: npm run crash -- --seed ${seed} --only ${number}`);
      return false;
    }
    if (only > 0) break;
    output.progress(`${seen} of ${states} states, ${rate(seen)}`);
  }
  output.say(
    `${seen} states, ${named} of them with names, ${checks} recoveries judged, ${rate(seen)}: all as they should be`,
  );
  return true;
}

export interface LongKills {
  readonly seed: number;
  /** Of each kind. */
  readonly rounds: number;
}

/** @returns whether everything that was acknowledged was there */
export async function runKills({ seed, rounds }: LongKills, output: LongRunOutput): Promise<boolean> {
  for (const kind of killKinds()) {
    let last = 0;
    try {
      await runKillRounds({
        kind,
        rounds,
        seed,
        onRound: (round, regions) => {
          last = round;
          output.progress(`${kind}: ${round} of ${rounds} rounds, ${regions} regions`);
        },
      });
    } catch (error) {
      output.say(
        `${kind}, after round ${last}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`,
      );
      return false;
    }
    output.say(`${kind}: ${rounds} rounds of kill -9, everything acknowledged was there`);
  }
  return true;
}
