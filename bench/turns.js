/** Contenders measured in turn, so that a machine that slows down slows all of them down. */
import { median } from './table.js';

/**
 * Measures every contender once a round.
 * @param contenders names, or anything else that tells `measure` what to do
 * @param measure gives a figure, or an object of figures, for a contender
 * @returns for each contender its medians
 */
export async function medianInTurns(contenders, rounds, measure) {
  const found = new Map(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second finds the caches otherwise, so they take turns at that too.
    const order = round % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of order) found.get(contender).push(await measure(contender));
  }
  return new Map(contenders.map((contender) => [contender, mediansOf(found.get(contender))]));
}

function mediansOf(figures) {
  if (typeof figures[0] === 'number') return median(figures);
  const keys = Object.keys(figures[0]);
  return Object.fromEntries(keys.map((key) => [key, median(figures.map((each) => each[key]))]));
}
