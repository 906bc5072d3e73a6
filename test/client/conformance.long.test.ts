/** Remote targets keep the contract of a target, whichever backend the daemon has: every one over every wire. */
import { describeRemote } from './remote-contract.js';

for (const transport of ['TCP', 'a unix socket', 'RESP', 'RESP on a unix socket'] as const)
  for (const type of ['memory', 'file', 'pmem'] as const) describeRemote(type, transport);
