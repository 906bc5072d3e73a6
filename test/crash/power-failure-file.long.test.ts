/**
 * Power failures at every moment of short sequences in a pool that is written as a file. The mapped
 * ones are a file of their own, for another core.
 */
import { describeLongPowerFailures } from './describe-power-failures.js';

describeLongPowerFailures(['file', 'logged'], 40_000);
