/** The backends and provider types that libraries brought, each with its schema compiled. */
import { compileSchema, type SchemaCheck } from '../config/schema.js';
import { messageOf } from '../errors.js';
import { API_VERSION, type BackendDefinition, type ProviderDefinition } from './definitions.js';

export type Definition = BackendDefinition | ProviderDefinition;

/** A description with its schema ready for use, and the library it came from. */
export interface Registered<D extends Definition> {
  readonly definition: D;
  readonly check: SchemaCheck;
  readonly library: string;
}

export class TypeRegistry {
  readonly #backends = new Map<string, Registered<BackendDefinition>>();
  readonly #providers = new Map<string, Registered<ProviderDefinition>>();

  /** Types of the backends, without their aliases. */
  get backendTypes(): string[] {
    return [...new Set([...this.#backends.values()].map(({ definition }) => definition.type))].sort();
  }

  get providerTypes(): string[] {
    return [...this.#providers.keys()].sort();
  }

  /** @param type a type or an alias */
  backend(type: string): Registered<BackendDefinition> | undefined {
    return this.#backends.get(type);
  }

  provider(type: string): Registered<ProviderDefinition> | undefined {
    return this.#providers.get(type);
  }

  /**
   * Takes a description in.
   * @param library what messages call the library it came from
   * @returns nothing, or in words why it cannot be taken
   */
  add(part: unknown, library: string): string | undefined {
    const fault = shapeFault(part);
    if (fault !== undefined) return fault;
    const definition = part as Definition;
    const types = definition.kind === 'backend' ? this.#backends : this.#providers;
    const names = [definition.type, ...(definition.kind === 'backend' ? (definition.aliases ?? []) : [])];
    for (const name of names) {
      const other = types.get(name);
      if (other !== undefined)
        return `brings the ${definition.kind} type "${name}", which ${other.library} brings already`;
    }
    let check: SchemaCheck;
    try {
      check = compileSchema(definition.schema);
    } catch (error) {
      return `brings the ${definition.kind} type "${definition.type}" with a schema that is no valid JSON Schema: ${messageOf(error)}`;
    }
    const registered = { definition, check, library };
    for (const name of names) (types as Map<string, Registered<Definition>>).set(name, registered);
    return undefined;
  }
}

function shapeFault(part: unknown): string | undefined {
  const { kind, apiVersion, type, schema, create } = (part ?? {}) as Partial<Definition>;
  if (kind !== 'backend' && kind !== 'provider') {
    return 'has a default export that is not what defineBackend, defineProvider or a ContainerModule gives';
  }
  if (apiVersion !== API_VERSION) {
    return `is made for API version ${String(apiVersion)}, and this daemon has version ${API_VERSION}`;
  }
  if (typeof type !== 'string' || type === '') return `describes a ${kind} without a type`;
  if (kind === 'provider' && type === 'pool')
    return 'brings a provider type "pool"; that name means execution pools';
  if (typeof schema !== 'object') return `describes the ${kind} "${type}" without a schema`;
  if (typeof create !== 'function') return `describes the ${kind} "${type}" without a create function`;
  return undefined;
}
