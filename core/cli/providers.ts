/** `bedrock providers`, also `bedrock provider ls`: lists the providers of a daemon. */
import type { Command } from 'commander';
import { onDaemon, withAddress, type AddressOptions } from './client-command.js';
import { subcommand } from './command-line.js';
import { printJson, printLine, table } from './output.js';

const EXAMPLES = `
Examples:
  bedrock providers
  bedrock providers --json | jq -r '.[] | select(.state == "running").name'
`;

export function addProviders(program: Command): void {
  addProviderList(program, 'providers');
}

export function addProviderList(parent: Command, name: string): void {
  withAddress(subcommand(parent, name))
    .description("List a daemon's providers, in the order of its configuration.")
    .option('--json', 'an array of {name, type, providerId, tags, state, targets}')
    .addHelpText('after', EXAMPLES)
    .action((options: AddressOptions & { json?: boolean }) =>
      onDaemon(options, async ({ providers }) => {
        if (options.json === true) return printJson(providers);
        const rows = providers.map(({ name, providerId, type, state, targets, tags }) => [
          name,
          String(providerId),
          type,
          state,
          targets
            .map(({ type, readOnly }) => (readOnly === undefined ? type : `${type} (read-only)`))
            .join(',') || '-',
          tags.join(',') || '-',
        ]);
        await printLine(table([['NAME', 'ID', 'TYPE', 'STATE', 'TARGETS', 'TAGS'], ...rows], ['ID']));
        for (const { name, targets } of providers) {
          for (const [target, { readOnly }] of targets.entries())
            if (readOnly !== undefined)
              await printLine(`\ntarget ${target} of ${name} has turned read-only: ${readOnly}`);
        }
      }),
    );
}
