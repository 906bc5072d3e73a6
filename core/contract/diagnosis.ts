/** What `bedrock doctor` finds, and what the checks of a backend get to find it with. */

/** The result of one check. */
export interface Diagnosis {
  /** What was checked, such as `open files`. */
  readonly check: string;
  /** `warning`: it works, but not as well or as safely as it could. `problem`: something will fail. */
  readonly state: 'ok' | 'warning' | 'problem';
  /** What was found, on one line. */
  readonly found: string;
  /** What to do about it, on one line. */
  readonly cure?: string;
}

/** What the checks of a backend get. */
export interface DiagnosisContext {
  /** Name of the provider in the configuration. */
  readonly providerName: string;
  /** Base folder of relative paths in the configuration. */
  readonly baseDirectory: string;
  /** Folder that contains /proc and /sys: `/`, except in tests. */
  readonly systemRoot: string;
  /** Aborted when the time for the checks is over: they have 5 s. What they find later is not shown. */
  readonly signal: AbortSignal;
}

export function ok(check: string, found: string): Diagnosis {
  return { check, state: 'ok', found };
}

export function warning(check: string, found: string, cure?: string): Diagnosis {
  return { check, state: 'warning', found, ...(cure !== undefined && { cure }) };
}

export function problem(check: string, found: string, cure?: string): Diagnosis {
  return { check, state: 'problem', found, ...(cure !== undefined && { cure }) };
}
