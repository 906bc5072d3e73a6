/**
 * Runs checks, each with a limit on its time. A check that hangs, for example because the server of
 * a file system does not answer, becomes a finding and delays no other. No check changes anything.
 */
import { explain } from '../base/errors.js';
import { type Diagnosis, problem } from '../contract/diagnosis.js';

/** Time for a check. */
export const CHECK_MS = 5000;

export interface Check {
  /** The name of a finding about the check itself: it failed, or takes too long. */
  readonly name: string;
  /** @param signal aborted when its time is over */
  run(signal: AbortSignal): Promise<readonly Diagnosis[]> | readonly Diagnosis[];
}

/** Runs checks at the same time. @returns their findings, in the order of the checks */
export async function runChecks(checks: readonly Check[], timeoutMs = CHECK_MS): Promise<Diagnosis[]> {
  return (await Promise.all(checks.map((check) => runOne(check, timeoutMs)))).flat();
}

async function runOne(check: Check, timeoutMs: number): Promise<readonly Diagnosis[]> {
  const { name } = check;
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Diagnosis[]>((resolve) => {
    timer = setTimeout(() => {
      controller.abort(new Error('the time for the check is over'));
      const found = `the check did not end within ${timeoutMs / 1000} s`;
      resolve([problem(name, found, 'see whether a file system, a device or a server does not answer')]);
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(check, controller.signal), late]);
  } catch (error) {
    return [problem(name, `the check failed: ${explain(error)}`)];
  } finally {
    clearTimeout(timer);
  }
}

/** Async, so that a check that throws rejects. */
async function work(check: Check, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  return check.run(signal);
}
