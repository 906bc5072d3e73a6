/** `bedrock shutdown`: stops a daemon. */
import type { Command } from 'commander';
import { onDaemon, withAddress, type AddressOptions } from './client-command.js';
import { subcommand } from './command-line.js';
import { printLine } from './output.js';

const EXAMPLES = `
The daemon takes no new requests, lets those in flight end, and closes its providers. The command does not wait for that.

Examples:
  bedrock shutdown
  bedrock shutdown -a unix:/run/bedrock.sock
`;

export function addShutdown(program: Command): void {
  withAddress(subcommand(program, 'shutdown'))
    .description('Stop a daemon cleanly, as SIGTERM does.')
    .addHelpText('after', EXAMPLES)
    .action((options: AddressOptions) =>
      onDaemon(options, async (service, call) => {
        await service.shutdown(call);
        await printLine(`${service.url} is stopping`);
      }),
    );
}
