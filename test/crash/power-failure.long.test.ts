/** Power failures at every moment of short sequences, and where few writes are in flight in every state that they can leave. */
import { describePowerFailures } from './describe-power-failures.js';

const limits = {
  all: 1024,
  singles: 64,
  pairs: 60,
  samples: 60,
  thorough: 0.1,
  chained: 0.005,
  depth: 2,
  states: Infinity,
};

describePowerFailures({
  limits,
  limitsOfLarge: { ...limits, all: 64, singles: 12, pairs: 6, samples: 6, thorough: 0.02 },
  // On persistent memory hardly anything is in flight.
  seeds: { file: [1, 2], msync: [3, 4], pmem: [5] },
  stride: 1,
  fewestStates: 100_000,
});
