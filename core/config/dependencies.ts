/**
 * Resolves the dependencies of a provider, as its type declares them: among the providers before
 * it, and among the execution pools. References to other daemons are checked only for their form;
 * nothing is connected here.
 */
import type { ProviderConfig } from '../../schemas/generated/bedrock.js';
import { messageOf } from '../base/errors.js';
import type { BackendDefinition, DependencySpec, ProviderDefinition } from '../contract/definitions.js';
import { parseReference } from '../contract/reference.js';
import type { Registered, TypeRegistry } from '../library/registry.js';
import { readServiceUrl } from '../net/service-url.js';
import { type ConfigPath, expected } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import type { ResolvedPools } from './pools.js';
import type {
  RemoteReference,
  ResolvedProvider,
  ResolvedReference,
  ResolvedTarget,
} from './resolved-config.js';

const REFERENCE_FORMS =
  'a reference such as "name", "type:id", "name@http://host:port", "name@https://host:port", "name@resp://host:port" or "type:id@unix:/path" (@local is this daemon)';

/** A provider that is being resolved; `type`, `name`, `id` and `registered` are set once they are known. */
export interface Draft {
  readonly entry: Readonly<Record<string, unknown>>;
  readonly path: ConfigPath;
  /** Its `config`, with defaults once its type is known. */
  settings: Record<string, unknown>;
  /** What the type has found in them. */
  readonly targets: ResolvedTarget[];
  type?: string;
  name?: string;
  id?: number;
  registered?: Registered<ProviderDefinition>;
  /** Why it cannot run, although it has no fault itself; only for optional providers. */
  unavailable?: string;
  /** Whether its settings are valid, so that its type can derive dependencies from them. */
  isConfigValid: boolean;
}

/** The context in which a draft is resolved. */
export interface Surroundings {
  drafts: readonly Draft[];
  registry: TypeRegistry;
  pools: ResolvedPools;
  faults: FaultList;
  /** Base folder of socket paths. */
  directory: string;
}

export interface ResolvedDependencies {
  /** The resolved references. */
  resolved: Record<string, ResolvedReference | ResolvedReference[]>;
  /** The references in the form of the running configuration. */
  written: NonNullable<ProviderConfig['dependencies']>;
}

/** The dependencies of a draft. Faults are reported, and faulty dependencies are omitted. */
export function resolveDependencies(draft: Draft, index: number, around: Surroundings): ResolvedDependencies {
  const resolved: ResolvedDependencies['resolved'] = {};
  const written: Record<string, unknown> = {};
  const result = { resolved, written: written as ResolvedDependencies['written'] };
  const specs = specsOf(draft, around);
  const given = draft.entry.dependencies;
  if (specs === undefined || !isObject(given)) return result;
  Object.assign(written, given);
  checkKeys(draft, given, specs, around.faults);
  for (const spec of specs) {
    const found = resolveDependency(spec, given[spec.name], draft, index, around);
    if (found === undefined) continue;
    resolved[spec.name] = found;
    written[spec.name] = lasting(given[spec.name], found);
  }
  return result;
}

/**
 * The running configuration may be stored elsewhere, so socket paths in it must be absolute; pools
 * have no fixed positions.
 */
function lasting(given: unknown, found: ResolvedReference | readonly ResolvedReference[]): unknown {
  if (Array.isArray(given)) {
    return given.map((one: unknown, at) => lasting(one, (found as ResolvedReference[])[at] ?? []));
  }
  if ('pool' in found) return found.pool;
  if (!('remote' in found)) return given;
  const { text, url } = found.remote;
  return `${text.slice(0, text.indexOf('@'))}@${url}`;
}

/** The execution pool of a provider: `pool`, or `dependencies.pool`, or the default. */
export function resolvePool(draft: Draft, { pools, faults }: Surroundings): string {
  const { entry, path } = draft;
  const given = isObject(entry.dependencies) ? entry.dependencies : {};
  const asKey = isReference(entry.pool) ? pools.find(entry.pool, [...path, 'pool']) : undefined;
  const dependencyPath = [...path, 'dependencies', 'pool'];
  if (Array.isArray(given.pool))
    faults.add(dependencyPath, expected(given.pool, 'one execution pool'), 'DEPENDENCY_UNRESOLVED');
  const asDependency = isReference(given.pool)
    ? pools.find(given.pool, dependencyPath, 'DEPENDENCY_UNRESOLVED')
    : undefined;
  if (asKey !== undefined && asDependency !== undefined && asKey !== asDependency) {
    faults.add([...path, 'pool'], `"pool" says ${asKey}, and "dependencies.pool" says ${asDependency}`);
  }
  return asDependency ?? asKey ?? pools.default;
}

function isReference(value: unknown): value is string | number {
  return typeof value === 'string' || Number.isInteger(value);
}

/**
 * The specifications of its type; undefined if they cannot be determined, for a reason that is
 * already reported.
 */
function specsOf(
  { settings, path, registered, isConfigValid }: Draft,
  { registry, faults }: Pick<Surroundings, 'registry' | 'faults'>,
): readonly DependencySpec[] | undefined {
  if (registered === undefined) return undefined;
  const { type, dependencies = [] } = registered.definition;
  if (typeof dependencies !== 'function') return dependencies;
  if (!isConfigValid) return undefined;
  const backendOf = (type: string): BackendDefinition | undefined => registry.backend(type)?.definition;
  try {
    return dependencies(settings, backendOf);
  } catch (error) {
    const message = `the provider type "${type}" does not return its dependencies: ${messageOf(error)}`;
    faults.add([...path, 'dependencies'], message, 'DEPENDENCY_UNRESOLVED');
    return undefined;
  }
}

/** The same for a provider that is resolved; none if they cannot be determined. */
export function specsOfResolved(
  {
    registered,
    config,
  }: Pick<ResolvedProvider, 'config'> & { registered: ResolvedProvider['registered'] | undefined },
  registry: TypeRegistry,
): readonly DependencySpec[] {
  const { dependencies = [] } = registered?.definition ?? {};
  if (typeof dependencies !== 'function') return dependencies;
  try {
    return dependencies(config, (type) => registry.backend(type)?.definition);
  } catch {
    return [];
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

/** Resolves one dependency. A fault is reported; the result is then undefined. */
function resolveDependency(
  spec: DependencySpec,
  given: unknown,
  draft: Draft,
  index: number,
  around: Surroundings,
): ResolvedReference | ResolvedReference[] | undefined {
  const path = [...draft.path, 'dependencies', spec.name];
  const fail = (message: string, at: ConfigPath = path): undefined => {
    around.faults.add(at, message, 'DEPENDENCY_UNRESOLVED');
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
  const find = (reference: unknown, at: ConfigPath): ResolvedReference | undefined => {
    if (spec.type === 'pool') {
      const pool = around.pools.find(reference, at, 'DEPENDENCY_UNRESOLVED');
      return pool === undefined ? undefined : { pool };
    }
    if (typeof reference !== 'string') return fail(expected(reference, REFERENCE_FORMS), at);
    const isRequired = spec.required !== false;
    const found = findProvider(reference, spec.type, index, around);
    if (typeof found === 'string') return fail(found, at);
    return 'name' in found ? { provider: found.name, isRequired } : { remote: found, isRequired };
  };
  if (!Array.isArray(given)) return find(given, path);
  return given.flatMap((reference: unknown, position) => find(reference, [...path, position]) ?? []);
}

/**
 * @returns the provider that a reference names, or its remote location, or a text that says why
 *   there is none
 */
function findProvider(
  text: string,
  type: string,
  self: number,
  { drafts, directory }: Pick<Surroundings, 'drafts' | 'directory'>,
): { readonly name: string } | RemoteReference | string {
  const reference = parseReference(text);
  if (reference === undefined) return expected(text, REFERENCE_FORMS);
  const { target, location } = reference;
  if (location !== 'local') {
    const url = readServiceUrl(location, directory);
    if (typeof url === 'string') return `"${text}" has no address of a daemon after the @: ${url}`;
    if (/:0$/.test(url.text)) return `"${text}" has the port 0, where no daemon can be reached`;
    if ('type' in target && target.type !== type)
      return `"${text}" is a provider of type ${target.type}, and one of type ${type} is needed`;
    return { text, url: url.text, target, type };
  }
  const fits = (draft: Draft): boolean =>
    'name' in target
      ? draft.name === target.name
      : draft.type === target.type && draft.id === target.providerId;
  const other = drafts.findIndex(fits);
  if (other === -1) {
    const before = drafts.slice(0, self).flatMap(({ name }) => name ?? []);
    const known =
      before.length === 0
        ? 'there is no provider before this one'
        : `providers before this one are ${before.join(', ')}`;
    return `"${text}" names no provider of this configuration; ${known}`;
  }
  if (other === self) return `"${text}" is this provider itself; it can depend on those before it`;
  if (drafts[other]?.type !== type) {
    return `"${text}" is a provider of type ${drafts[other]?.type ?? '?'}, and one of type ${type} is needed`;
  }
  if (other > self) return `"${text}" is defined later; move it before this provider`;
  // A provider without a name is faulty itself.
  return { name: drafts[other].name ?? '' };
}
