/** The file backend where erased space goes back to the file system: the contract of a target. */
import { afterEach, beforeEach, describe, it } from '@jest/globals';
import { FILE_CAPABILITIES } from '../../backends/file/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import { poolFactory } from './pool-factory.js';

describeTarget(
  { describe, it, beforeEach, afterEach },
  poolFactory('file', { settings: { reclaim: true } }),
  FILE_CAPABILITIES,
);
