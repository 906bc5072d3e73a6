/** What the metrics cost a request: the counting of one operation, in a loop, as the daemon does it. */
import { performance } from 'node:perf_hooks';
import { createOperationMeter } from '../dist/core/runtime/operation-meter.js';

const OPERATIONS = 1_000_000;

/** @returns microseconds to count one operation: two looks at the clock, a record of bytes and time */
export function countingMicros() {
  const { read } = createOperationMeter();
  const started = process.hrtime.bigint();
  for (let number = 0; number < OPERATIONS; number++) {
    const begun = performance.now();
    read.record(64, performance.now() - begun);
  }
  if (read.count !== OPERATIONS) throw new Error('operations were lost');
  return Number(process.hrtime.bigint() - started) / 1e3 / OPERATIONS;
}
