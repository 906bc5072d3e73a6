/**
 * Logging by winston, with the levels that Mochi's users know.
 *
 * Text form: `[info] [warabi:42] Recovered 42 existing regions`, one line an event, to standard output.
 * JSON form: one object a line, `{time, level, component, message, …fields}`.
 */
import winston from 'winston';

/** From the gravest to the most talkative; `off` logs nothing. */
export const LOG_LEVELS = ['critical', 'error', 'warning', 'info', 'debug', 'trace'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogThreshold = LogLevel | 'off';
export type LogFormat = 'text' | 'json';

type LogMethod = (message: string, fields?: Record<string, unknown>) => void;

/** What the parts of the daemon log with; a winston logger underneath. */
export type Logger = Record<LogLevel, LogMethod> & {
  /** A logger for one component, such as `{component: 'warabi:42'}`. */
  child(fields: { component: string }): Logger;
};

export interface LoggerOptions {
  level: LogThreshold;
  format: LogFormat;
  /** Where the lines go; standard output unless told. */
  stream?: NodeJS.WritableStream;
}

const NO_LINE_BREAKS = /[\r\n]+\s*/g;

const textFormat = winston.format.printf(({ level, component, message }) => {
  const text = String(message).replace(NO_LINE_BREAKS, ' | ');
  return `[${level}] [${String(component)}] ${text}`;
});

const jsonFormat = winston.format.printf(({ level, component, message, ...fields }) =>
  JSON.stringify({ time: new Date().toISOString(), level, component, message, ...fields }),
);

/** A logger for the component `bedrock`; other components get children of it. */
export function createLogger(options: LoggerOptions): Logger {
  const levels = Object.fromEntries(LOG_LEVELS.map((level, rank) => [level, rank]));
  const logger = winston.createLogger({
    levels,
    level: options.level === 'off' ? 'critical' : options.level,
    silent: options.level === 'off',
    format: options.format === 'json' ? jsonFormat : textFormat,
    transports: [
      options.stream === undefined
        ? new winston.transports.Console({ stderrLevels: [] })
        : new winston.transports.Stream({ stream: options.stream }),
    ],
  });
  // winston makes one method for each of `levels`; its types only know the usual names.
  return logger.child({ component: 'bedrock' }) as unknown as Logger;
}
