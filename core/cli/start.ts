/** `bedrock start`: launches a daemon and stays until it has stopped. */
import { access, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import type { LogThreshold } from '../base/log-levels.js';
import { type ConfigDocument, parseConfig, readConfigFile } from '../config/document.js';
import { bootstrap, type BootstrapOptions, checkConfig } from '../daemon/bootstrap.js';
import type { Daemon } from '../daemon/daemon.js';
import { looksLikeAddress } from '../net/address.js';
import { ExitStatus } from './exit-status.js';
import { failureLine, reportFailure, UsageError } from './failure.js';
import { printLine } from './output.js';
import { listenToSignals, type StartSignals } from './start-signals.js';

export interface StartOptions {
  config?: string;
  stdin?: boolean;
  toml?: boolean;
  verbose?: LogThreshold;
  respAddress?: string;
  outputConfig?: string;
  check?: boolean;
}

const DEFAULT_CONFIG = 'bedrock.json';

/** @returns the exit status */
export async function start(address: string | undefined, options: StartOptions): Promise<number> {
  const settings: BootstrapOptions = {
    ...(address !== undefined && { address }),
    ...(options.respAddress !== undefined && { respAddress: options.respAddress }),
    ...(options.verbose !== undefined && { logLevel: options.verbose }),
  };
  checkAddress(address);
  const document = await readDocument(options);
  if (options.check === true) return check(document, settings);
  // Not before: a signal ends at once what has opened nothing, such as waiting for standard input.
  const signals = listenToSignals();
  let daemon: Daemon;
  try {
    daemon = await bootstrap(document, { ...settings, signal: signals.stop });
  } catch (error) {
    return endOfStart(error, signals);
  }
  signals.with(daemon);
  if (options.outputConfig !== undefined && !(await writeConfig(options.outputConfig, daemon))) {
    await daemon.close();
    return ExitStatus.failed;
  }
  return (await daemon.closed) ? ExitStatus.ok : ExitStatus.failed;
}

async function check(document: ConfigDocument, settings: BootstrapOptions): Promise<number> {
  for (const warning of await checkConfig(document, settings)) process.stderr.write(`warning: ${warning}\n`);
  await printLine(`${document.source}: valid`);
  return ExitStatus.ok;
}

function endOfStart(error: unknown, { stop }: StartSignals): number {
  // It was asked to stop, and it has: no failure.
  return stop.aborted ? ExitStatus.ok : reportFailure(error);
}

/** @throws UsageError for what was never meant for an address, such as the name of a file */
function checkAddress(text: string | undefined): void {
  if (text === undefined || looksLikeAddress(text)) return;
  throw new UsageError(
    `bedrock start: ${JSON.stringify(text)} is no address to listen at, http://host:port or unix:/path; ` +
      `a configuration is given with -c: bedrock start -c ${text}`,
  );
}

/** @throws CONFIG_INVALID, UsageError */
async function readDocument(options: StartOptions): Promise<ConfigDocument> {
  const format = options.toml === true ? 'toml' : undefined;
  if (options.stdin !== true) return readConfigFile(options.config ?? (await configHere()), format);
  if (options.config !== undefined) {
    throw new UsageError(
      'bedrock start: both --config and --stdin were given; the configuration can come from one only',
    );
  }
  return parseConfig(await text(process.stdin), format ?? 'json', '<stdin>');
}

/** The configuration of this folder. One that is there and cannot be read is for the reader to say. */
async function configHere(): Promise<string> {
  try {
    await access(DEFAULT_CONFIG);
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') {
      throw new BedrockError(
        'CONFIG_INVALID',
        `there is no ${DEFAULT_CONFIG} in ${process.cwd()}; bedrock init writes one to begin with, and -c FILE names another`,
        { cause },
      );
    }
  }
  return DEFAULT_CONFIG;
}

async function writeConfig(file: string, daemon: Daemon): Promise<boolean> {
  try {
    await writeFile(file, `${JSON.stringify(daemon.config, null, 2)}\n`);
    return true;
  } catch (error) {
    const code = systemCodeOf(error) ?? 'INTERNAL';
    const reason = messageOf(error).replace(`${code}: `, '');
    process.stderr.write(failureLine(code, `the running configuration cannot be written: ${reason}`));
    return false;
  }
}
