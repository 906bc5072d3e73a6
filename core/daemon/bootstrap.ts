/** From a configuration to a running daemon, for the command line and for programs. */
import path from 'node:path';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import type { Clock } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import type { LogThreshold } from '../base/log-levels.js';
import type { Logger } from '../base/logging.js';
import { findTracing } from '../base/tracing.js';
import { packageVersion } from '../base/package-version.js';
import { type ConfigDocument, configFromObject, readConfigFile } from '../config/document.js';
import type { InheritedSockets } from '../net/inherited-sockets.js';
import type { Daemon } from './daemon.js';

/** Overrides of the configuration by a program. */
export interface BootstrapOptions {
  /** HTTP address instead of `margo.mercury.address`. */
  address?: string;
  /**
   * Address of the Redis door, host:port, instead of `bedrock.resp.address`; adds a Redis door if
   * that is absent.
   */
  respAddress?: string;
  /** Group file instead of `bedrock.group_file`. A relative path is relative to the working directory. */
  groupFile?: string;
  /** Whether to listen. Default: true. Without it the targets can only be used in-process. */
  listen?: boolean;
  /** Log level instead of `bedrock.log.level`. */
  logLevel?: LogThreshold;
  /** A logger instead of the one that `bedrock.log` describes. */
  logger?: Logger;
  /** Source of time instead of the system's, for tests. */
  clock?: Clock;
  /**
   * Aborting it ends the start at once with START_FAILED. Running providers are stopped, and those
   * that are created later are closed.
   */
  signal?: AbortSignal;
  /** @internal Sockets to accept connections at, which listen already, in place of the configured addresses. */
  sockets?: InheritedSockets;
  /** Base folder of relative paths, for a configuration that is an object. Default: the working directory. */
  directory?: string;
}

/** @internal A configuration: the name of a file, a document that was already read, or the object itself. */
export type ConfigInput = string | ConfigDocument | BedrockConfig;

/**
 * Starts a daemon.
 * @param config the name of a file, or the configuration itself
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED (all faults in
 *   details.issues), START_FAILED
 */
export function bootstrap(config: string | BedrockConfig, options?: BootstrapOptions): Promise<Daemon>;
/** @internal */
// oxlint-disable-next-line typescript/unified-signatures -- the public one knows of no documents
export function bootstrap(config: ConfigInput, options?: BootstrapOptions): Promise<Daemon>;
export async function bootstrap(config: ConfigInput, options: BootstrapOptions = {}): Promise<Daemon> {
  const document = await documentOf(config, options);
  // Loaded only here: a program that imports the package for a base class or a client needs no
  // validation and no log.
  const { logFileOf, loggerOf, prepare } = await import('./preparation.js');
  const logFile = options.logger === undefined ? logFileOf(document) : undefined;
  let logger = options.logger;
  let setLogLevel: ((level: LogThreshold) => void) | undefined;
  if (logger === undefined) {
    const own = loggerOf(document, options, logFile);
    logger = own;
    if (options.logLevel === undefined) setLogLevel = own.setLevel;
  }
  const prepared = await prepare(document, options, logger);
  // Not earlier, since a faulty configuration must open nothing.
  await logFile?.open();
  try {
    // Loaded only now: a faulty configuration, or a mere check, needs no door.
    const [{ Daemon }, { ConfigFile }] = await Promise.all([
      import('./daemon.js'),
      import('../runtime/config-file.js'),
    ]);
    const version = packageVersion();
    await findTracing(version);
    return await Daemon.start({
      ...prepared,
      version,
      listen: options.listen ?? true,
      sockets: options.sockets,
      signal: options.signal,
      logFile,
      origin: {
        file: document.file && new ConfigFile(document.file, prepared.resolution),
        overrides: {
          ...(options.address !== undefined && { address: options.address }),
          ...(options.respAddress !== undefined && { respAddress: options.respAddress }),
          // Resolved now, since the working directory may change later.
          ...(options.groupFile !== undefined && { groupFile: path.resolve(options.groupFile) }),
        },
        setLogLevel,
      },
    });
  } catch (error) {
    // The caller gets the error; readers of the log should find it too.
    if (logFile !== undefined) logger.critical(`the daemon did not start: ${messageOf(error)}`);
    await logFile?.close();
    throw error;
  }
}

/**
 * Validates a configuration, including its libraries, and opens nothing.
 * @param config the name of a file, or the configuration itself
 * @returns the warnings
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, with all faults in details.issues
 */
export function checkConfig(
  config: string | BedrockConfig,
  options?: BootstrapOptions,
): Promise<readonly string[]>;
/** @internal */
// oxlint-disable-next-line typescript/unified-signatures -- the public one knows of no documents
export function checkConfig(config: ConfigInput, options?: BootstrapOptions): Promise<readonly string[]>;
export async function checkConfig(
  config: ConfigInput,
  options: BootstrapOptions = {},
): Promise<readonly string[]> {
  const document = await documentOf(config, options);
  const { loggerOf, prepare } = await import('./preparation.js');
  const prepared = await prepare(document, options, options.logger ?? loggerOf(document, options));
  return prepared.resolution.config.warnings;
}

async function documentOf(input: ConfigInput, { directory }: BootstrapOptions): Promise<ConfigDocument> {
  if (typeof input === 'string') return readConfigFile(input);
  if ('root' in input && 'locate' in input) return input;
  return configFromObject(input, directory);
}
