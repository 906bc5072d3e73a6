/**
 * Creates a target: the backend's schema and rules check its settings, `create` makes it, and the
 * result is checked. A daemon, `bedrock pool copy` and the conformance suite all use this.
 */
import { BedrockError } from '../base/errors.js';
import type { BackendContext, BackendDefinition } from '../contract/definitions.js';
import type { Target } from '../contract/target.js';
import { expected } from '../validation/issues.js';
import type { SchemaVerdict } from '../validation/schema.js';
import type { Registered } from './registry.js';

/**
 * Checks the settings of a backend. The verdict contains them with their defaults. The backend's
 * own rules see only what the schema accepts.
 */
export function judgeSettings(
  { definition, check }: Pick<Registered<BackendDefinition>, 'definition' | 'check'>,
  settings: Record<string, unknown>,
): SchemaVerdict<Record<string, unknown>> {
  const verdict = check(settings);
  if (verdict.faults.length > 0) return verdict;
  definition.validate?.(verdict.value, (path, found, allowed) => {
    verdict.faults.push({ path, message: expected(found, allowed) });
  });
  return verdict;
}

/**
 * Creates a target, not yet open.
 * @param settings from `judgeSettings`, without a fault
 * @throws START_FAILED if the backend returns something else; any error of its `create`
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

/** A library is not trusted. @throws START_FAILED */
export function checkTarget(made: unknown, maker: string): asserts made is Target {
  const target = (made ?? {}) as Record<string, unknown>;
  const missing: string[] = TARGET_METHODS.filter((method) => typeof target[method] !== 'function');
  if (typeof target.type !== 'string') missing.push('type');
  if (typeof target.capabilities !== 'object' || target.capabilities === null) missing.push('capabilities');
  if (missing.length === 0) return;
  throw new BedrockError(
    'START_FAILED',
    `create of ${maker} gave something that is not a target: it has no ${missing.join(', ')}`,
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
