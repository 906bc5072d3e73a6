/** The dependencies of a provider: those that its type asks for, found among the providers before it and the execution pools. */
import type { BackendDefinition, DependencySpec, ProviderDefinition } from '../provider/definitions.js';
import { parseReference } from '../provider/reference.js';
import type { Registered, TypeRegistry } from '../provider/registry.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import { expected, type ConfigPath } from './issues.js';
import type { ResolvedPools } from './pools.js';
import type { ResolvedReference } from './resolved-config.js';

/** A provider on its way; `type`, `name`, `id` and `registered` are there once they are known. */
export interface Draft {
  readonly entry: Record<string, unknown>;
  readonly path: ConfigPath;
  type?: string;
  name?: string;
  id?: number;
  registered?: Registered<ProviderDefinition>;
  /** Whether its settings passed the type's schema. */
  isConfigValid: boolean;
}

/** What a draft is resolved among. */
export interface Surroundings {
  drafts: readonly Draft[];
  registry: TypeRegistry;
  pools: ResolvedPools;
  faults: FaultList;
}

/** What the dependencies of a draft lead to. Faults are reported; what has one is left out. */
export function resolveDependencies(
  draft: Draft,
  index: number,
  around: Surroundings,
): Record<string, ResolvedReference | ResolvedReference[]> {
  const { entry, registered } = draft;
  const resolved: Record<string, ResolvedReference | ResolvedReference[]> = {};
  if (registered === undefined || !draft.isConfigValid) return resolved;
  const given = isObject(entry.dependencies) ? entry.dependencies : {};
  const specs = specsOf(registered.definition, entry.config as Record<string, unknown>, around.registry);
  checkKeys(draft, given, specs, around.faults);
  for (const spec of specs) {
    const found = resolveDependency(spec, given[spec.name], draft, index, around);
    if (found !== undefined) resolved[spec.name] = found;
  }
  return resolved;
}

/** The execution pool of a provider: `pool`, or `dependencies.pool`, or the default. */
export function resolvePool(draft: Draft, { pools, faults }: Surroundings): string {
  const { entry, path } = draft;
  const given = isObject(entry.dependencies) ? entry.dependencies : {};
  const asKey = isReference(entry.pool) ? pools.find(entry.pool, [...path, 'pool']) : undefined;
  const place = [...path, 'dependencies', 'pool'];
  if (Array.isArray(given.pool))
    faults.add(place, expected(given.pool, 'one execution pool'), 'DEPENDENCY_UNRESOLVED');
  const asDependency = isReference(given.pool) ? pools.find(given.pool, place) : undefined;
  if (asKey !== undefined && asDependency !== undefined && asKey !== asDependency) {
    faults.add([...path, 'pool'], `"pool" says ${asKey}, and "dependencies" says ${asDependency}`);
  }
  return asDependency ?? asKey ?? pools.default;
}

function isReference(value: unknown): value is string | number {
  return typeof value === 'string' || Number.isInteger(value);
}

function specsOf(
  definition: ProviderDefinition,
  config: Record<string, unknown>,
  registry: TypeRegistry,
): readonly DependencySpec[] {
  const { dependencies = [] } = definition;
  const backendOf = (type: string): BackendDefinition | undefined => registry.backend(type)?.definition;
  return typeof dependencies === 'function' ? dependencies(config, backendOf) : dependencies;
}

function checkKeys(
  draft: Draft,
  given: Record<string, unknown>,
  specs: readonly DependencySpec[],
  faults: FaultList,
): void {
  const known = ['pool', ...specs.map(({ name }) => name)];
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    faults.add(
      [...draft.path, 'dependencies', key],
      `unknown dependency; a ${draft.type ?? ''} provider knows ${[...new Set(known)].join(', ')}`,
      'DEPENDENCY_UNRESOLVED',
    );
  }
}

function resolveDependency(
  spec: DependencySpec,
  given: unknown,
  draft: Draft,
  index: number,
  around: Surroundings,
): ResolvedReference | ResolvedReference[] | undefined {
  const path = [...draft.path, 'dependencies', spec.name];
  const fail = (message: string, place: ConfigPath = path): undefined => {
    around.faults.add(place, message, 'DEPENDENCY_UNRESOLVED');
  };
  if (given === undefined) {
    const wanted = spec.type === 'pool' ? 'an execution pool' : `a provider of type ${spec.type}`;
    return spec.required === false
      ? undefined
      : fail(expected(undefined, spec.many === true ? `a list, each ${wanted}` : wanted));
  }
  if (Array.isArray(given) !== (spec.many === true)) {
    return fail(expected(given, spec.many === true ? 'a list of references' : 'one reference, not a list'));
  }
  const find = (reference: unknown, place: ConfigPath): ResolvedReference | undefined => {
    if (spec.type === 'pool') {
      const pool = around.pools.find(reference, place);
      return pool === undefined ? undefined : { pool };
    }
    if (typeof reference !== 'string')
      return fail(expected(reference, 'a reference such as "name" or "type:id"'), place);
    const found = findProvider(reference, spec.type, index, around.drafts);
    return typeof found === 'number' ? { provider: found } : fail(found, place);
  };
  if (!Array.isArray(given)) return find(given, path);
  return given.flatMap((reference: unknown, place) => find(reference, [...path, place]) ?? []);
}

/** @returns the place of the provider that a reference means, or in words why there is none */
function findProvider(text: string, type: string, self: number, drafts: readonly Draft[]): number | string {
  const reference = parseReference(text);
  if (reference === undefined)
    return expected(text, 'a reference such as "name", "name@local" or "type:id@local"');
  const { target, location } = reference;
  if (location !== 'local') {
    return `"${text}" is a provider of another daemon; this version resolves providers of its own (…@local) only`;
  }
  const fits = (draft: Draft): boolean =>
    'name' in target
      ? draft.name === target.name
      : draft.type === target.type && draft.id === target.providerId;
  const place = drafts.findIndex(fits);
  if (place === -1) {
    const before = drafts.slice(0, self).map(({ name }) => name ?? '?');
    const known =
      before.length === 0
        ? 'no provider stands before this one'
        : `providers before this one are ${before.join(', ')}`;
    return `"${text}" names no provider of this configuration; ${known}`;
  }
  if (place === self) return `"${text}" is this provider itself`;
  if (drafts[place]?.type !== type) {
    return `"${text}" is a provider of type ${drafts[place]?.type ?? '?'}, and one of type ${type} is needed`;
  }
  if (place > self) return `"${text}" is defined later; move it before this provider`;
  return place;
}
