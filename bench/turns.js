/** Contenders measured in turn, so that a machine that slows down slows all of them down. */
import { median } from './table.js';

/**
 * Measures every contender once a round.
 * @param measure gives a figure, or an object of figures, for a name
 * @returns for each name its medians
 */
export async function medianInTurns(names, rounds, measure) {
  const found = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second finds the caches otherwise, so they take turns at that too.
    const order = round % 2 === 0 ? names : [...names].reverse();
    for (const name of order) found.get(name).push(await measure(name));
  }
  return new Map(names.map((name) => [name, mediansOf(found.get(name))]));
}

function mediansOf(figures) {
  if (typeof figures[0] === 'number') return median(figures);
  const keys = Object.keys(figures[0]);
  return Object.fromEntries(keys.map((key) => [key, median(figures.map((each) => each[key]))]));
}
