/** `bedrock pool`: maintains pools that no daemon has open. */
import type { Command } from 'commander';
import { subcommand } from './command-line.js';
import { addPoolCheck } from './pool-check.js';
import { addPoolCopy } from './pool-copy.js';
import { addPoolInfo } from './pool-info.js';
import { addPoolRepair } from './pool-repair.js';

/** Each adds a command below `bedrock pool`. */
const COMMANDS: readonly ((pool: Command) => void)[] = [
  addPoolInfo,
  addPoolCheck,
  addPoolRepair,
  addPoolCopy,
];

export function addPool(program: Command): void {
  const pool = subcommand(program, 'pool').description(
    'Inspect, copy and repair pools that no daemon has open.',
  );
  for (const add of COMMANDS) add(pool);
}
