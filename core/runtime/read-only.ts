/**
 * Targets that have become read-only against their configuration, as health checks, metrics and
 * listings report them.
 */
import type { SeenProvider } from './provider-look.js';

export interface ReadOnlyTarget {
  readonly provider: string;
  /** Its number. */
  readonly target: number;
  /** What happened, and what to do. */
  readonly reason: string;
}

export function turnedReadOnly(providers: readonly SeenProvider[]): ReadOnlyTarget[] {
  return providers.flatMap(({ provider: { name }, targets }) =>
    targets.flatMap(({ readOnly }, target) =>
      readOnly === undefined ? [] : [{ provider: name, target, reason: readOnly }],
    ),
  );
}
