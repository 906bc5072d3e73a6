/** What the exit status of every command says; docs/cli.md has the table, with those of signals (128 and the signal's number). */
export const ExitStatus = {
  /** Done; of a daemon: it stopped cleanly. */
  ok: 0,
  /** It failed, or found something wrong; of a daemon: it could not start, or what it was writing may not be durable. */
  failed: 1,
  /** Used wrongly: the command line, or a configuration, library, schema, pool or file that it names. */
  usedWrongly: 2,
} as const;
