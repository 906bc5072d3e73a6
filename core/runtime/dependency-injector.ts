/** Finds what the references of a provider lead to: running providers, those of other daemons, execution pools. */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { ResolvedReference } from '../config/resolved-config.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Dependency, Provider } from '../contract/provider.js';
import type { RemoteDependencies } from './remote-dependencies.js';

/** What there is to depend on. */
export interface Injectables {
  /** The providers of the daemon, in the order of the configuration. */
  readonly providers: readonly {
    readonly name: string;
    readonly state: ProviderState;
    readonly instance: Provider | undefined;
  }[];
  pool(name: string): ExecutionPool;
  /** How long another daemon may take to get ready. */
  readonly timeoutMs: number;
}

export class DependencyInjector {
  constructor(
    private readonly among: Injectables,
    private readonly remotes: RemoteDependencies,
    private readonly logger: Logger,
  ) {}

  /** What one key of `dependencies` leads to. Of a list, those are left out that nobody has to have. @throws DEPENDENCY_UNRESOLVED */
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

  /** What is not required and cannot be had is as absent as if nobody had named it. */
  async #optional(reference: ResolvedReference): Promise<Dependency | undefined> {
    if ('pool' in reference) return this.among.pool(reference.pool);
    try {
      if ('remote' in reference) return await this.remotes.connect(reference.remote, this.among.timeoutMs);
      return this.#local(reference.provider);
    } catch (error) {
      // What has been given up goes on with nothing.
      if (reference.isRequired || this.remotes.isClosed) throw error;
      this.logger.warning(`${messageOf(error)}; the dependency is not required, so it goes on without`);
      return undefined;
    }
  }

  #local(place: number): Provider {
    const other = this.among.providers[place];
    if (other?.instance !== undefined && other.state === 'running') return other.instance;
    throw new BedrockError(
      'DEPENDENCY_UNRESOLVED',
      `it depends on "${other?.name ?? '?'}", which is not running`,
    );
  }
}

function isList(
  reference: ResolvedReference | readonly ResolvedReference[],
): reference is readonly ResolvedReference[] {
  return Array.isArray(reference);
}
