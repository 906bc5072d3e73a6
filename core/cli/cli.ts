/** Commands and options of `bedrock`. */
import { Command, CommanderError, Option } from 'commander';
import { LOG_LEVELS } from '../logging.js';
import { addClientCommands } from './client-commands.js';
import { ExitStatus } from './exit-status.js';
import { reportFailure } from './failure.js';
import { addLibraryCommands } from './library-commands.js';
import { addNative } from './native.js';
import { addPool } from './pool.js';
import type { StartOptions } from './start.js';

const EXAMPLES = `
Examples:
  bedrock -c bedrock.json                        launch a daemon
  bedrock start http://127.0.0.1:0 -c conf.toml  on a free port, from a TOML file
  bedrock start unix:/run/bedrock.sock -c bedrock.json
  bedrock start -c bedrock.json --check          validate everything, open nothing
  jq '…' bedrock.json | bedrock start --stdin    from standard input

Exit status: 0 after a clean stop, 1 if the daemon could not start or did not stop cleanly, 2 if the configuration or the
command line is wrong.
`;

/** Runs the command line. @returns the exit status */
export async function runCli(argv: readonly string[]): Promise<number> {
  let status: number = ExitStatus.ok;
  const program = new Command('bedrock')
    .description('A storage daemon that is made of providers, as a JSON configuration describes them.')
    .exitOverride()
    .showHelpAfterError('(bedrock start --help shows all options)');

  program
    .command('start', { isDefault: true })
    .description('Launch a daemon (the default command).')
    .argument('[address]', 'where to listen instead of margo.mercury.address: http://host:port or unix:/path')
    .option('--resp-address <host:port>', 'where to speak the Redis protocol instead of bedrock.resp.address')
    .option('-c, --config <file>', 'configuration file, JSON (comments allowed) or TOML')
    .option('--stdin', 'read the configuration from standard input')
    .option('--toml', 'the configuration is TOML (known by the ending .toml too)')
    .addOption(new Option('-v, --verbose <level>', 'log level').choices([...LOG_LEVELS, 'off']))
    .option('-o, --output-config <file>', 'write the running configuration to a file after the start')
    .option('--check', 'validate the configuration and its libraries, open nothing, exit')
    .addHelpText('after', EXAMPLES)
    .action(async (address: string | undefined, options: StartOptions) => {
      // Only now: the daemon takes several times as long to load as help and complaints about options should take.
      const { start } = await import('./start.js');
      status = await start(address, options);
    });

  addClientCommands(program);
  addLibraryCommands(program);
  addNative(program);
  addPool(program);

  try {
    await program.parseAsync(argv);
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error);
    return error.exitCode === 0 ? ExitStatus.ok : ExitStatus.badConfiguration;
  }
}
