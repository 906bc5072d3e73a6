/** Stores in-process at one place: those that are installed carry out each cell's operation in turn. */
import { present } from '../setup.js';
import { InProcess } from './contenders.js';

/**
 * @param place {on, stores: [{name, kind, isForced, needs}…]}: the folder that data lies below, and
 *   who takes part
 * @param cells [{operation, size, depth, names}…]; the stores that take part in the operation, all
 *   unless told
 * @returns for each cell a map from the names of stores to {micros, cpuMicros} of an operation; who
 *   is absent is not in it
 */
export async function measureStores({ on, stores }, cells, rounds) {
  if (cells.length === 0) return [];
  const installed = present(stores);
  const started = installed.map(({ name, kind, isForced }) => [name, { kind, on, isForced }]);
  const contenders = await InProcess.start(Object.fromEntries(started));
  try {
    const found = [];
    for (const { operation, size, depth, names: those } of cells) {
      const names = installed.map(({ name }) => name).filter((name) => those?.includes(name) ?? true);
      found.push(await contenders.measureInTurns(names, operation, size, depth, rounds));
    }
    return found;
  } finally {
    await contenders.stop();
  }
}
