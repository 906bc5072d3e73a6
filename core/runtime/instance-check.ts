/** Checks the object that a library's provider type has created, before the daemon uses it. */
import { BedrockError } from '../base/errors.js';
import type { Provider } from '../contract/provider.js';
import { checkTarget } from '../library/make-target.js';

/** A library is not trusted. @throws START_FAILED */
export function checkProvider(instance: unknown, type: string): asserts instance is Provider {
  const { targets, start, stop } = (instance ?? {}) as Record<keyof Provider, unknown>;
  const maker = `the provider type "${type}"`;
  if (!Array.isArray(targets) || typeof start !== 'function' || typeof stop !== 'function') {
    throw new BedrockError(
      'START_FAILED',
      `create of ${maker} gave something that is not a provider: it needs a list targets and functions start and stop`,
    );
  }
  for (const target of targets as unknown[]) checkTarget(target, maker);
}
