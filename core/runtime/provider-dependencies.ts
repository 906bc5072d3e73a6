/**
 * The dependencies of one provider: resolved for its start, replaced while it runs, closed when it
 * stops. The connections to other daemons belong to it.
 */
import { asBedrockError, BedrockError, explain, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { withTimeout } from '../base/timeout.js';
import type { DaemonSettings, ResolvedProvider, ResolvedReference } from '../config/resolved-config.js';
import type { Dependencies } from '../contract/definitions.js';
import type { Dependency, Provider } from '../contract/provider.js';
import { DependencyInjector, type Injectables } from './dependency-injector.js';
import { type RemoteDependencies, RemotesOfProvider } from './remote-dependencies.js';

/** Means that a provider's code has not returned in time. */
class LateChange extends BedrockError {}

/**
 * How long a stop may take: as long as requests may take to end. A stop that never ends must not keep
 * the other providers open.
 */
export function stopTimeoutMs({ drain_timeout_ms: drainMs }: DaemonSettings): number {
  return Math.max(drainMs, 1000);
}

export class ProviderDependencies {
  /** The present connections; `use` replaces some. */
  readonly #remotes = new RemotesOfProvider();

  constructor(
    private readonly name: string,
    private readonly around: {
      readonly running: { readonly settings: DaemonSettings };
      readonly among: Injectables;
    },
    private readonly logger: Logger,
  ) {}

  get #settings(): DaemonSettings {
    return this.around.running.settings;
  }

  /** Asks the daemons of other providers. @returns those that are missing */
  missing(timeoutMs: number): ReturnType<RemotesOfProvider['missing']> {
    return this.#remotes.missing(timeoutMs);
  }

  /**
   * Resolves all of them, for the start of the provider. If `close` is called meanwhile, connections
   * that are being made are closed, and no further ones begin.
   * @param references as in the configuration, by their keys
   * @throws DEPENDENCY_UNRESOLVED, NOT_READY
   */
  async all(references: ResolvedProvider['dependencies']): Promise<Dependencies> {
    const found: Record<string, Dependencies[string]> = {};
    for (const [name, reference] of Object.entries(references)) {
      const remotes = this.#remotes.begin();
      this.#remotes.use(name, remotes);
      found[name] = await this.#injector(remotes).resolve(reference);
    }
    return found;
  }

  #injector(remotes: RemoteDependencies): DependencyInjector {
    return new DependencyInjector(this.around.among, remotes, this.logger);
  }

  /**
   * Makes it use another dependency from now on. Calls in flight on the old connections may end,
   * for as long as requests may when the daemon stops. After that they are abandoned with a warning
   * in the log, and the change stands.
   * @param name its key in the configuration
   * @param found the new reference, resolved
   * @throws NOT_READY, DEPENDENCY_UNRESOLVED, TIMEOUT after bedrock.start_timeout_ms, whatever the
   *   provider throws
   */
  async use(
    instance: Provider,
    name: string,
    found: ResolvedReference | readonly ResolvedReference[],
  ): Promise<void> {
    const remotes = this.#remotes.begin();
    let before: RemoteDependencies | undefined;
    try {
      const dependency = await this.#injector(remotes).resolve(found);
      if (dependency === undefined)
        throw new BedrockError(
          'DEPENDENCY_UNRESOLVED',
          `the dependency "${name}" cannot be had; the log says why`,
        );
      await this.#inTime(name, this.#taken(instance, name, dependency));
      // The stop of the provider does not wait forever. It may be over, and then everything that
      // the provider had is closed.
      before = this.#remotes.use(name, remotes);
    } catch (error) {
      // Code that has not returned may still use the new connections: they stay open until the
      // provider stops.
      if (!(error instanceof LateChange)) await this.#closing(this.#remotes.drop(remotes), name);
      throw error;
    }
    await this.#closing(this.#remotes.drop(before), name);
  }

  /**
   * Logs a failure of the provider's own code here, where the dependency and the provider are
   * known.
   */
  async #taken(
    instance: Provider,
    name: string,
    dependency: Dependency | readonly Dependency[],
  ): Promise<void> {
    try {
      await instance.changeDependency?.(name, dependency);
    } catch (error) {
      if (asBedrockError(error).code === 'INTERNAL')
        this.logger.error(`the provider did not take its dependency "${name}": ${explain(error)}`);
      throw error;
    }
  }

  /** Gives up after a time-out, since other changes wait for this one. @throws LateChange */
  #inTime(name: string, change: Promise<void>): Promise<void> {
    const timeoutMs = this.#settings.start_timeout_ms;
    const late = (): LateChange => {
      this.logger.error(
        `the provider has not taken its dependency "${name}" after ${timeoutMs} ms, and may use either one now`,
      );
      return new LateChange(
        'TIMEOUT',
        `provider "${this.name}" has not taken its dependency "${name}" within bedrock.start_timeout_ms, ${timeoutMs} ms`,
      );
    };
    return withTimeout(change, timeoutMs, late);
  }

  /**
   * Waits until connections of a dependency are closed, or until a time-out: others wait to
   * administer the provider.
   */
  async #closing(closed: Promise<void>, name: string): Promise<void> {
    const timeoutMs = stopTimeoutMs(this.#settings);
    const late = (): BedrockError =>
      new BedrockError(
        'TIMEOUT',
        `calls still ran after ${timeoutMs} ms (bedrock.drain_timeout_ms, and a second at least), and are abandoned`,
      );
    await withTimeout(closed, timeoutMs, late).catch((error: unknown) => {
      this.logger.warning(
        `the connections of a dependency "${name}" that is no longer used did not close: ${messageOf(error)}`,
      );
    });
  }

  /** Closes the connections of its dependencies. Calls that do not end in time are abandoned. */
  async close(timeoutMs: number): Promise<void> {
    const late = (): BedrockError => new BedrockError('INTERNAL', 'calls to other daemons still ran');
    await withTimeout(this.#remotes.close(), timeoutMs, late).catch((error: unknown) => {
      this.logger.warning(`the connections of its dependencies did not close: ${messageOf(error)}`);
    });
  }
}
