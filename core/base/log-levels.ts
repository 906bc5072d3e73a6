/**
 * The levels of the log. In a file of their own, because the command line needs their names but not
 * the logger, which takes long to load.
 */

/** In order of decreasing severity; `off` logs nothing. */
export const LOG_LEVELS = ['critical', 'error', 'warning', 'info', 'debug', 'trace'] as const;

/** One of `LOG_LEVELS`. */
export type LogLevel = (typeof LOG_LEVELS)[number];
/** The least severe level that is logged, or `off`. */
export type LogThreshold = LogLevel | 'off';
