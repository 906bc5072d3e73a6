/**
 * The pmem backend: the contract of a target where a write ends in an msync. Most of its time would
 * go by waiting for the disk, so it runs in memory, where the system has a folder for that, and
 * what makes bytes durable on the file system of temporary files as well. The long test has every
 * rule there.
 */
import { PMEM_CAPABILITIES } from '../../backends/pmem/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import { runnerOf } from '../conformance/chosen-groups.js';
import { nativeAddon } from '../fixtures/needs.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { poolFactory } from './pool-factory.js';

const where = isThorough ? 'disk' : 'memory';
nativeAddon.describe('pmem', () => {
  describeTarget(runnerOf(), poolFactory('pmem', { where }), PMEM_CAPABILITIES);
});

if (!isThorough)
  nativeAddon.describe('pmem on a disk', () => {
    describeTarget(runnerOf(['write and persist']), poolFactory('pmem'), PMEM_CAPABILITIES);
  });
