/** Rounds of `kill -9` for each kind of pool. */
import { describeKills } from './describe-kills.js';

describeKills(20);
