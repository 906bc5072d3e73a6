/**
 * What happens before a daemon starts: its log is set up, and its configuration is validated and
 * resolved, with its libraries. Opens nothing.
 */
import path from 'node:path';
import type { Container } from 'inversify';
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.js';
import { LogFile } from '../base/log-file.js';
import { LOG_LEVELS, type LogThreshold } from '../base/log-levels.js';
import { createLogger, type LevelledLogger, type LogFormat, type Logger } from '../base/logging.js';
import type { ConfigDocument } from '../config/document.js';
import { isObject } from '../config/expand.js';
import { type Resolution, resolveConfig } from '../config/resolve.js';
import type { ResolvedConfig } from '../config/resolved-config.js';
import { createContainer } from '../library/container.js';
import { LibraryLoader } from '../library/library.js';
import { TOKENS } from '../library/tokens.js';
import { registerProcessMetrics } from '../runtime/process-metrics.js';

/** Some of the options of `bootstrap`. */
interface PreparationOptions {
  address?: string;
  respAddress?: string;
  /** Group file instead of `bedrock.group_file`. A relative path is relative to the working directory. */
  groupFile?: string;
  clock?: Clock;
  signal?: AbortSignal;
}

export async function prepare(
  document: ConfigDocument,
  options: PreparationOptions,
  logger: Logger,
): Promise<{ container: Container; resolution: Resolution }> {
  const container = createContainer({
    logger,
    ...(options.clock !== undefined && { clock: options.clock }),
  });
  registerProcessMetrics(container.get<Registry>(TOKENS.Metrics));
  container.bind(LibraryLoader).toSelf().inSingletonScope();
  const { address, respAddress, groupFile, signal } = options;
  const resolution = await resolveConfig(document, container, {
    ...(address !== undefined && { address }),
    ...(respAddress !== undefined && { respAddress }),
    ...(groupFile !== undefined && { groupFile }),
    ...(signal !== undefined && { signal }),
  });
  container.bind<ResolvedConfig>(TOKENS.Config).toConstantValue(resolution.config);
  return { container, resolution };
}

/**
 * Resolves a configuration with its libraries for those who only look at it.
 * @throws as `prepare`
 */
export async function resolveDocument(
  document: ConfigDocument,
  signal: AbortSignal,
): Promise<ResolvedConfig> {
  const prepared = await prepare(document, { signal }, createLogger({ level: 'off', format: 'text' }));
  return prepared.resolution.config;
}

/**
 * The logger is needed before the configuration is validated, so this reads the settings without
 * trusting them.
 */
function logSettingsOf({ root }: ConfigDocument): Record<string, unknown> {
  const bedrock = isObject(root.bedrock) ? root.bedrock : {};
  return isObject(bedrock.log) ? bedrock.log : {};
}

export function logFileOf(document: ConfigDocument): LogFile | undefined {
  const { file } = logSettingsOf(document);
  return typeof file === 'string' ? new LogFile(path.resolve(document.directory, file)) : undefined;
}

export function loggerOf(
  document: ConfigDocument,
  { logLevel }: { logLevel?: LogThreshold },
  file?: LogFile,
): LevelledLogger {
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
