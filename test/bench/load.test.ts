/** The load that the benchmarks put on servers: which waits its latencies count. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { performance } from 'node:perf_hooks';

type Run = (index: number) => Promise<void>;
type Percentiles = Record<'p50' | 'p99' | 'p99.9', number>;

interface Load {
  closedLoop(run: Run, depth: number, milliseconds: number): Promise<{ count: number; rate: number }>;
  closedLoopLatencies(run: Run, milliseconds: number): Promise<Percentiles>;
  openLoopLatencies(run: Run, rate: number, milliseconds: number): Promise<Percentiles>;
}

// Plain JavaScript without declarations, hence not by a path that the compiler would follow.
const LOAD: string = '../../bench/transport/load.js';
const load = (await import(LOAD)) as Load;

/** Milliseconds. Time goes on when somebody looks at it, and in operations. */
let now = 0;
beforeEach(() => {
  now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => (now += 0.01));
});
afterEach(() => {
  jest.restoreAllMocks();
});

/** A server that does nothing for 50 ms once, and else answers in 0.1 ms. */
function stallingOnce(): Run {
  return (index) => {
    now += index === 10 ? 50 : 0.1;
    return Promise.resolve();
  };
}

describe('load', () => {
  test('a closed loop keeps as many operations in flight as it is told', async () => {
    let inFlight = 0;
    let most = 0;
    const run: Run = async () => {
      most = Math.max(most, ++inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      now += 1;
      inFlight--;
    };
    const { count, rate } = await load.closedLoop(run, 4, 100);
    expect(most).toBe(4);
    expect(inFlight).toBe(0);
    expect(count).toBeGreaterThan(90);
    expect(rate).toBeGreaterThan(900);
  });

  test('a closed loop ends though its operations end at once', async () => {
    const { count } = await load.closedLoop(() => Promise.resolve(), 1, 50);
    expect(count).toBeGreaterThan(1);
  });

  test('an open loop counts a stall for all that were due meanwhile, a closed loop for one', async () => {
    const closed = await load.closedLoopLatencies(stallingOnce(), 500);
    const open = await load.openLoopLatencies(stallingOnce(), 1000, 150);
    expect(closed.p99).toBeLessThan(10_000);
    expect(open.p99).toBeGreaterThan(30_000);
  });
});
