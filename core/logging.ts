/**
 * Logging by winston, with the levels that Mochi's users know.
 *
 * Text form: `2026-01-31T12:00:00.000Z [info] [warabi:42] Recovered 42 existing regions`, one line an event.
 * JSON form: one object a line, `{time, level, component, message, …fields}`.
 */
import winston from 'winston';
import { messageOf } from './errors.js';

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

/** What ends a line for some reader of the log. */
const LINE_BREAKS = /[\r\n\v\f\u0085\u2028\u2029]+\s*/g;

/** What a terminal could take for a command. */
const CONTROLS = /(?!\t)\p{Cc}/gu;

const textFormat = winston.format.printf(({ level, component, message }) =>
  `${new Date().toISOString()} [${level}] [${String(component)}] ${String(message)}`
    .replace(LINE_BREAKS, ' | ')
    .replace(CONTROLS, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`),
);

const jsonFormat = winston.format.printf(({ level, component, message, ...fields }) => {
  const head = { time: new Date().toISOString(), level, component, message };
  try {
    // Twice: to stand first, and to stand against fields of the same names.
    return JSON.stringify({ ...head, ...fields, ...head }, printable);
  } catch (error) {
    // A field that contains itself, say: the line is worth more than its fields.
    return JSON.stringify({ ...head, unprintable: messageOf(error) });
  }
});

/** What JSON knows no form of, in one that can be read. */
function printable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

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
