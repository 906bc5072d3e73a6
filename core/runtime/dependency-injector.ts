/**
 * Resolves the references of a provider: to running providers, to those of other daemons, to
 * execution pools.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { ResolvedReference } from '../config/resolved-config.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Dependency, Provider } from '../contract/provider.js';
import type { RemoteOptions } from '../contract/remote-provider.js';
import type { RemotePurpose } from './remote-tokens.js';
import type { RemoteDependencies } from './remote-dependencies.js';

/** What a provider can depend on. */
export interface Injectables {
  /** A provider of the daemon, or one that is being added to it. */
  provider(
    name: string,
  ): { readonly state: ProviderState; readonly instance: Provider | undefined } | undefined;
  executionPool(name: string): ExecutionPool;
  /** How long another daemon may take to become ready, milliseconds. */
  timeoutMs(): number;
  /** How this daemon presents itself to others. @throws UNREACHABLE */
  remoteOptions(address: string, purpose: RemotePurpose): Promise<RemoteOptions>;
}

export class DependencyInjector {
  constructor(
    private readonly among: Injectables,
    private readonly remotes: RemoteDependencies,
    private readonly logger: Logger,
  ) {}

  /**
   * Resolves one key of `dependencies`. In a list, unavailable optional ones are omitted.
   * @throws DEPENDENCY_UNRESOLVED
   */
  async resolve(
    reference: ResolvedReference | readonly ResolvedReference[],
  ): Promise<Dependency | readonly Dependency[] | undefined> {
    if (!isList(reference)) return this.#optional(reference);
    const found: Dependency[] = [];
    for (const each of reference) {
      const dependency = await this.#optional(each);
      if (dependency !== undefined) found.push(dependency);
    }
    return found;
  }

  /** An optional dependency that is unavailable counts as absent. */
  async #optional(reference: ResolvedReference): Promise<Dependency | undefined> {
    if ('pool' in reference) return this.among.executionPool(reference.pool);
    try {
      if ('remote' in reference) return await this.remotes.connect(reference.remote, this.among);
      return this.#local(reference.provider);
    } catch (error) {
      // A start that is being given up must not continue without the dependency.
      if (reference.isRequired || this.remotes.isClosed) throw error;
      this.logger.warning(
        `${messageOf(error)}; the dependency is optional, so the provider starts without it`,
      );
      return undefined;
    }
  }

  #local(name: string): Provider {
    const other = this.among.provider(name);
    if (other?.instance !== undefined && other.state === 'running') return other.instance;
    throw new BedrockError('DEPENDENCY_UNRESOLVED', `it depends on "${name}", which is not running`);
  }
}

function isList(
  reference: ResolvedReference | readonly ResolvedReference[],
): reference is readonly ResolvedReference[] {
  return Array.isArray(reference);
}
