/**
 * Load on a server, by one client process. `run(index)` begins an operation and gives a promise of its end.
 *
 * - A closed loop begins an operation when another one ends. Its rate is what a client gets that
 *   waits; its latencies say nothing of those who would have come while it waited (coordinated
 *   omission).
 * - An open loop begins operations at times that were fixed before, whatever the server does, and
 *   counts from these times: an operation that could not begin because the client or the server was
 *   held up has waited.
 */
import { createHistogram, performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';

/** Latencies are kept from a nanosecond to a minute, three digits of each. */
const HISTOGRAM = { lowest: 1, highest: 60e9, figures: 3 };

/**
 * Keeps `depth` operations in flight for a while.
 * @returns {count, rate}: operations, and operations a second
 */
export async function closedLoop(run, depth, milliseconds) {
  let begun = 0;
  const start = performance.now();
  const end = start + milliseconds;
  // Not by a timer: operations that end at once, as a write to a socket may, would keep it from
  // ever being looked at.
  const loop = async () => {
    while (performance.now() < end) await run(begun++);
  };
  await Promise.all(Array.from({ length: depth }, loop));
  return { count: begun, rate: (begun / (performance.now() - start)) * 1000 };
}

/** One operation at a time, for a while. @returns percentiles, microseconds */
export async function closedLoopLatencies(run, milliseconds) {
  const histogram = createHistogram(HISTOGRAM);
  const end = performance.now() + milliseconds;
  for (let index = 0, begun = 0; begun < end; index++) {
    begun = performance.now();
    await run(index);
    record(histogram, begun);
  }
  return percentilesOf(histogram);
}

/**
 * Operations at even intervals, `rate` a second, for a while.
 * @returns percentiles from the times they were due, microseconds
 */
export async function openLoopLatencies(run, rate, milliseconds) {
  const histogram = createHistogram(HISTOGRAM);
  const total = Math.ceil((rate * milliseconds) / 1000);
  const interval = 1000 / rate;
  const start = performance.now();
  let begun = 0;
  let ended = 0;
  await new Promise((resolve, reject) => {
    const one = async (due) => {
      await run(begun++);
      record(histogram, due);
      if (++ended === total) resolve();
    };
    const beginDue = () => {
      const due = Math.min(total, Math.floor((performance.now() - start) / interval) + 1);
      while (begun < due) one(start + begun * interval).catch(reject);
      if (begun < total) setImmediate(beginDue);
    };
    beginDue();
  });
  return percentilesOf(histogram);
}

function record(histogram, since) {
  histogram.record(Math.max(1, Math.round((performance.now() - since) * 1e6)));
}

function percentilesOf(histogram) {
  const micros = (percent) => histogram.percentile(percent) / 1000;
  return { p50: micros(50), p99: micros(99), 'p99.9': micros(99.9) };
}
