/** What the command's exit status says. */
export const ExitStatus = {
  /** It stopped cleanly, or did what was asked. */
  ok: 0,
  /** The daemon could not start, or did not stop cleanly: what it was writing may not be durable. */
  failed: 1,
  /** The configuration or the command line is wrong. */
  badConfiguration: 2,
} as const;
