/** A round of `kill -9` for each kind of pool; the long test has more. */
import { describeKills } from './describe-kills.js';

describeKills(1);
