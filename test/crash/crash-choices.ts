/**
 * Which states of a moment are looked at: all, if there are not too many, else the telling ones and
 * a sample.
 */
import type { OpenUnit } from './crash-image.js';
import type { Random } from '../fixtures/random.js';

export interface ChoiceLimits {
  /** As many states of one moment are enumerated; where there are more, some are picked. */
  readonly all: number;
  /** Most units of which one at a time is ahead of all others, or behind. */
  readonly singles: number;
  /** Most pairs of units that are picked. */
  readonly pairs: number;
  /** Picked at random beside them. */
  readonly samples: number;
}

/**
 * Each choice says for every open unit which of its contents counts, 0 being the durable ones. The
 * array is used again.
 */
export function* choicesOf(
  units: readonly OpenUnit[],
  { all, singles: mostSingles, pairs, samples }: ChoiceLimits,
  random: Random,
): Generator<Uint8Array> {
  const choice = new Uint8Array(units.length);
  const most = units.map(({ options }) => Math.min(options.length, 255));
  let count = 1;
  for (const options of most) count *= options + 1;
  if (count <= all) {
    for (;;) {
      yield choice;
      let index = 0;
      while (index < choice.length && choice[index] === most[index]) choice[index++] = 0;
      if (index === choice.length) return;
      choice[index] = (choice[index] as number) + 1;
    }
  }
  yield choice;
  choice.set(most);
  yield choice;
  // One unit ahead of all others, and one behind.
  const singles = Math.min(units.length, mostSingles);
  for (let nth = 0; nth < singles; nth++) {
    const index = singles === units.length ? nth : random.below(units.length);
    for (let option = 1; option <= (most[index] as number); option++) {
      choice.fill(0);
      choice[index] = option;
      yield choice;
      choice.set(most);
      choice[index] = option - 1;
      yield choice;
    }
  }
  for (let nth = 0; nth < pairs; nth++) {
    choice.fill(0);
    for (const index of [random.below(units.length), random.below(units.length)])
      choice[index] = most[index] as number;
    yield choice;
  }
  for (let nth = 0; nth < samples; nth++) {
    for (let index = 0; index < choice.length; index++)
      choice[index] = random.below((most[index] as number) + 1);
    yield choice;
  }
}
