/**
 * Which test file begins when. Jest begins with the largest files; but a long test is often a few lines over a table of others, and
 * one of minutes that begins last leaves the other cores idle until it ends.
 */
import Sequencer from '@jest/test-sequencer';

/** Test files that take the longest, in this order. */
const FIRST = [
  'crash/power-failure-mapped.long',
  'crash/power-failure-file.long',
  'crash/random-programs.long',
  'client/conformance.long',
  'explore/explore.long',
  'daemon/kill.long',
  'backends/new-pool.long',
  'crash/flaws.long',
  'client/conformance',
  'backends/pmem',
  'warabi/migrate',
  'cli/region-transfer',
  'backends/file',
  'crash/power-failure',
  'backends/file-without-addon',
  'backends/memory',
  'backends/new-pool',
  'explore/explore',
  'resp/model',
];

export default class extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const at = FIRST.findIndex((name) => path.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? FIRST.length : at;
    };
    return super.sort(tests).sort((one, other) => rank(one) - rank(other));
  }
}
