/**
 * Operations over sockets, where the server and its client are a process each: the daemon's door
 * for the protocol of Redis, over TCP and over a unix socket, beside redis-server with the same
 * client code, beside the daemon's own HTTP door, and, where the bytes cost more than the
 * operation, beside bare sockets of node:net. Operations go round 64 regions, or keys, of their
 * size; `depth` of them are in flight.
 */
import { countingMicros } from './metrics.js';
import { median, row } from './table.js';
import { allCells, cellName } from './transport/cells.js';
import {
  BARE,
  BARE_ONE_WAY,
  CONNECTED,
  Contenders,
  HTTP_DOOR,
  REDIS,
  REDIS_DURABLE,
} from './transport/contenders.js';
import { latencyRows } from './transport/latency.js';
import { medianInTurns } from './turns.js';

const SECTION = 'transport';
/** Where the CPU time of the server is shown too: it is busy all the time. */
const BUSY_DEPTH = 32;
const SMALL = { transport: 'tcp', operation: 'read', size: 64, depth: BUSY_DEPTH };
const COUNTING = 'TCP, memory, metrics of an operation';

export async function transportSection({ rounds, only = '' }) {
  const contenders = await Contenders.start(['memory', REDIS, REDIS_DURABLE, BARE]);
  try {
    const rows = await compareRates(contenders, rounds, only);
    rows.push(...(await latencyRows(SECTION, contenders, rounds, only)));
    if (COUNTING.includes(only)) rows.push(await compareCounting(contenders, rounds));
    return rows;
  } finally {
    await contenders.stop();
  }
}

async function compareRates(contenders, rounds, only) {
  const cells = allCells(only).map((cell) => ({ ...cell, names: namesOf(cell) }));
  const measured = await contenders.measureInTurns(cells, rounds);
  return cells.flatMap((cell) => rowsOf(cell, measured.get(cell)));
}

/** Those who take part in a cell. */
function namesOf({ comparisons }) {
  return [...new Set(comparisons.flatMap(({ store, reference }) => [store, reference]))];
}

function rowsOf(cell, found) {
  return cell.comparisons.flatMap(({ store, reference }) => {
    const name = cellName(store, cell);
    const ours = found.get(store);
    const theirs = found.get(reference);
    if ([BARE, BARE_ONE_WAY].includes(reference)) {
      const gibibytes = ({ rate }) => (rate * cell.size) / 2 ** 30;
      return [row(SECTION, name, 'GiB/s', gibibytes(ours), gibibytes(theirs), reference)];
    }
    const rates = row(SECTION, name, 'op/s', ours.rate, theirs?.rate, reference);
    if (cell.depth !== BUSY_DEPTH || reference === HTTP_DOOR || store === CONNECTED) return [rates];
    const cpu = row(SECTION, `${name}, server CPU`, 'us/op', ours.cpuMicros, theirs?.cpuMicros, reference);
    return [rates, cpu];
  });
}

/**
 * What it costs the daemon to count an operation for /metrics, beside all that an operation costs
 * it. Nothing is logged for one.
 */
async function compareCounting(contenders, rounds) {
  await contenders.warmUp('memory', SMALL);
  const found = await medianInTurns(['memory'], rounds, (name) => contenders.measure(name, SMALL));
  const counting = Array.from({ length: rounds + 1 }, countingMicros).slice(1);
  const whole = found.get('memory').cpuMicros;
  return row(SECTION, COUNTING, 'us/op', median(counting), whole, `all CPU of ${cellName('memory', SMALL)}`);
}
