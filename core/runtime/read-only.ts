/**
 * Targets that have become read-only although their configuration allows changes, for health
 * checks, metrics and listings.
 */
import type { SeenProvider } from './provider-look.js';

export interface ReadOnlyTarget {
  readonly provider: string;
  /** Its number. */
  readonly target: number;
  /** What happened, and what to do about it. */
  readonly reason: string;
}

export function turnedReadOnly(providers: readonly SeenProvider[]): ReadOnlyTarget[] {
  return providers.flatMap(({ provider: { name }, targets }) =>
    targets.flatMap(({ readOnly }, target) =>
      readOnly === undefined ? [] : [{ provider: name, target, reason: readOnly }],
    ),
  );
}
