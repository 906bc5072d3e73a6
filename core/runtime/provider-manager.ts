/**
 * The providers of a running daemon: started in the order of the configuration, stopped in reverse.
 *
 * A provider that cannot start within the time-out ends the start of the daemon, and those that run are stopped; one that is
 * marked optional is left out instead, as are optional providers that need it. One that could do without it does.
 */
import type { Container } from 'inversify';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Clock } from '../base/clock.js';
import { BedrockError, explain, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { untilAborted, withTimeout } from '../base/timeout.js';
import type { ResolvedConfig, ResolvedProvider } from '../config/resolved-config.js';
import type { BackendContext, Dependencies, ProviderContext } from '../contract/definitions.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Provider } from '../contract/provider.js';
import type { Target } from '../contract/target.js';
import { TOKENS } from '../library/container.js';
import { startStopped } from '../library/library.js';
import { makeTarget } from '../library/make-target.js';
import type { TypeRegistry } from '../library/registry.js';
import { checkedTarget } from '../targets/checked-target.js';
import { administer } from './administration.js';
import { findChangedDependency } from './changed-dependency.js';
import { DependencyInjector } from './dependency-injector.js';
import { AdmissionQueue } from './execution-pool.js';
import { checkProvider } from './instance-check.js';
import { createOperationMeter, type OperationMeter } from './operation-meter.js';
import { LabelledMetrics } from './provider-metrics.js';
import { type RemoteDependencies, RemotesOfProvider } from './remote-dependencies.js';
import { RouteTable } from './route-table.js';
import type { RunningProvider } from './running-provider.js';
import { Sequence } from './sequence.js';

const ABORTED_STOP_MS = 1000;

const NO_ROUTES = new RouteTable([], 'nobody');

class Entry implements RunningProvider {
  state: ProviderState = 'starting';
  instance: Provider | undefined;
  meters: readonly OperationMeter[] = [];
  routes = NO_ROUTES;
  readonly administration = new Sequence();
  /** Those that it has now; `changeDependency` replaces some. */
  readonly remotes = new RemotesOfProvider();

  constructor(
    readonly resolved: ResolvedProvider,
    readonly pool: ExecutionPool,
    readonly logger: Logger,
  ) {}

  get name(): string {
    return this.resolved.name;
  }
  get type(): string {
    return this.resolved.type;
  }
  get providerId(): number {
    return this.resolved.providerId;
  }
  get tags(): readonly string[] {
    return this.resolved.tags;
  }
  get targets(): readonly Target[] {
    return this.instance?.targets ?? [];
  }
  get config(): Readonly<Record<string, unknown>> {
    const { instance, resolved } = this;
    try {
      return instance?.getConfig?.() ?? resolved.config;
    } catch (error) {
      this.logger.error(`getConfig failed, and the settings of the start are shown: ${explain(error)}`);
      return resolved.config;
    }
  }
}

export class ProviderManager {
  readonly #entries: Entry[];
  readonly #pools: ReadonlyMap<string, ExecutionPool>;
  readonly #byName = new Map<string, Entry>();
  readonly #logger: Logger;

  constructor(
    private readonly container: Container,
    private readonly config: ResolvedConfig,
    private readonly registry: TypeRegistry,
  ) {
    this.#logger = container.get<Logger>(TOKENS.Logger);
    this.#pools = new Map(
      config.pools.map((pool) => [
        pool.name,
        new AdmissionQueue(pool.name, { maxInFlight: pool.max_in_flight, maxQueued: pool.max_queued }),
      ]),
    );
    this.#entries = config.providers.map((resolved) => {
      const logger = this.#logger.child({ component: `${resolved.type}:${resolved.providerId}` });
      const entry = new Entry(resolved, this.#pool(resolved.pool), logger);
      this.#byName.set(entry.name, entry);
      this.#byName.set(String(entry.providerId), entry);
      return entry;
    });
  }

  get all(): readonly RunningProvider[] {
    return this.#entries;
  }

  get pools(): readonly ExecutionPool[] {
    return [...this.#pools.values()];
  }

  /** @param provider name or provider_id */
  find(provider: string): RunningProvider | undefined {
    return this.#byName.get(provider);
  }

  /**
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND
   */
  get(provider: string | number): RunningProvider {
    const entry = this.find(String(provider));
    if (entry === undefined) {
      const known = this.#entries.map(({ name, providerId }) => `${name} (${providerId})`).join(', ');
      throw new BedrockError(
        'PROVIDER_NOT_FOUND',
        `no provider ${String(provider)}; there are: ${known === '' ? 'none' : known}`,
      );
    }
    return entry;
  }

  /**
   * A target of a provider.
   * @throws PROVIDER_NOT_FOUND, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_READY
   */
  target(provider: string | number, index = 0): Target {
    return targetOf(this.get(provider), index);
  }

  /**
   * Starts all in order. On failure, or at once when the signal is given, those that run are stopped again; what comes into being
   * after that is closed when it does.
   * @throws START_FAILED
   */
  async start(signal?: AbortSignal): Promise<void> {
    for (const entry of this.#entries) {
      try {
        signal?.throwIfAborted();
        await this.#startOne(entry, signal);
      } catch (cause) {
        entry.state = 'failed';
        await this.#closeRemotes(entry, this.#patienceMs(signal));
        if (signal?.aborted === true) {
          await this.stop();
          throw startStopped();
        }
        const message = `provider "${entry.name}" could not start: ${explain(cause)}`;
        if (entry.resolved.isOptional) {
          this.#logger.error(`${message}; it is optional, so the daemon goes on without it`);
          continue;
        }
        await this.stop();
        throw new BedrockError('START_FAILED', message, { details: { provider: entry.name }, cause });
      }
    }
  }

  /** Stops all in reverse. What fails is logged and does not keep the others running. @returns whether all stopped cleanly */
  async stop(): Promise<boolean> {
    let isClean = true;
    for (const entry of this.#entries.toReversed()) {
      if (entry.state !== 'running') continue;
      entry.state = 'stopping';
      isClean = (await this.#stopOne(entry)) && isClean;
      entry.state = 'stopped';
    }
    return isClean;
  }

  /** The time-out is one for all that belongs to a start. */
  async #startOne(entry: Entry, signal: AbortSignal | undefined): Promise<void> {
    const timeoutMs = this.config.settings.start_timeout_ms;
    const begun = performance.now();
    const late = (): BedrockError =>
      new BedrockError('START_FAILED', `it took longer than bedrock.start_timeout_ms, ${timeoutMs} ms`);
    const inTime = <T>(promise: Promise<T>): Promise<T> =>
      withTimeout(
        untilAborted(promise, signal, startStopped),
        Math.max(0, timeoutMs - (performance.now() - begun)),
        late,
      );
    if (entry.resolved.unavailable !== undefined) {
      throw new BedrockError('LIBRARY_LOAD_FAILED', entry.resolved.unavailable);
    }
    const { definition } = entry.resolved.registered;
    const dependencies = await inTime(this.#dependenciesOf(entry));
    const context = this.#contextOf(entry, dependencies);
    const making = Promise.resolve(definition.create(entry.resolved.config, context));
    const instance = await inTime(making).catch((error: unknown) => {
      stopLate(making, entry.logger);
      throw error;
    });
    checkProvider(instance, entry.type);
    entry.instance = instance;
    entry.meters = instance.targets.map(createOperationMeter);
    try {
      entry.routes = new RouteTable(instance.routes ?? [], `the provider type "${entry.type}"`);
      await inTime(Promise.resolve(instance.start()));
      await inTime(this.#logRunning(entry));
    } catch (error) {
      await this.#stopOne(entry, this.#patienceMs(signal));
      // Its targets are closed, and of no use to anyone.
      entry.instance = undefined;
      throw error;
    }
    entry.state = 'running';
  }

  async #stopOne(entry: Entry, timeoutMs = this.#stopTimeoutMs): Promise<boolean> {
    try {
      await withTimeout(
        entry.administration.idle().then(() => entry.instance?.stop()),
        timeoutMs,
        () => new BedrockError('INTERNAL', `it did not stop within ${timeoutMs} ms`),
      );
      return true;
    } catch (error) {
      entry.logger.error(`did not stop cleanly: ${explain(error)}`);
      return false;
    } finally {
      await this.#closeRemotes(entry, timeoutMs);
    }
  }

  /** Gives back the connections of its dependencies. A call that never ends is left behind. */
  async #closeRemotes({ remotes, logger }: Entry, timeoutMs: number): Promise<void> {
    const late = (): BedrockError => new BedrockError('INTERNAL', 'calls to other daemons still ran');
    await withTimeout(remotes.close(), timeoutMs, late).catch((error: unknown) => {
      logger.warning(`the connections of its dependencies did not close: ${messageOf(error)}`);
    });
  }

  /** As long as requests may take to end: a stop that never ends must not keep the others open. */
  get #stopTimeoutMs(): number {
    return Math.max(this.config.settings.drain_timeout_ms, 1000);
  }

  /** How long what has failed to start may take to stop: it has served nobody, and whoever gave the signal is waiting. */
  #patienceMs(signal: AbortSignal | undefined): number {
    return signal?.aborted === true ? Math.min(ABORTED_STOP_MS, this.#stopTimeoutMs) : this.#stopTimeoutMs;
  }

  async #logRunning(entry: Entry): Promise<void> {
    const targets = await Promise.all(entry.targets.map((target) => checkedTarget(target).stats()));
    for (const { recovery } of targets) {
      if (recovery.regions + recovery.quarantined === 0) continue;
      const lost = recovery.quarantined === 0 ? '' : `, ${recovery.quarantined} damaged ones set aside`;
      entry.logger.info(`Recovered ${recovery.regions} existing regions${lost}`, { ...recovery });
    }
    const kinds = targets.map(({ type, mode }) => `${type} (${mode})`).join(', ');
    entry.logger.info(`provider "${entry.name}" is up${kinds === '' ? '' : `: ${kinds}`}`);
  }

  #contextOf(entry: Entry, dependencies: Dependencies): ProviderContext {
    const context: BackendContext = {
      providerName: entry.name,
      providerId: entry.providerId,
      tags: entry.tags,
      logger: entry.logger,
      clock: this.container.get<Clock>(TOKENS.Clock),
      metrics: new LabelledMetrics(this.container.get<MetricsRegistry>(TOKENS.Metrics), entry.name),
      dependencies,
      baseDirectory: this.config.directory,
    };
    return { ...context, createTarget: (type, config) => this.#createTarget(type, config, context) };
  }

  async #createTarget(
    type: string,
    config: Record<string, unknown>,
    context: BackendContext,
  ): Promise<Target> {
    const registered = this.registry.backend(type);
    if (registered === undefined) {
      throw new BedrockError('CONFIG_INVALID', this.registry.unknown('backend', type));
    }
    return makeTarget(registered.definition, config, context);
  }

  /** When the start is given up, that which connects is closed, and nothing behind it begins. */
  async #dependenciesOf(entry: Entry): Promise<Dependencies> {
    const found: Record<string, Dependencies[string]> = {};
    for (const [name, reference] of Object.entries(entry.resolved.dependencies)) {
      const remotes = entry.remotes.begin();
      entry.remotes.use(name, remotes);
      found[name] = await this.#injector(entry, remotes).resolve(reference);
    }
    return found;
  }

  #injector(entry: Entry, remotes: RemoteDependencies): DependencyInjector {
    const among = {
      providers: this.#entries,
      pool: (name: string) => this.#pool(name),
      timeoutMs: this.config.settings.start_timeout_ms,
    };
    return new DependencyInjector(among, remotes, entry.logger);
  }

  /**
   * Has a provider use another dependency from now on.
   * @param name its key in the configuration
   * @param reference as it would stand there
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, DEPENDENCY_UNRESOLVED, whatever the provider throws
   */
  async changeDependency(
    provider: string | number,
    name: string,
    reference: string | readonly string[],
  ): Promise<void> {
    const entry = this.get(provider) as Entry;
    await administer(entry, 'changeDependency', async (instance) => {
      const found = findChangedDependency(this.config, this.registry, entry.resolved, name, reference);
      const remotes = entry.remotes.begin();
      let before: RemoteDependencies | undefined;
      try {
        const dependency = await this.#injector(entry, remotes).resolve(found);
        if (dependency === undefined)
          throw new BedrockError(
            'DEPENDENCY_UNRESOLVED',
            `"${String(reference)}" cannot be had; the log says why`,
          );
        await instance.changeDependency?.(name, dependency);
        // The provider's stop does not wait for ever: it may be over, and all that the provider had is closed then.
        before = entry.remotes.use(name, remotes);
      } catch (error) {
        await entry.remotes.drop(remotes);
        throw error;
      }
      await entry.remotes.drop(before);
    });
  }

  #pool(name: string): ExecutionPool {
    const pool = this.#pools.get(name);
    if (pool === undefined) throw new BedrockError('INTERNAL', `there is no execution pool ${name}`);
    return pool;
  }
}

/**
 * The target of a provider that a request or program means.
 * @throws INVALID_ARGUMENT, NOT_SUPPORTED, NOT_READY
 */
export function targetOf(provider: RunningProvider, index: number): Target {
  const target = provider.targets[index];
  if (target !== undefined) return target;
  const who = `provider "${provider.name}"`;
  if (provider.state !== 'running') throw new BedrockError('NOT_READY', `${who} is ${provider.state}`);
  if (provider.targets.length === 0) {
    throw new BedrockError('NOT_SUPPORTED', `${who} is of type ${provider.type}, which holds no regions`);
  }
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `${who} has ${provider.targets.length} targets, numbered from 0; there is no target ${index}`,
  );
}

/** Stops a provider that came into being after its time was over, so that it gives back what it took. */
function stopLate(making: Promise<Provider>, logger: Logger): void {
  making
    .then((provider) => provider.stop())
    .catch((error: unknown) => {
      logger.debug(`what was made too late did not stop: ${messageOf(error)}`);
    });
}
