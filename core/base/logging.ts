/**
 * Logging with winston, with the levels that users of Mochi know.
 *
 * Text form: `2026-01-31T12:00:00.000Z [info] [warabi:42] Recovered 42 existing
 * regions`, one line per event. JSON form: one object per line,
 * `{time, level, component, message, …fields}`.
 *
 * Libraries log through this too, and may pass any value. Each value becomes a text or a plain copy
 * before winston sees it. So no log call throws, and each writes at most one line.
 */
import winston from 'winston';
import { LOG_LEVELS, type LogLevel, type LogThreshold } from './log-levels.js';
import { isInstance, type Plain, plainOf, propertyOf, textOf } from './plain.js';

/** `text`: a line per event, for people. `json`: an object per line, for programs. */
export type LogFormat = 'text' | 'json';

/** Logs an event. `fields` are added in the JSON form, and omitted in the text form. */
export type LogMethod = (message: string, fields?: Record<string, unknown>) => void;

/** The logger of the parts of the daemon, based on winston. */
export type Logger = Record<LogLevel, LogMethod> & {
  /** A logger for one component, such as `{component: 'warabi:42'}`. */
  child(fields: { component: string }): Logger;
};

export interface LoggerOptions {
  level: LogThreshold;
  format: LogFormat;
  /** Destination of the lines. Default: standard output. */
  stream?: NodeJS.WritableStream;
}

/** Characters that some readers of the log treat as the end of a line. */
const LINE_BREAKS = /[\r\n\v\f\u0085\u2028\u2029]+\s*/g;

/** Characters that a terminal could interpret as a command. */
const CONTROLS = /(?!\t)\p{Cc}/gu;

/** Data that winston passes from a log call to the line. */
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
  // Twice: once to be first, once to override fields of the same names.
  return JSON.stringify({ ...head, ...fields, ...head });
});

/** The fields of an event as in JSON. An error is represented by its stack, which is most useful in a log. */
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

/** Empty for an object that does not list its keys, such as a revoked proxy. */
function keysOf(value: object): string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
}

/** A logger whose level can change, and that of its children with it. */
export type LevelledLogger = Logger & { readonly setLevel: (level: LogThreshold) => void };

/** A logger for the component `bedrock`. Other components get children of it. */
export function createLogger(options: LoggerOptions): LevelledLogger {
  const levels = Object.fromEntries(LOG_LEVELS.map((level, rank) => [level, rank]));
  const logger = winston.createLogger({
    levels,
    // What is below the level does not come here.
    level: 'trace',
    format: options.format === 'json' ? jsonFormat : textFormat,
    transports: [
      options.stream === undefined
        ? new winston.transports.Console({ stderrLevels: [] })
        : new winston.transports.Stream({ stream: options.stream }),
    ],
  });
  const threshold = { rank: rankOf(options.level) };
  return {
    ...loggerOf(logger, threshold, 'bedrock'),
    setLevel: (level) => void (threshold.rank = rankOf(level)),
  };
}

function rankOf(level: LogThreshold): number {
  return level === 'off' ? -1 : LOG_LEVELS.indexOf(level);
}

function loggerOf(logger: winston.Logger, threshold: { readonly rank: number }, component: string): Logger {
  const methods = LOG_LEVELS.map((level, rank): [LogLevel, LogMethod] => [
    level,
    (message, fields) => {
      if (rank > threshold.rank) return;
      logger.log({ level, component, message: textOf(message), fields: printable(fields) });
    },
  ]);
  return {
    ...(Object.fromEntries(methods) as Record<LogLevel, LogMethod>),
    child: (fields) => loggerOf(logger, threshold, textOf(propertyOf(fields, 'component'))),
  };
}
