/**
 * `bedrock config` and `bedrock reload`: the running configuration of a daemon, and the file that
 * it was started with.
 */
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type AddressOptions, onDaemon, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { writeWholeFile } from './output-file.js';
import { print, printLine } from './output.js';

const SHOW_EXAMPLES = `
The output is a configuration: a daemon that is started with it provides the same service.

Examples:
  bedrock config show
  bedrock config show -o running.json
`;

const SAVE_EXAMPLES = `
Only what was changed at run time is written: comments and everything else in the file stay. If the file has changed
since the daemon read it, or is TOML, the command is refused.

Examples:
  bedrock config save
`;

const RELOAD_EXAMPLES = `
The running configuration is changed to match the file; changes that were made at run time and not saved are undone. If the file
differs in something that cannot change while the daemon runs, such as an address, nothing is changed, and the error lists all
reasons.

Examples:
  bedrock reload
`;

export function addConfig(program: Command): void {
  const config = subcommand(program, 'config').description(
    'Show or save the running configuration of a daemon.',
  );

  withAddress(subcommand(config, 'show'))
    .description('Print the running configuration.')
    .option('-o, --output <FILE>', 'write it to a file instead')
    .addHelpText('after', SHOW_EXAMPLES)
    .action((options: AddressOptions & { output?: string }) =>
      onDaemon(options, async (service, { signal }) => {
        const text = `${JSON.stringify(await service.query(undefined, { signal }), null, 2)}\n`;
        if (options.output === undefined) await print(text);
        else await writeWholeFile(options.output, Readable.from([Buffer.from(text)]), signal);
      }),
    );

  withAddress(subcommand(config, 'save'))
    .description('Write the changes made at run time into the file that the daemon was started with.')
    .addHelpText('after', SAVE_EXAMPLES)
    .action((options: AddressOptions) =>
      onDaemon(options, async (service, call) => {
        await printLine(`saved in ${await service.saveConfig(call)}`);
      }),
    );
}

export function addReload(program: Command): void {
  withAddress(subcommand(program, 'reload'))
    .description('Make a daemon read its configuration file again, and apply the differences.')
    .addHelpText('after', RELOAD_EXAMPLES)
    .action((options: AddressOptions) => onDaemon(options, (service, call) => service.reload(call)));
}
