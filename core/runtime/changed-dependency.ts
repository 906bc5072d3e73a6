/** What a dependency that is changed at run time leads to, by the rules of the configuration. */
import { BedrockError } from '../base/errors.js';
import { type Draft, resolveDependency, specsOf } from '../config/dependencies.js';
import { configFromObject } from '../config/document.js';
import { FaultList } from '../config/fault-list.js';
import type { ResolvedConfig, ResolvedProvider, ResolvedReference } from '../config/resolved-config.js';
import type { TypeRegistry } from '../library/registry.js';

/**
 * @param provider whose dependency it is
 * @param name its key in the configuration
 * @param reference as it would stand there
 * @throws NOT_SUPPORTED for one that cannot be changed, DEPENDENCY_UNRESOLVED
 */
export function findChangedDependency(
  config: ResolvedConfig,
  registry: TypeRegistry,
  provider: ResolvedProvider,
  name: string,
  reference: string | readonly string[],
): ResolvedReference | readonly ResolvedReference[] {
  const faults = new FaultList(configFromObject({}, config.directory));
  const drafts = config.providers.map((each, index): Draft => ({
    entry: { config: each.config },
    path: ['providers', index],
    type: each.type,
    name: each.name,
    id: each.providerId,
    registered: each.registered,
    isConfigValid: true,
  }));
  const index = config.providers.indexOf(provider);
  const draft = drafts[index] as Draft;
  const specs = specsOf(draft, { registry, faults }) ?? [];
  const spec = specs.find((one) => one.name === name);
  const who = `provider "${provider.name}"`;
  if (spec === undefined) {
    const known = specs.map((one) => one.name).join(', ');
    throw new BedrockError(
      'DEPENDENCY_UNRESOLVED',
      `${who} has no dependency "${name}"; it has: ${known === '' ? 'none' : known}`,
    );
  }
  if (spec.updatable !== true || spec.type === 'pool')
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the dependency "${name}" of ${who} cannot be changed while it runs`,
    );
  // No execution pool is ever looked for: the one kind of reference that could mean one is refused above.
  const pools = { all: [], default: '', find: () => undefined };
  const { directory } = config;
  const found = resolveDependency(spec, reference, draft, index, {
    drafts,
    registry,
    pools,
    faults,
    directory,
  });
  faults.throwIfAny();
  if (found === undefined) throw new BedrockError('INTERNAL', 'a fault went unreported');
  return found;
}
