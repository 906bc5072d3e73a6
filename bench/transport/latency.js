/**
 * Latencies over TCP, from HDR histograms of the client's: one operation at a time (a closed loop),
 * and operations that arrive at even intervals, counted from the time that they were due (an open
 * loop; load.js says what the difference is). They arrive at half the rate that the slower one of
 * both servers reaches at depth 32.
 */
import { row, sizeText } from '../table.js';
import { medianInTurns } from '../turns.js';
import { OPERATIONS, TRANSPORTS } from './cells.js';
import { REDIS, REDIS_DURABLE } from './contenders.js';

const TRANSPORT = 'tcp';
const SIZES = [64, 4096];
const PEAK_DEPTH = 32;
const TURN_MS = 250;
const PEAK_ROUNDS = 3;

const COMPARISONS = [
  { store: 'memory', operation: 'write', reference: REDIS },
  { store: 'memory', operation: 'read', reference: REDIS },
  { store: 'pmem', operation: 'writeDurably', reference: REDIS_DURABLE },
];

export async function latencyRows(section, contenders, rounds, only) {
  const rows = [];
  for (const { store, operation, reference } of COMPARISONS) {
    for (const size of SIZES) {
      const name = `${TRANSPORTS[TRANSPORT]}, ${store}, ${OPERATIONS[operation]} ${sizeText(size)}, latency`;
      if (!name.includes(only)) continue;
      const names = [store, reference].filter((contender) => contenders.has(contender));
      const cell = { transport: TRANSPORT, operation, size, depth: PEAK_DEPTH };
      const ask = async (contender, ...words) =>
        (await contenders.client(contender, TRANSPORT)).ask(...words);
      for (const contender of names) await contenders.warmUp(contender, cell);

      const peaks = await medianInTurns(names, PEAK_ROUNDS, (contender) =>
        contenders.measure(contender, cell),
      );
      const rate = Math.floor(Math.min(...names.map((contender) => peaks.get(contender).rate)) / 2);
      const alone = await medianInTurns(names, rounds, (contender) =>
        ask(contender, 'latencies', operation, size, TURN_MS),
      );
      for (const contender of names) await ask(contender, 'latenciesAtRate', operation, size, rate, TURN_MS);
      const arriving = await medianInTurns(names, rounds, (contender) =>
        ask(contender, 'latenciesAtRate', operation, size, rate, TURN_MS),
      );
      const add = (title, unit, ours, theirs) =>
        rows.push(row(section, `${name} ${title}`, unit, ours, theirs, reference));
      for (const [percentile, micros] of Object.entries(alone.get(store)))
        add(`one at a time, ${percentile}`, 'us', micros, alone.get(reference)?.[percentile]);
      add('at a fixed rate, arrivals', 'op/s', rate, arriving.has(reference) ? rate : undefined);
      for (const [percentile, micros] of Object.entries(arriving.get(store)))
        add(`at a fixed rate, ${percentile}`, 'us', micros, arriving.get(reference)?.[percentile]);
    }
  }
  return rows;
}
