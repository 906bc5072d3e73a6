/**
 * The contract of targets in part, for a second run of it in which only some groups of rules can
 * come out otherwise.
 */
import { afterEach, beforeEach, describe, it } from '@jest/globals';
import type { TestRunner } from '../../core/conformance/index.js';

/** Around all groups. */
const WHOLE = 'target contract';

/** Jest as the suite takes it. @param groups their titles; all of them unless told */
export function runnerOf(groups?: readonly string[]): TestRunner {
  if (groups === undefined) return { describe, it, beforeEach, afterEach };
  const unseen = new Set(groups);
  const chosen = (title: string, define: () => void): void => {
    if (title === WHOLE) {
      describe(title, define);
      if (unseen.size > 0) throw new Error(`the suite has no ${[...unseen].join(', ')}`);
    } else if (groups.includes(title)) {
      unseen.delete(title);
      describe(title, define);
    }
  };
  return { describe: chosen, it, beforeEach, afterEach };
}
