/** A round of `kill -9` for one kind of pool; the long test has more of both. */
import { killKinds } from '../fixtures/kill-rounds.js';
import { describeKills } from './describe-kills.js';

describeKills(killKinds().slice(0, 1), 1);
