/**
 * The dependencies of a provider: those that its type asks for, found among the providers before it and the execution pools.
 * Those of other daemons are checked for their form alone; nothing is connected here.
 */
import { messageOf } from '../base/errors.js';
import type { BackendDefinition, DependencySpec, ProviderDefinition } from '../contract/definitions.js';
import { parseReference } from '../contract/reference.js';
import type { Registered, TypeRegistry } from '../library/registry.js';
import { readServiceUrl } from '../net/service-url.js';
import { type ConfigPath, expected } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import type { ResolvedPools } from './pools.js';
import type { RemoteReference, ResolvedReference } from './resolved-config.js';

const REFERENCE_FORMS =
  'a reference such as "name", "type:id", "name@http://host:port", "name@resp://host:port" or "type:id@unix:/path" (@local is this daemon)';

/** A provider on its way; `type`, `name`, `id` and `registered` are there once they are known. */
export interface Draft {
  readonly entry: Record<string, unknown>;
  readonly path: ConfigPath;
  type?: string;
  name?: string;
  id?: number;
  registered?: Registered<ProviderDefinition>;
  /** Why it cannot run although nothing in it is at fault; only of optional ones. */
  unavailable?: string;
  /** Whether its settings are such that its type can tell from them what it depends on. */
  isConfigValid: boolean;
}

/** What a draft is resolved among. */
export interface Surroundings {
  drafts: readonly Draft[];
  registry: TypeRegistry;
  pools: ResolvedPools;
  faults: FaultList;
  /** Folder that the paths of sockets count from. */
  directory: string;
}

/** What the dependencies of a draft lead to. Faults are reported; what has one is left out. */
export function resolveDependencies(
  draft: Draft,
  index: number,
  around: Surroundings,
): Record<string, ResolvedReference | ResolvedReference[]> {
  const resolved: Record<string, ResolvedReference | ResolvedReference[]> = {};
  const specs = specsOf(draft, around);
  const given = draft.entry.dependencies;
  if (specs === undefined || !isObject(given)) return resolved;
  checkKeys(draft, given, specs, around.faults);
  for (const spec of specs) {
    const found = resolveDependency(spec, given[spec.name], draft, index, around);
    if (found === undefined) continue;
    resolved[spec.name] = found;
    given[spec.name] = withoutRelativePaths(given[spec.name], found);
  }
  return resolved;
}

/** The running configuration can be stored elsewhere, so paths of sockets in it must not count from here. */
function withoutRelativePaths(
  given: unknown,
  found: ResolvedReference | readonly ResolvedReference[],
): unknown {
  if (Array.isArray(given)) {
    return given.map((one: unknown, at) =>
      withoutRelativePaths(one, (found as ResolvedReference[])[at] ?? []),
    );
  }
  if (!('remote' in found)) return given;
  const { text, url } = found.remote;
  return `${text.slice(0, text.indexOf('@'))}@${url}`;
}

/** The execution pool of a provider: `pool`, or `dependencies.pool`, or the default. */
export function resolvePool(draft: Draft, { pools, faults }: Surroundings): string {
  const { entry, path } = draft;
  const given = isObject(entry.dependencies) ? entry.dependencies : {};
  const asKey = isReference(entry.pool) ? pools.find(entry.pool, [...path, 'pool']) : undefined;
  const place = [...path, 'dependencies', 'pool'];
  if (Array.isArray(given.pool))
    faults.add(place, expected(given.pool, 'one execution pool'), 'DEPENDENCY_UNRESOLVED');
  const asDependency = isReference(given.pool)
    ? pools.find(given.pool, place, 'DEPENDENCY_UNRESOLVED')
    : undefined;
  if (asKey !== undefined && asDependency !== undefined && asKey !== asDependency) {
    faults.add([...path, 'pool'], `"pool" says ${asKey}, and "dependencies.pool" says ${asDependency}`);
  }
  return asDependency ?? asKey ?? pools.default;
}

function isReference(value: unknown): value is string | number {
  return typeof value === 'string' || Number.isInteger(value);
}

/** What its type asks for; nothing if that cannot be told, for a reason that is reported already. */
export function specsOf(
  { entry, path, registered, isConfigValid }: Draft,
  { registry, faults }: Pick<Surroundings, 'registry' | 'faults'>,
): readonly DependencySpec[] | undefined {
  if (registered === undefined) return undefined;
  const { type, dependencies = [] } = registered.definition;
  if (typeof dependencies !== 'function') return dependencies;
  if (!isConfigValid) return undefined;
  const backendOf = (type: string): BackendDefinition | undefined => registry.backend(type)?.definition;
  try {
    return dependencies(entry.config as Record<string, unknown>, backendOf);
  } catch (error) {
    const message = `the provider type "${type}" cannot tell its dependencies: ${messageOf(error)}`;
    faults.add([...path, 'dependencies'], message, 'DEPENDENCY_UNRESOLVED');
    return undefined;
  }
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
      `unknown dependency; those of a ${draft.type ?? ''} provider: ${[...new Set(known)].join(', ')}`,
      'DEPENDENCY_UNRESOLVED',
    );
  }
}

/** What one dependency leads to. A fault is reported, and then there is nothing. */
export function resolveDependency(
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
    if (spec.required === false) return undefined;
    const [one, several] =
      spec.type === 'pool'
        ? ['an execution pool', 'execution pools']
        : [`a provider of type ${spec.type}`, `providers of type ${spec.type}`];
    return fail(expected(undefined, spec.many === true ? `a list of ${several}` : one));
  }
  if (Array.isArray(given) !== (spec.many === true)) {
    return fail(expected(given, spec.many === true ? 'a list of references' : 'one reference, not a list'));
  }
  const find = (reference: unknown, place: ConfigPath): ResolvedReference | undefined => {
    if (spec.type === 'pool') {
      const pool = around.pools.find(reference, place, 'DEPENDENCY_UNRESOLVED');
      return pool === undefined ? undefined : { pool };
    }
    if (typeof reference !== 'string') return fail(expected(reference, REFERENCE_FORMS), place);
    const isRequired = spec.required !== false;
    const found = findProvider(reference, spec.type, index, around);
    if (typeof found === 'string') return fail(found, place);
    return typeof found === 'number' ? { provider: found, isRequired } : { remote: found, isRequired };
  };
  if (!Array.isArray(given)) return find(given, path);
  return given.flatMap((reference: unknown, place) => find(reference, [...path, place]) ?? []);
}

/** @returns the place of the provider that a reference means, or where it is else, or in words why there is none */
function findProvider(
  text: string,
  type: string,
  self: number,
  { drafts, directory }: Pick<Surroundings, 'drafts' | 'directory'>,
): number | RemoteReference | string {
  const reference = parseReference(text);
  if (reference === undefined) return expected(text, REFERENCE_FORMS);
  const { target, location } = reference;
  if (location !== 'local') {
    const url = readServiceUrl(location, directory);
    if (typeof url === 'string') return `"${text}" has no address of a daemon behind the @: ${url}`;
    if (/:0$/.test(url.text)) return `"${text}" has the port 0, where no daemon can be reached`;
    if ('type' in target && target.type !== type)
      return `"${text}" is a provider of type ${target.type}, and one of type ${type} is needed`;
    return { text, url: url.text, target, type };
  }
  const fits = (draft: Draft): boolean =>
    'name' in target
      ? draft.name === target.name
      : draft.type === target.type && draft.id === target.providerId;
  const place = drafts.findIndex(fits);
  if (place === -1) {
    const before = drafts.slice(0, self).flatMap(({ name }) => name ?? []);
    const known =
      before.length === 0
        ? 'no provider stands before this one'
        : `providers before this one are ${before.join(', ')}`;
    return `"${text}" names no provider of this configuration; ${known}`;
  }
  if (place === self) return `"${text}" is this provider itself; it can depend on those before it`;
  if (drafts[place]?.type !== type) {
    return `"${text}" is a provider of type ${drafts[place]?.type ?? '?'}, and one of type ${type} is needed`;
  }
  if (place > self) return `"${text}" is defined later; move it before this provider`;
  return place;
}
