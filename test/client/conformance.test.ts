/**
 * Remote targets keep the contract of a target: each wire and each backend once, the wires that differ from another only in the socket
 * with the rules that move bytes. The long test has every backend over every wire, with every rule.
 */
import { describeRemote } from './remote-contract.js';

const MOVING_BYTES = ['createAndWrite', 'readv and writev', 'persistence'];

describeRemote('file', 'TCP');
describeRemote('memory', 'RESP');
describeRemote('pmem', 'a unix socket', MOVING_BYTES);
describeRemote('pmem', 'RESP on a unix socket', MOVING_BYTES);
