/** Does the same work on several regions of a command line, one after another. */
import type { RegionRef } from '../contract/names.js';
import { isInstance } from '../base/plain.js';
import { OutputClosed, reportFailure } from './failure.js';

/**
 * Does the work for all of them, even if one fails. Each failure is printed on its own line; the
 * last one ends the command.
 */
export async function forEachRegion(
  refs: readonly RegionRef[],
  { signal }: { signal: AbortSignal },
  work: (ref: RegionRef) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const ref of refs) {
    await work(ref).catch((error: unknown) => {
      if (isInstance(error, OutputClosed)) throw error;
      failures.push(error);
    });
    signal.throwIfAborted();
  }
  for (const failure of failures.slice(0, -1)) reportFailure(failure);
  if (failures.length > 0) throw failures.at(-1);
}
