/** From a configuration to a running daemon, for the command line and for programs alike. */
import { readFileSync } from 'node:fs';
import type { Container } from 'inversify';
import type { BedrockConfig } from '../schemas/generated/bedrock.js';
import type { Clock } from './clock.js';
import { configFromObject, readConfigFile, type ConfigDocument } from './config/document.js';
import { isObject } from './config/expand.js';
import { resolveConfig } from './config/resolve.js';
import type { ResolvedConfig } from './config/resolved-config.js';
import { createContainer, TOKENS } from './container.js';
import { Daemon } from './daemon.js';
import { LOG_LEVELS, createLogger, type Logger, type LogFormat, type LogThreshold } from './logging.js';
import { LibraryLoader } from './provider/library.js';

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
  const prepared = await prepare(config, options);
  const { registry } = prepared.container.get(LibraryLoader);
  return Daemon.start({
    ...prepared,
    registry,
    version: packageVersion(),
    listen: options.listen ?? true,
    signal: options.signal,
  });
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
  const prepared = await prepare(config, options);
  return prepared.config.warnings;
}

async function prepare(
  input: ConfigInput,
  options: BootstrapOptions,
): Promise<{ container: Container; config: ResolvedConfig }> {
  const document = await documentOf(input, options);
  const container = createContainer({
    logger: options.logger ?? loggerOf(document, options),
    ...(options.clock !== undefined && { clock: options.clock }),
  });
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

/** The logger must be there before the configuration is validated, so this reads the two settings with care. */
function loggerOf({ root }: ConfigDocument, { logLevel }: BootstrapOptions): Logger {
  const bedrock = isObject(root.bedrock) ? root.bedrock : {};
  const log = isObject(bedrock.log) ? bedrock.log : {};
  const levels: unknown[] = ['off', ...LOG_LEVELS];
  const level = levels.includes(log.level) ? (log.level as LogThreshold) : 'info';
  const format: LogFormat = log.format === 'json' ? 'json' : 'text';
  return createLogger({ level: logLevel ?? level, format });
}

function packageVersion(): string {
  // Two folders up when compiled (dist/core), one up in the sources.
  for (const place of ['../../package.json', '../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (found.name === 'bedrock-node') return found.version;
    } catch {
      // Not there: the other place has it.
    }
  }
  return 'unknown';
}
