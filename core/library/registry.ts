/** The backends and provider types of the libraries of one configuration, each with its compiled schema. */
import { type BedrockError, messageOf } from '../base/errors.js';
import { API_VERSION, type BackendDefinition, type ProviderDefinition } from '../contract/definitions.js';
import { compileSchema, type SchemaCheck } from '../validation/schema.js';
import { libraryFailure } from './locate-library.js';

export type Definition = BackendDefinition | ProviderDefinition;

/** What a library brings. */
export interface LoadedLibrary {
  /** Its name in messages. */
  readonly origin: string;
  readonly definitions: readonly Definition[];
}

/** A definition with its compiled schema, and the library that it came from. */
export interface Registered<D extends Definition> {
  readonly definition: D;
  readonly check: SchemaCheck;
  readonly library: string;
}

export class TypeRegistry {
  readonly #backends = new Map<string, Registered<BackendDefinition>>();
  readonly #providers = new Map<string, Registered<ProviderDefinition>>();
  /** Whether every named library was loaded; if not, an unknown type may be due to that. */
  isComplete = true;

  /** A text about an unknown type that lists the known ones. */
  unknown(kind: Definition['kind'], type: string): string {
    const known = kind === 'backend' ? this.#backends : this.#providers;
    const types = new Set([...known.values()].map(({ definition }) => definition.type));
    const incomplete = this.isComplete ? '' : '; a library that may bring more did not load';
    return `unknown ${kind} type "${type}"; known types: ${[...types].sort().join(', ')}${incomplete}`;
  }

  /** @param type a type or an alias */
  backend(type: string): Registered<BackendDefinition> | undefined {
    return this.#backends.get(type);
  }

  provider(type: string): Registered<ProviderDefinition> | undefined {
    return this.#providers.get(type);
  }

  /**
   * Registers everything that a library brings, or nothing of it.
   * @returns LIBRARY_LOAD_FAILED that says why it is refused
   */
  addLibrary({ origin, definitions }: LoadedLibrary): BedrockError | undefined {
    const before = [new Set(this.#backends.keys()), new Set(this.#providers.keys())];
    for (const definition of definitions) {
      const fault = this.add(definition, origin);
      if (fault === undefined) continue;
      this.#keepOnly(before);
      return libraryFailure(origin, fault);
    }
    return undefined;
  }

  #keepOnly([backends, providers]: readonly ReadonlySet<string>[]): void {
    for (const name of this.#backends.keys()) if (backends?.has(name) !== true) this.#backends.delete(name);
    for (const name of this.#providers.keys())
      if (providers?.has(name) !== true) this.#providers.delete(name);
  }

  /**
   * Registers a definition.
   * @param library name of its library in messages
   * @returns undefined, or a text that says why it is refused
   */
  add(part: unknown, library: string): string | undefined {
    const fault = shapeFault(part);
    if (fault !== undefined) return fault;
    const definition = part as Definition;
    const types = definition.kind === 'backend' ? this.#backends : this.#providers;
    const names = [definition.type, ...(definition.kind === 'backend' ? (definition.aliases ?? []) : [])];
    for (const name of names) {
      const other = types.get(name);
      if (other === undefined) continue;
      const what = `brings the ${definition.kind} type "${name}"`;
      return other.library === library
        ? `${what} twice; is it listed twice?`
        : `${what}, which ${other.library} already brings`;
    }
    let check: SchemaCheck;
    try {
      check = compileSchema(definition.schema);
    } catch (error) {
      return `brings the ${definition.kind} type "${definition.type}" with a schema that cannot be used: ${messageOf(error)}`;
    }
    const registered = { definition, check, library };
    for (const name of names) (types as Map<string, Registered<Definition>>).set(name, registered);
    return undefined;
  }
}

/** What is wrong with something that a library brings as a definition. */
export function shapeFault(part: unknown): string | undefined {
  const { kind, apiVersion, type, schema, create, dependencies = [] } = (part ?? {}) as Partial<Definition>;
  const { aliases = [] } = (part ?? {}) as Partial<BackendDefinition>;
  if (kind !== 'backend' && kind !== 'provider') {
    const found = part === null ? 'null' : typeof part;
    return `has a default export (${found}) that is not what defineBackend, defineProvider or a ContainerModule gives`;
  }
  if (apiVersion === undefined)
    return `describes a ${kind} without apiVersion; this daemon has ${API_VERSION}`;
  if (apiVersion !== API_VERSION) {
    return `is made for apiVersion ${String(apiVersion)}, and this daemon has ${API_VERSION}`;
  }
  if (typeof type !== 'string' || type === '') return `describes a ${kind} without a type`;
  if (kind === 'provider' && type === 'pool')
    return 'brings a provider type "pool"; that name means execution pools';
  if (typeof schema !== 'object') return `describes the ${kind} "${type}" without a schema`;
  if (typeof create !== 'function') return `describes the ${kind} "${type}" without a create function`;
  if (!isListOf(aliases, isName))
    return `describes the ${kind} "${type}" with aliases that are not a list of names`;
  const areSpecs = typeof dependencies === 'function' || isListOf(dependencies, isDependencySpec);
  if (!areSpecs)
    return `describes the ${kind} "${type}" with dependencies that are not a list of {name, type}`;
  return undefined;
}

function isListOf(list: unknown, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(list) && list.every(isEntry);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isDependencySpec(value: unknown): boolean {
  const { name, type } = (value ?? {}) as Record<string, unknown>;
  return isName(name) && isName(type);
}
