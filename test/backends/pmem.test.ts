/** The pmem backend: the contract of a target on the file system that temporary files have, where a write ends in an msync. */
import { afterEach, beforeEach, describe, it } from '@jest/globals';
import { PMEM_CAPABILITIES } from '../../backends/pmem/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import { nativeAddon } from '../fixtures/needs.js';
import { poolFactory } from './pool-factory.js';

nativeAddon.describe('pmem', () => {
  describeTarget({ describe, it, beforeEach, afterEach }, poolFactory('pmem'), PMEM_CAPABILITIES);
});
