/** `bedrock start`: launches a daemon and stays until it has stopped. */
import { writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { bootstrap, checkConfig, type BootstrapOptions } from '../bootstrap.js';
import { configFromObject, parseConfig, readConfigFile, type ConfigDocument } from '../config/document.js';
import type { Daemon } from '../daemon.js';
import { BedrockError, messageOf } from '../errors.js';
import type { LogThreshold } from '../logging.js';
import { ExitStatus } from './exit-status.js';

export interface StartOptions {
  config?: string;
  stdin?: boolean;
  toml?: boolean;
  verbose?: LogThreshold;
  respAddress?: string;
  outputConfig?: string;
  check?: boolean;
}

const CONFIGURATION_CODES: readonly string[] = [
  'CONFIG_INVALID',
  'LIBRARY_LOAD_FAILED',
  'DEPENDENCY_UNRESOLVED',
];

/** npm passes the terminal's signals on, so the daemon gets each twice within moments. */
const NPM_ECHO_MS = 500;

/** @returns the exit status */
export async function start(address: string | undefined, options: StartOptions): Promise<number> {
  const settings: BootstrapOptions = {
    ...(address !== undefined && { address }),
    ...(options.respAddress !== undefined && { respAddress: options.respAddress }),
    ...(options.verbose !== undefined && { logLevel: options.verbose }),
  };
  let daemon: Daemon;
  let stop: SignalStop | undefined;
  try {
    const document = await readDocument(options);
    if (options.check === true) {
      for (const warning of await checkConfig(document, settings)) console.error(`warning: ${warning}`);
      console.log(`${document.source}: valid`);
      return ExitStatus.ok;
    }
    // Not before: a signal ends at once what has opened nothing, such as waiting for standard input.
    stop = stopOnSignal();
    daemon = await bootstrap(document, { ...settings, signal: stop.signal });
  } catch (error) {
    console.error(messageOf(error));
    // It was asked to stop, and it has.
    if (stop?.signal.aborted === true) return ExitStatus.ok;
    const isConfiguration = error instanceof BedrockError && CONFIGURATION_CODES.includes(error.code);
    return isConfiguration ? ExitStatus.badConfiguration : ExitStatus.failed;
  }
  stop.with(daemon);
  if (options.outputConfig !== undefined && !(await writeConfig(options.outputConfig, daemon))) {
    await daemon.close();
    return ExitStatus.failed;
  }
  return (await daemon.closed) ? ExitStatus.ok : ExitStatus.failed;
}

async function readDocument(options: StartOptions): Promise<ConfigDocument> {
  const format = options.toml === true ? 'toml' : undefined;
  if (options.stdin === true) {
    if (options.config !== undefined) {
      throw new BedrockError(
        'CONFIG_INVALID',
        'both --config and --stdin were given; the configuration can come from one only',
      );
    }
    return parseConfig(await text(process.stdin), format ?? 'json', '<stdin>');
  }
  return options.config === undefined ? configFromObject({}) : readConfigFile(options.config, format);
}

async function writeConfig(file: string, daemon: Daemon): Promise<boolean> {
  try {
    await writeFile(file, `${JSON.stringify(daemon.config, null, 2)}\n`);
    return true;
  } catch (error) {
    console.error(`the running configuration cannot be written: ${messageOf(error)}`);
    return false;
  }
}

interface SignalStop {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Names the daemon to stop; at once if the signal came while it was starting. */
  with(daemon: Daemon): void;
}

/**
 * SIGTERM, SIGINT and SIGHUP stop the daemon in good order, also one that is still starting; a second signal exits at once.
 */
function stopOnSignal(): SignalStop {
  const starting = new AbortController();
  let running: Daemon | undefined;
  let first: { signal: NodeJS.Signals; at: number } | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = { signal, at: Date.now() };
      starting.abort();
      void running?.close();
      return;
    }
    const isEcho = process.env.npm_lifecycle_event !== undefined && Date.now() - first.at < NPM_ECHO_MS;
    if (!isEcho) process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onSignal);
  return {
    signal: starting.signal,
    with(daemon) {
      running = daemon;
      if (first !== undefined) void daemon.close();
    },
  };
}
