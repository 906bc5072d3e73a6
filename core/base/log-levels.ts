/** The levels of the log. They stand alone, as the command line names them without a logger, which takes long to load. */

/** From the gravest to the most talkative; `off` logs nothing. */
export const LOG_LEVELS = ['critical', 'error', 'warning', 'info', 'debug', 'trace'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogThreshold = LogLevel | 'off';
