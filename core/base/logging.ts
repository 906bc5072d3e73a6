/**
 * Logging by winston, with the levels that Mochi's users know.
 *
 * Text form: `2026-01-31T12:00:00.000Z [info] [warabi:42] Recovered 42 existing regions`, one line an event.
 * JSON form: one object a line, `{time, level, component, message, …fields}`.
 *
 * Libraries log through this too, and may give anything. Each value is made a text or a plain copy before winston sees it: no log
 * call throws, and each writes one line at most.
 */
import winston from 'winston';
import { LOG_LEVELS, type LogLevel, type LogThreshold } from './log-levels.js';
import { isInstance, type Plain, plainOf, propertyOf, textOf } from './plain.js';

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

/** What winston carries from a log call to the line. */
interface LogEvent {
  level: string;
  component: string;
  message: string;
  fields: Record<string, Plain>;
}

const textFormat = winston.format.printf((event) => {
  const { level, component, message } = event as unknown as LogEvent;
  return `${new Date().toISOString()} [${level}] [${component}] ${message}`
    .replace(LINE_BREAKS, ' | ')
    .replace(CONTROLS, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
});

const jsonFormat = winston.format.printf((event) => {
  const { level, component, message, fields } = event as unknown as LogEvent;
  const head = { time: new Date().toISOString(), level, component, message };
  // Twice: to stand first, and to stand against fields of the same names.
  return JSON.stringify({ ...head, ...fields, ...head });
});

/** The fields of an event as JSON has them. An error is its stack, as that is what one looks for in a log. */
function printable(fields: unknown): Record<string, Plain> {
  if (typeof fields !== 'object' || fields === null) return {};
  const printed: [string, Plain][] = [];
  for (const key of keysOf(fields)) {
    const plain = printableField(propertyOf(fields, key));
    if (plain !== undefined) printed.push([key, plain]);
  }
  return Object.fromEntries(printed);
}

function printableField(value: unknown): Plain | undefined {
  if (typeof value === 'bigint') return textOf(value);
  if (isInstance(value, Error)) return textOf(propertyOf(value, 'stack') ?? propertyOf(value, 'message'));
  return plainOf(value);
}

/** None of what does not tell its keys, such as a proxy that was revoked. */
function keysOf(value: object): string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
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
  const threshold = options.level === 'off' ? -1 : LOG_LEVELS.indexOf(options.level);
  return loggerOf(logger, threshold, 'bedrock');
}

function loggerOf(logger: winston.Logger, threshold: number, component: string): Logger {
  const methods = LOG_LEVELS.map((level, rank): [LogLevel, LogMethod] => [
    level,
    (message, fields) => {
      if (rank > threshold) return;
      logger.log({ level, component, message: textOf(message), fields: printable(fields) });
    },
  ]);
  return {
    ...(Object.fromEntries(methods) as Record<LogLevel, LogMethod>),
    child: (fields) => loggerOf(logger, threshold, textOf(propertyOf(fields, 'component'))),
  };
}
