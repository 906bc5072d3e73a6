/** `bedrock start`: launches a daemon and runs until it has stopped. */
import { access, readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import type { LogThreshold } from '../base/log-levels.js';
import { type ConfigDocument, parseConfig, readConfigFile } from '../config/document.js';
import { bootstrap, type BootstrapOptions, checkConfig } from '../daemon/bootstrap.js';
import type { Daemon } from '../daemon/daemon.js';
import { looksLikeAddress } from '../net/address.js';
import { takeInheritedSockets } from '../net/inherited-sockets.js';
import { ExitStatus } from './exit-status.js';
import { reportFailure, UsageError } from './failure.js';
import { writeFirstConfig } from './init.js';
import { interruptible } from './interruption.js';
import { writeWholeFile } from './output-file.js';
import { printLine } from './output.js';
import { expectHang } from './process-end.js';
import { serviceManagerOf } from './service-manager.js';
import { listenToSignals, type StartSignals } from './start-signals.js';

export interface StartOptions {
  config?: string;
  stdin?: boolean;
  toml?: boolean;
  verbose?: LogThreshold;
  respAddress?: string;
  groupFile?: string;
  outputConfig?: string;
  check?: boolean;
}

const DEFAULT_CONFIG = 'bedrock.json';

/** @returns the exit status */
export async function start(address: string | undefined, options: StartOptions): Promise<number> {
  const settings: BootstrapOptions = {
    ...(address !== undefined && { address }),
    ...(options.respAddress !== undefined && { respAddress: options.respAddress }),
    ...(options.groupFile !== undefined && { groupFile: options.groupFile }),
    ...(options.verbose !== undefined && { logLevel: options.verbose }),
  };
  checkAddress(address);
  const document = await readDocument(options);
  if (options.check === true) return check(document, settings);
  // Not earlier: before anything is open, for example while waiting for standard input, a signal
  // ends the process at once.
  const signals = listenToSignals();
  const manager = await serviceManagerOf(process.env);
  signals.stop.addEventListener('abort', manager.stopping, { once: true });
  let daemon: Daemon;
  try {
    const sockets = takeInheritedSockets(process.env);
    daemon = await bootstrap(document, {
      ...settings,
      ...(sockets !== undefined && { sockets }),
      signal: signals.stop,
    });
  } catch (error) {
    return endOfStart(error, signals);
  }
  signals.with(daemon);
  if (
    options.outputConfig !== undefined &&
    !(await writeConfig(options.outputConfig, daemon, signals.stop))
  ) {
    await daemon.close();
    return ExitStatus.failed;
  }
  // It may have been told to stop already.
  if (!signals.stop.aborted)
    manager.ready(`${daemon.address ?? ''} serves ${daemon.providers.length} providers`);
  void daemon.closed.then(manager.stopping);
  const isClean = await daemon.closed;
  if (!isClean) expectHang();
  if (signals.failure !== undefined) return reportFailure(signals.failure);
  return isClean ? ExitStatus.ok : ExitStatus.failed;
}

async function check(document: ConfigDocument, settings: BootstrapOptions): Promise<number> {
  for (const warning of await checkConfig(document, settings)) process.stderr.write(`warning: ${warning}\n`);
  await printLine(`${document.source}: valid`);
  return ExitStatus.ok;
}

function endOfStart(error: unknown, { stop, failure }: StartSignals): number {
  if (failure !== undefined) return reportFailure(failure);
  // It was told to stop, and has stopped: not a failure.
  return stop.aborted ? ExitStatus.ok : reportFailure(error);
}

/** @throws UsageError for a text that was never meant as an address, such as a file name */
function checkAddress(text: string | undefined): void {
  if (text === undefined || looksLikeAddress(text)) return;
  throw new UsageError(
    `bedrock start: ${JSON.stringify(text)} is not an address to listen at, http://host:port, https://host:port or unix:/path; ` +
      `a configuration is given with -c: bedrock start -c ${text}`,
  );
}

/** @throws CONFIG_INVALID, UsageError */
async function readDocument(options: StartOptions): Promise<ConfigDocument> {
  const format = options.toml === true ? 'toml' : undefined;
  if (options.stdin !== true) return readConfigFile(options.config ?? (await configHere(options)), format);
  if (options.config !== undefined) {
    throw new UsageError(
      'bedrock start: both --config and --stdin were given; the configuration can come from one only',
    );
  }
  return parseConfig(await text(process.stdin), format ?? 'json', '<stdin>');
}

/**
 * The configuration of this folder. If it exists but cannot be read, the reader reports that. A folder that is empty gets the
 * configuration of `bedrock init`, so that `npx bedrock-node` alone starts a daemon.
 */
async function configHere({ check: isCheck }: StartOptions): Promise<string> {
  try {
    await access(DEFAULT_CONFIG);
  } catch (cause) {
    if (systemCodeOf(cause) !== 'ENOENT') return DEFAULT_CONFIG;
    if (isCheck === true || !(await isEmpty('.'))) {
      throw new BedrockError(
        'CONFIG_INVALID',
        `there is no ${DEFAULT_CONFIG} in ${process.cwd()}; bedrock init writes one to begin with, and -c FILE names another`,
        { cause },
      );
    }
    await interruptible((signal) => writeFirstConfig(DEFAULT_CONFIG, signal));
    await printLine(`${DEFAULT_CONFIG}: written, as this folder was empty`);
  }
  return DEFAULT_CONFIG;
}

async function isEmpty(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length === 0;
  } catch {
    return false;
  }
}

async function writeConfig(file: string, daemon: Daemon, stop: AbortSignal): Promise<boolean> {
  try {
    const text = `${JSON.stringify(daemon.config, null, 2)}\n`;
    await writeWholeFile(file, Readable.from([Buffer.from(text)]), stop);
    return true;
  } catch (error) {
    // It was told to stop, and is stopping.
    if (stop.aborted) return true;
    reportFailure(error);
    return false;
  }
}
