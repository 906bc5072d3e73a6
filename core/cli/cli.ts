/** The commands and options of `bedrock`. */
import { type Command, CommanderError, Option } from 'commander';
import { LOG_LEVELS } from '../base/log-levels.js';
import { packageVersion } from '../base/package-version.js';
import { addClientCommands } from './client-commands.js';
import { rootCommand, subcommand, withDefaultCommand } from './command-line.js';
import { ExitStatus } from './exit-status.js';
import { reportFailure } from './failure.js';
import { addInstallService } from './install-service.js';
import { addLibraryCommands } from './library-commands.js';
import { addNative } from './native.js';
import { addPool } from './pool.js';
import type { StartOptions } from './start.js';

const EXAMPLES = `
Examples:
  bedrock                                        launch the daemon of ./bedrock.json, which an empty folder gets first
  bedrock -c other.json                          that of another file
  bedrock start http://127.0.0.1:0 -c conf.toml  on a free port, from a TOML file
  bedrock start unix:/run/bedrock.sock -c bedrock.json
  bedrock start -c bedrock.json --check          validate everything, open nothing
  jq '…' bedrock.json | bedrock start --stdin    from standard input

Exit status: 0 after a clean stop, 1 if the daemon could not start or did not stop cleanly, 2 if the configuration or the
command line is wrong. SIGTERM and SIGINT stop it, SIGHUP reopens bedrock.log.file
and reads a configuration that has changed again.
`;

/** Runs the command line. @returns the exit status */
export async function runCli(argv: readonly string[]): Promise<number> {
  let status: number = ExitStatus.ok;
  const program = makeProgram((ended) => (status = ended));
  try {
    await program.parseAsync(withDefaultCommand(argv));
    return status;
  } catch (error) {
    // Help or the version was printed. All errors are UsageErrors.
    return error instanceof CommanderError ? ExitStatus.ok : reportFailure(error);
  }
}

/** @param onEnd gets the exit status of a daemon that has ended */
export function makeProgram(onEnd: (status: number) => void): Command {
  const program = rootCommand('bedrock')
    .description('A storage daemon. A JSON configuration describes its providers.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .usage('[command] [options]')
    .addHelpText('after', '\nWithout a command, bedrock start is run.');
  addStart(program, onEnd);
  addClientCommands(program);
  addLibraryCommands(program);
  addNative(program);
  addInstallService(program);
  addPool(program);
  return program;
}

function addStart(program: Command, onEnd: (status: number) => void): void {
  subcommand(program, 'start')
    .description('Launch a daemon (the default command).')
    .argument(
      '[ADDRESS]',
      'where to listen instead of margo.mercury.address: http://host:port, https://host:port or unix:/path',
    )
    .option('--resp-address <HOST:PORT>', 'where to speak the Redis protocol instead of bedrock.resp.address')
    .option('-c, --config <FILE>', 'configuration, JSON (comments allowed) or TOML (default: ./bedrock.json)')
    .option('--stdin', 'read the configuration from standard input')
    .option('--toml', 'the configuration is TOML (the default for names in .toml)')
    .addOption(new Option('-v, --verbose <LEVEL>', 'log level').choices([...LOG_LEVELS, 'off']))
    .option('-o, --output-config <FILE>', 'write the running configuration to a file after the start')
    .option('--group-file <FILE>', 'write a group file, for bedrock query -f, instead of bedrock.group_file')
    .option('--check', 'validate the configuration and its libraries, open nothing, exit')
    .addHelpText('after', EXAMPLES)
    .action(async (address: string | undefined, options: StartOptions) => {
      // Loaded only now: the daemon takes several times as long to load as help and usage errors
      // should take.
      const { start } = await import('./start.js');
      onEnd(await start(address, options));
    });
}
