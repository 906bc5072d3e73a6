/**
 * `bedrock library`, `bedrock execution-pool` and `bedrock execution-stream`: the libraries,
 * execution pools and execution streams of a running daemon.
 */
import { type Command, Option } from 'commander';
import type { ExecutionPoolConfig, ExecutionStreamConfig } from '../../schemas/generated/bedrock.js';
import { type AddressOptions, collect, onDaemon, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { parseNatural } from './sizes.js';

const LOAD_EXAMPLES = `
A library stays loaded until the daemon ends: Node.js cannot unload a module, and does not read a loaded file again.

Examples:
  bedrock library load ./my-backend.js        on the daemon's machine, relative to the folder of its configuration
  bedrock library load bedrock-backend-redis  a package that is installed there
`;

const POOL_EXAMPLES = `
Examples:
  bedrock execution-pool add background --max-in-flight 4
`;

const POOL_RM_EXAMPLES = `
A pool that is in use cannot be removed; the error names its users.

Examples:
  bedrock execution-pool rm background
`;

const STREAM_EXAMPLES = `
Execution streams are validated and listed, for compatibility with Bedrock; they add no parallelism.

Examples:
  bedrock execution-stream add es1 --pool background
  bedrock execution-stream rm es1
`;

export function addLibrary(program: Command): void {
  const library = subcommand(program, 'library').description('Load libraries into a running daemon.');

  withAddress(subcommand(library, 'load'))
    .description('Load a library, so that its types can be used.')
    .argument('<LIBRARY>', 'a path or the name of a package')
    .addHelpText('after', LOAD_EXAMPLES)
    .action((name: string, options: AddressOptions) =>
      onDaemon(options, (service, call) => service.loadLibrary(name, call)),
    );
}

interface PoolOptions extends AddressOptions {
  kind?: NonNullable<ExecutionPoolConfig['kind']>;
  maxInFlight?: number;
  maxQueued?: number;
}

export function addExecutionPool(program: Command): void {
  const pool = subcommand(program, 'execution-pool').description(
    'Change the execution pools of a running daemon.',
  );

  withAddress(subcommand(pool, 'add'))
    .description('Add an execution pool.')
    .argument('<NAME>', 'its name')
    .option('--max-in-flight <N>', 'operations that may run at once (default: 256)', parseNatural)
    .option('--max-queued <N>', 'requests that may wait (default: 4096)', parseNatural)
    .addOption(
      new Option('--kind <KIND>', "Argobots' kind of pool; all of them serve in order of arrival").choices([
        'fifo',
        'fifo_wait',
        'prio',
        'prio_wait',
        'earliest_first',
      ]),
    )
    .addHelpText('after', POOL_EXAMPLES)
    .action((name: string, { kind, maxInFlight, maxQueued, ...options }: PoolOptions) => {
      const entry: ExecutionPoolConfig = {
        name,
        ...(kind !== undefined && { kind }),
        ...(maxInFlight !== undefined && { max_in_flight: maxInFlight }),
        ...(maxQueued !== undefined && { max_queued: maxQueued }),
      };
      return onDaemon(options, (service, call) => service.addExecutionPool(entry, call));
    });

  withAddress(subcommand(pool, 'rm'))
    .description('Remove an execution pool that nothing uses.')
    .argument('<NAME>', 'its name')
    .addHelpText('after', POOL_RM_EXAMPLES)
    .action((name: string, options: AddressOptions) =>
      onDaemon(options, (service, call) => service.removeExecutionPool(name, call)),
    );
}

export function addExecutionStream(program: Command): void {
  const stream = subcommand(program, 'execution-stream').description(
    'Change the execution streams of a running daemon.',
  );

  withAddress(subcommand(stream, 'add'))
    .description('Add an execution stream.')
    .argument('<NAME>', 'its name')
    .requiredOption('--pool <NAME>', 'execution pool of its scheduler; can be repeated', collect(String))
    .addHelpText('after', STREAM_EXAMPLES)
    .action((name: string, { pool, ...options }: AddressOptions & { pool: string[] }) => {
      const entry: ExecutionStreamConfig = { name, scheduler: { pools: pool as [string, ...string[]] } };
      return onDaemon(options, (service, call) => service.addExecutionStream(entry, call));
    });

  withAddress(subcommand(stream, 'rm'))
    .description('Remove an execution stream.')
    .argument('<NAME>', 'its name')
    .addHelpText('after', STREAM_EXAMPLES)
    .action((name: string, options: AddressOptions) =>
      onDaemon(options, (service, call) => service.removeExecutionStream(name, call)),
    );
}
