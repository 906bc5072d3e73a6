/**
 * Remote targets keep the contract of a target: every rule once over each protocol, and the rules that move bytes where another
 * backend and another socket may matter. The long test has every backend over every wire, with every rule.
 */
import { describeRemote } from './remote-contract.js';

describeRemote('memory', 'TCP');
describeRemote('memory', 'RESP');
describeRemote('pmem', 'a unix socket', ['createAndWrite']);
