/** Targets that take no changes any more, though their configuration lets them: what health checks, metrics and listings tell of them. */
import type { RunningProvider } from './running-provider.js';

export interface ReadOnlyTarget {
  readonly provider: string;
  /** Its number. */
  readonly target: number;
  /** What happened, and what to do. */
  readonly reason: string;
}

export function turnedReadOnly(providers: readonly RunningProvider[]): ReadOnlyTarget[] {
  return providers.flatMap(({ name, targets }) =>
    targets.flatMap(({ failure }, target) =>
      failure === undefined ? [] : [{ provider: name, target, reason: failure.message }],
    ),
  );
}
