/** Rounds of `kill -9` for each kind of pool. */
import { killKinds } from '../fixtures/kill-rounds.js';
import { describeKills } from './describe-kills.js';

describeKills(killKinds(), 10);
