/** Power failures at every moment of short sequences in a mapped pool, on persistent memory and elsewhere. */
import { describeLongPowerFailures } from './describe-power-failures.js';

describeLongPowerFailures(['msync', 'pmem'], 100_000);
