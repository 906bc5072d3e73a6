/**
 * Power failures at every moment of short sequences, in a sample of the states; the long test has
 * more of each.
 */
import { describePowerFailures } from './describe-power-failures.js';

const limits = {
  all: 8,
  singles: 2,
  pairs: 1,
  samples: 1,
  thorough: 0.02,
  chained: 0.002,
  depth: 2,
  states: Infinity,
};

describePowerFailures({
  limits,
  limitsOfLarge: { ...limits, all: 4, singles: 1 },
  seeds: { file: [1], logged: [1], msync: [3], pmem: [5] },
  alternates: true,
  stride: 9,
  fewestStates: 6_000,
});
