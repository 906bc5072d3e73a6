/** `bedrock doctor`: checks a machine, a configuration and a daemon, and says what to do. Changes nothing. */
import { tmpdir } from 'node:os';
import { type Command, Option } from 'commander';
import type { Diagnosis } from '../contract/diagnosis.js';
import { type AddressOptions, connectTo, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { ExitStatus } from './exit-status.js';
import { Conclusion } from './failure.js';
import { interruptible } from './interruption.js';
import { countOf, print, printJson, shownName } from './output.js';
import { checkCertificatesAreUsed } from './tls-options.js';

const EXAMPLES = `
Examples:
  bedrock doctor                       the machine
  bedrock doctor -c bedrock.json       and a configuration, with its pools, files and addresses
  bedrock doctor -a http://host:7480   and a daemon that runs
  bedrock doctor --json | jq '.checks[] | select(.state != "ok")'

One line per check: ok, warning or problem, what was checked, what was found, and what to do. With --json an object: problems,
warnings (their numbers), and checks, an array of {check, state, found, cure?}. Nothing is changed, and no check takes more than
5 s. The exit status is 0 if there is no problem, else 1.
`;

interface DoctorOptions extends AddressOptions {
  config?: string;
  json?: boolean;
  systemRoot: string;
}

export function addDoctor(program: Command): void {
  withAddress(subcommand(program, 'doctor'))
    .description('Check this machine, and also a configuration and a running daemon, and say what to do.')
    .option('-c, --config <FILE>', 'a configuration to check, with what it names')
    .option('--json', 'an object, see below')
    // For tests: folder that contains /proc and /sys.
    .addOption(new Option('--system-root <DIR>').default('/').hideHelp())
    .addHelpText('after', EXAMPLES)
    .action((options: DoctorOptions) => interruptible((signal) => doctor(options, signal)));
}

async function doctor(
  { config, json, systemRoot, ...options }: DoctorOptions,
  signal: AbortSignal,
): Promise<void> {
  const { address } = options;
  checkCertificatesAreUsed(address === undefined ? [] : [address], options);
  const { diagnose } = await import('../doctor/diagnose.js');
  const findings = await diagnose(
    {
      systemRoot,
      searchPath: process.env.PATH ?? '',
      facts: {
        nodeVersion: process.version,
        platform: process.platform,
        architecture: process.arch,
        user: process.geteuid?.(),
        now: Date.now(),
        temporaryFolder: tmpdir(),
      },
      ...(config !== undefined && { config }),
      // Only a daemon that was asked for: without one, nothing is wrong with the machine.
      ...(address !== undefined && { connect: (call) => connectTo(address, options, { signal: call }) }),
    },
    signal,
  );
  const numberOf = (state: Diagnosis['state']): number =>
    findings.filter((each) => each.state === state).length;
  const [problems, warnings] = [numberOf('problem'), numberOf('warning')];
  if (json === true) await printJson({ problems, warnings, checks: findings });
  else {
    const lines = findings.map(lineOf);
    const summary = `${countOf(findings.length, 'check')}: ${countOf(problems, 'problem')}, ${countOf(warnings, 'warning')}`;
    await print(`${[...lines, summary].join('\n')}\n`);
  }
  if (problems > 0) throw new Conclusion(ExitStatus.failed);
}

function lineOf({ check, state, found, cure }: Diagnosis): string {
  const advice = cure === undefined ? '' : ` (${cure})`;
  return shownName(`${state.padEnd(7)}  ${check}: ${found}${advice}`.replaceAll(/[\r\n]+/g, ' '));
}
