/** `bedrock query`: the configurations that daemons run with. */
import type { Command } from 'commander';
import { ADDRESS_HELP, collect, connectTo, defaultAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { interruptible } from './interruption.js';
import { printJson } from './output.js';

const EXAMPLES = `
Examples:
  bedrock query                                          {"http://127.0.0.1:7480":{…}}
  bedrock query --pretty -a unix:/run/bedrock.sock
  bedrock query -a http://node1:7480 -a http://node2:7480
  bedrock query | jq '.[].providers[].name'

If one of several daemons cannot be reached, nothing is printed, and the exit status is 1.
`;

interface QueryOptions {
  address?: string[];
  pretty?: boolean;
}

export function addQuery(program: Command): void {
  subcommand(program, 'query')
    .description('Print the running configurations of daemons, one JSON object with their addresses as keys.')
    .option('-a, --address <URL>', `${ADDRESS_HELP}; may come several times`, collect(String))
    .option('-p, --pretty', 'indent')
    .addHelpText('after', EXAMPLES)
    .action(({ address = [defaultAddress()], pretty }: QueryOptions) =>
      interruptible(async (signal) => {
        const services = await Promise.all(address.map((one) => connectTo(one, { signal })));
        await printJson(Object.fromEntries(services.map(({ url, config }) => [url, config])), pretty);
      }),
    );
}
