/** From a configuration to a running daemon, for the command line and for programs alike. */
import path from 'node:path';
import type { Container } from 'inversify';
import type { Registry } from 'prom-client';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import type { Clock } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import { LogFile } from '../base/log-file.js';
import { LOG_LEVELS, type LogThreshold } from '../base/log-levels.js';
import { createLogger, type LogFormat, type Logger } from '../base/logging.js';
import { packageVersion } from '../base/package-version.js';
import { type ConfigDocument, configFromObject, readConfigFile } from '../config/document.js';
import { isObject } from '../config/expand.js';
import { resolveConfig } from '../config/resolve.js';
import type { ResolvedConfig } from '../config/resolved-config.js';
import { createContainer, TOKENS } from '../library/container.js';
import { LibraryLoader } from '../library/library.js';
import { registerProcessMetrics } from '../runtime/process-metrics.js';
import type { Daemon } from './daemon.js';

export interface BootstrapOptions {
  /** Listen here instead of at `margo.mercury.address`. */
  address?: string;
  /** Speak the Redis protocol here, host:port, instead of at `bedrock.resp.address`, or besides if that is absent. */
  respAddress?: string;
  /** Whether to listen at all; true unless told. Without it the targets are reached in-process only. */
  listen?: boolean;
  /** Log level instead of `bedrock.log.level`. */
  logLevel?: LogThreshold;
  /** A logger instead of the one that `bedrock.log` describes. */
  logger?: Logger;
  clock?: Clock;
  /** Ends the start at once with START_FAILED; what runs already is stopped, and what comes into being later is closed. */
  signal?: AbortSignal;
  /** Folder that relative paths count from, for a configuration that is an object; the working directory unless told. */
  directory?: string;
}

/** A configuration: the name of a file, a document that was read already, or the object itself. */
export type ConfigInput = string | ConfigDocument | BedrockConfig;

/**
 * Starts a daemon.
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED (all faults in details.issues), START_FAILED
 */
export async function bootstrap(config: ConfigInput, options: BootstrapOptions = {}): Promise<Daemon> {
  const document = await documentOf(config, options);
  const logFile = options.logger === undefined ? logFileOf(document) : undefined;
  const logger = options.logger ?? loggerOf(document, options, logFile);
  const prepared = await prepare(document, options, logger);
  // Not before: a configuration that is wrong opens nothing.
  await logFile?.open();
  const { registry } = prepared.container.get(LibraryLoader);
  try {
    // Only now: what is wrong, or only to be checked, needs neither of the doors.
    const { Daemon } = await import('./daemon.js');
    return await Daemon.start({
      ...prepared,
      registry,
      version: packageVersion(),
      listen: options.listen ?? true,
      signal: options.signal,
      logFile,
    });
  } catch (error) {
    // Whoever called hears of it; whoever looks into the file later should, too.
    if (logFile !== undefined) logger.critical(`the daemon did not start: ${messageOf(error)}`);
    await logFile?.close();
    throw error;
  }
}

/**
 * Validates a configuration, its libraries included, and opens nothing.
 * @returns the warnings
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, with all faults in details.issues
 */
export async function checkConfig(
  config: ConfigInput,
  options: BootstrapOptions = {},
): Promise<readonly string[]> {
  const document = await documentOf(config, options);
  const prepared = await prepare(document, options, options.logger ?? loggerOf(document, options));
  return prepared.config.warnings;
}

async function prepare(
  document: ConfigDocument,
  options: BootstrapOptions,
  logger: Logger,
): Promise<{ container: Container; config: ResolvedConfig }> {
  const container = createContainer({
    logger,
    ...(options.clock !== undefined && { clock: options.clock }),
  });
  registerProcessMetrics(container.get<Registry>(TOKENS.Metrics));
  container.bind(LibraryLoader).toSelf().inSingletonScope();
  const { address, respAddress, signal } = options;
  const config = await resolveConfig(document, container, {
    ...(address !== undefined && { address }),
    ...(respAddress !== undefined && { respAddress }),
    ...(signal !== undefined && { signal }),
  });
  container.bind<ResolvedConfig>(TOKENS.Config).toConstantValue(config);
  return { container, config };
}

async function documentOf(input: ConfigInput, { directory }: BootstrapOptions): Promise<ConfigDocument> {
  if (typeof input === 'string') return readConfigFile(input);
  if ('root' in input && 'locate' in input) return input;
  return configFromObject(input, directory);
}

/** The logger must be there before the configuration is validated, so this reads the settings with care. */
function logSettingsOf({ root }: ConfigDocument): Record<string, unknown> {
  const bedrock = isObject(root.bedrock) ? root.bedrock : {};
  return isObject(bedrock.log) ? bedrock.log : {};
}

function logFileOf(document: ConfigDocument): LogFile | undefined {
  const { file } = logSettingsOf(document);
  return typeof file === 'string' ? new LogFile(path.resolve(document.directory, file)) : undefined;
}

function loggerOf(document: ConfigDocument, { logLevel }: BootstrapOptions, file?: LogFile): Logger {
  const settings = logSettingsOf(document);
  const levels: unknown[] = ['off', ...LOG_LEVELS];
  const level = levels.includes(settings.level) ? (settings.level as LogThreshold) : 'info';
  const format: LogFormat = settings.format === 'json' ? 'json' : 'text';
  const logger = createLogger({
    level: logLevel ?? level,
    format,
    ...(file !== undefined && { stream: file.stream }),
  });
  if (file !== undefined)
    file.onGap = (lines, reason) => logger.warning(`${lines} lines of this log were lost: ${reason}`);
  return logger;
}
