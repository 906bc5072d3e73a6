/**
 * The one recipe for a target: its settings are judged by the backend's schema and rules, `create` makes it, and what came of that is
 * looked at. A daemon, `bedrock pool copy` and the conformance suite make theirs by it.
 */
import { BedrockError } from '../base/errors.js';
import type { BackendContext, BackendDefinition } from '../contract/definitions.js';
import type { Target } from '../contract/target.js';
import { expected } from '../validation/issues.js';
import type { SchemaVerdict } from '../validation/schema.js';
import type { Registered } from './registry.js';

/** Judges settings of a backend, and fills in their defaults. Its own rules see only what the schema accepts. */
export function judgeSettings(
  { definition, check }: Pick<Registered<BackendDefinition>, 'definition' | 'check'>,
  settings: Record<string, unknown>,
): SchemaVerdict {
  const verdict = check(settings);
  if (verdict.faults.length > 0) return verdict;
  definition.validate?.(settings, (path, found, allowed) => {
    verdict.faults.push({ path, message: expected(found, allowed) });
  });
  return verdict;
}

/**
 * A target that is not open.
 * @param settings that `judgeSettings` found no fault with
 * @throws START_FAILED if the backend gives something else; whatever its `create` throws
 */
export async function makeTarget(
  definition: BackendDefinition,
  settings: Record<string, unknown>,
  context: BackendContext,
): Promise<Target> {
  const target: unknown = await definition.create(settings, context);
  checkTarget(target, `the backend "${definition.type}"`);
  return target;
}

/** A library is not taken at its word. @throws START_FAILED */
export function checkTarget(made: unknown, maker: string): asserts made is Target {
  const target = (made ?? {}) as Record<string, unknown>;
  const missing: string[] = TARGET_METHODS.filter((method) => typeof target[method] !== 'function');
  if (typeof target.type !== 'string') missing.push('type');
  if (typeof target.capabilities !== 'object' || target.capabilities === null) missing.push('capabilities');
  if (missing.length === 0) return;
  throw new BedrockError(
    'START_FAILED',
    `create of ${maker} gave something that is no target: it has no ${missing.join(', ')}`,
  );
}

const TARGET_METHODS = [
  'open',
  'close',
  'destroy',
  'create',
  'createAndWrite',
  'write',
  'writev',
  'read',
  'readInto',
  'readv',
  'persist',
  'erase',
  'stat',
  'list',
  'stats',
  'map',
] as const satisfies (keyof Target)[];
