/**
 * The exit statuses of all commands; docs/cli.md has the table, including those of signals (128
 * plus the number of the signal).
 */
export const ExitStatus = {
  /** Done. For a daemon: it stopped cleanly. */
  ok: 0,
  /** It failed, or found a fault. For a daemon: it could not start, or its last writes may not be durable. */
  failed: 1,
  /**
   * Used wrongly: a faulty command line, or a file that it names does not exist, cannot be read, or
   * has wrong contents.
   */
  usedWrongly: 2,
} as const;
