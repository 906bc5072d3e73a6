/**
 * The providers of a running daemon. It finds them by name or number, starts them in the order of
 * the configuration, and stops them in reverse order. Further providers can be prepared, and then
 * added in one step (changes.ts).
 *
 * If a provider cannot start within the time-out, the start of the daemon fails, and the running
 * providers are stopped. An optional provider is left out instead, and so are optional providers
 * that need it. A provider for which it is an optional dependency runs without it.
 */
import type { Container } from 'inversify';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Clock } from '../base/clock.js';
import { BedrockError, explain, invalid } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { Resolution } from '../config/resolve.js';
import type { ResolvedConfig, ResolvedProvider } from '../config/resolved-config.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { Target } from '../contract/target.js';
import { TOKENS } from '../library/tokens.js';
import { startStopped } from '../library/library.js';
import type { TypeRegistry } from '../library/registry.js';
import { AdmissionQueue } from './admission-queue.js';
import { HealthCheck } from './health.js';
import { ManagedProvider, type Surroundings } from './managed-provider.js';
import { Operations } from './operations.js';
import { readRemoteOptions } from './remote-options.js';
import { RemoteTokens } from './remote-tokens.js';
import type { RunningConfig } from './running-config.js';
import type { RunningProvider } from './running-provider.js';
import type { ServedTarget } from './served-target.js';

/**
 * Providers and execution pools that are prepared for a change of the configuration. Nobody else
 * sees them yet.
 */
export interface Prepared {
  readonly executionPools: ReadonlyMap<string, AdmissionQueue>;
  /** The providers that were added, running, by name. */
  readonly added: ReadonlyMap<string, ManagedProvider>;
}

export class ProviderManager {
  #providers: readonly ManagedProvider[] = [];
  #executionPools: ReadonlyMap<string, AdmissionQueue> = new Map();
  #byName: ReadonlyMap<string, ManagedProvider> = new Map();
  /** While a change is in progress: what it has added so far. */
  #underWay:
    | {
        readonly executionPools: ReadonlyMap<string, AdmissionQueue>;
        readonly added: Map<string, ManagedProvider>;
      }
    | undefined;
  readonly #logger: Logger;
  /** Long-running work of the providers. */
  readonly operations: Operations;
  /** Whether they do their work. */
  readonly health = new HealthCheck(() => this.#providers);
  readonly #around: Surroundings;
  readonly #remoteTokens: RemoteTokens;

  constructor(container: Container, running: RunningConfig) {
    this.#logger = container.get<Logger>(TOKENS.Logger);
    const clock = container.get<Clock>(TOKENS.Clock);
    this.#remoteTokens = new RemoteTokens(running.settings.remote_tokens ?? [], this.#logger);
    this.operations = new Operations(clock);
    this.#around = {
      running,
      clock,
      operations: this.operations,
      metrics: container.get<MetricsRegistry>(TOKENS.Metrics),
      among: {
        provider: (name) => this.#underWay?.added.get(name) ?? this.#byName.get(name),
        executionPool: (name) => this.#executionPool(name),
        timeoutMs: () => running.settings.start_timeout_ms,
        remoteOptions: async (address, purpose) => ({
          ...(await readRemoteOptions(running.settings.remote_tls)),
          ...(await this.#remoteTokens.optionsFor(address, purpose)),
        }),
      },
    };
    const { config, registry } = running.resolution;
    this.#executionPools = this.#poolsOf(config);
    this.#list(config.providers.map((resolved) => this.#make(resolved, registry)));
  }

  /** Folder that relative paths in requests are relative to. */
  get directory(): string {
    return this.#around.running.directory;
  }

  #make(resolved: ResolvedProvider, registry: TypeRegistry): ManagedProvider {
    const logger = this.#logger.child({ component: `${resolved.type}:${resolved.providerId}` });
    const executionPool = this.#executionPool(resolved.pool);
    return new ManagedProvider({ resolved, executionPool, registry }, logger, this.#around);
  }

  /** Replaces the list of providers, in this order. */
  #list(providers: readonly ManagedProvider[]): void {
    this.#providers = providers;
    this.#byName = new Map(
      providers.flatMap((provider) => [
        [provider.name, provider] as const,
        [String(provider.providerId), provider] as const,
      ]),
    );
  }

  /** The execution pools of a configuration: the existing ones, and new ones. */
  #poolsOf({ pools }: ResolvedConfig): ReadonlyMap<string, AdmissionQueue> {
    return new Map(
      pools.map(({ name, max_in_flight: maxInFlight, max_queued: maxQueued }) => [
        name,
        this.#executionPools.get(name) ?? new AdmissionQueue(name, { maxInFlight, maxQueued }),
      ]),
    );
  }

  get all(): readonly RunningProvider[] {
    return this.#providers;
  }

  /** The same, for those who change them. */
  get managed(): readonly ManagedProvider[] {
    return this.#providers;
  }

  get executionPools(): readonly ExecutionPool[] {
    return [...this.#executionPools.values()];
  }

  /** @param provider name or provider_id */
  find(provider: string): RunningProvider | undefined {
    return this.#byName.get(provider);
  }

  /**
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND
   */
  get(provider: string | number): ManagedProvider {
    const found = this.#byName.get(String(provider));
    if (found !== undefined) return found;
    const known = this.#providers.map(({ name, providerId }) => `${name} (${providerId})`).join(', ');
    throw new BedrockError(
      'PROVIDER_NOT_FOUND',
      `no provider ${String(provider)}; there are: ${known === '' ? 'none' : known}`,
    );
  }

  /**
   * A target of a provider.
   * @throws PROVIDER_NOT_FOUND, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_READY
   */
  target(provider: string | number, index = 0): Target {
    return servedTarget(this.get(provider), index).source;
  }

  /**
   * Starts all in order. On failure, or as soon as the signal is aborted, the running ones are
   * stopped again.
   * @throws START_FAILED
   */
  async start(signal?: AbortSignal): Promise<void> {
    for (const provider of this.#providers) {
      try {
        await provider.start(signal);
      } catch (cause) {
        if (signal?.aborted === true) {
          await this.stop();
          throw startStopped(signal);
        }
        const failure = notStarted(provider, cause);
        if (provider.resolved.isOptional) {
          this.#logger.error(`${failure.message}; it is optional, so the daemon runs without it`);
          continue;
        }
        await this.stop();
        throw failure;
      }
    }
  }

  /**
   * Stops all in reverse order. Failures are logged and do not keep the others running.
   * @returns whether all stopped cleanly
   */
  async stop(): Promise<boolean> {
    this.#remoteTokens.close();
    let isClean = true;
    for (const provider of this.#providers.toReversed()) isClean = (await provider.stop()) && isClean;
    return isClean;
  }

  /**
   * Creates the execution pools of another configuration, and creates and starts the providers that
   * it adds, in order. If one does not start, those before it are stopped again. Nobody sees any of
   * this before `adopt`.
   * @throws whatever start throws
   */
  async prepare(
    { config, registry }: Resolution,
    added: readonly ResolvedProvider[],
    signal: AbortSignal,
  ): Promise<Prepared> {
    const prepared = { executionPools: this.#poolsOf(config), added: new Map<string, ManagedProvider>() };
    this.#underWay = prepared;
    try {
      for (const resolved of added) {
        const provider = this.#make(resolved, registry);
        await provider.start(signal).catch((cause: unknown) => {
          throw signal.aborted ? stoppedMeanwhile(cause) : notStarted(provider, cause);
        });
        prepared.added.set(provider.name, provider);
      }
      return prepared;
    } catch (error) {
      await this.drop(prepared);
      throw error;
    }
  }

  /** Stops the providers that were prepared but are not adopted. */
  async drop({ added }: Prepared): Promise<void> {
    this.#underWay = undefined;
    const neverEnds = new AbortController().signal;
    for (const provider of [...added.values()].reverse()) {
      provider.leaveService();
      await provider.retire(neverEnds);
    }
  }

  /**
   * In one step, replaces the providers and execution pools by those of the configuration, in its
   * order.
   * @returns the providers that were removed, in the order in which they are to be retired; new
   *   requests do not find them
   */
  adopt({ config, registry }: Resolution, { executionPools, added }: Prepared): readonly ManagedProvider[] {
    this.#underWay = undefined;
    this.#executionPools = executionPools;
    for (const { name, max_in_flight: maxInFlight, max_queued: maxQueued } of config.pools)
      executionPools.get(name)?.change({ maxInFlight, maxQueued });
    const before = this.#providers;
    const after = config.providers.map((resolved) => {
      const provider = added.get(resolved.name) ?? this.get(resolved.name);
      provider.adopt({ resolved, executionPool: this.#executionPool(resolved.pool), registry });
      return provider;
    });
    this.#list(after);
    const gone = before.filter((provider) => !after.includes(provider)).reverse();
    for (const provider of gone) provider.leaveService();
    return gone;
  }

  #executionPool(name: string): AdmissionQueue {
    const executionPool = this.#underWay?.executionPools.get(name) ?? this.#executionPools.get(name);
    if (executionPool === undefined) throw new BedrockError('INTERNAL', `there is no execution pool ${name}`);
    return executionPool;
  }
}

function notStarted({ name }: ManagedProvider, cause: unknown): BedrockError {
  return new BedrockError('START_FAILED', `provider "${name}" could not start: ${explain(cause)}`, {
    details: { provider: name },
    cause,
  });
}

/** The error of a change that ends because the daemon is stopping. */
export function stoppedMeanwhile(cause?: unknown): BedrockError {
  return new BedrockError('NOT_READY', 'the daemon is stopping, and nothing was changed', { cause });
}

/**
 * The target that a request or program names.
 * @throws INVALID_ARGUMENT, NOT_SUPPORTED, NOT_READY
 */
export function servedTarget(provider: RunningProvider, index: number): ServedTarget {
  const served = provider.served(index);
  if (served !== undefined) return served;
  const who = `provider "${provider.name}"`;
  if (provider.state !== 'running') throw new BedrockError('NOT_READY', `${who} is ${provider.state}`);
  if (provider.targets.length === 0) {
    throw new BedrockError('NOT_SUPPORTED', `${who} is of type ${provider.type}, which holds no regions`);
  }
  throw invalid(`${who} has no target ${index}; the last is ${provider.targets.length - 1}`);
}
