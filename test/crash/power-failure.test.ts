/** Power failures at every moment of short sequences, in a sample of the states; the long test has more of each. */
import { describePowerFailures } from './describe-power-failures.js';

const limits = {
  all: 16,
  singles: 4,
  pairs: 2,
  samples: 2,
  thorough: 0.02,
  chained: 0.002,
  depth: 2,
  states: Infinity,
};

describePowerFailures({
  limits,
  limitsOfLarge: { ...limits, all: 8, singles: 2, pairs: 1, samples: 1 },
  seeds: { file: [1], msync: [3], pmem: [5] },
  stride: 7,
  fewestStates: 4_000,
});
