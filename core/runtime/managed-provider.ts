/**
 * One provider of a running daemon, from its creation to its stop. It gets its dependencies, is
 * created and started within one time-out, changes dependencies and its execution pool, and is
 * stopped. A provider that fails to start releases everything that it took.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Clock } from '../base/clock.js';
import { asBedrockError, BedrockError, explain, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { isRecord, type Plain, plainOf } from '../base/plain.js';
import { untilAborted, withTimeout } from '../base/timeout.js';
import type { DaemonSettings, ResolvedProvider, ResolvedReference } from '../config/resolved-config.js';
import type { BackendContext, Dependencies, ProviderContext } from '../contract/definitions.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Provider } from '../contract/provider.js';
import type { Target } from '../contract/target.js';
import { startStopped } from '../library/library.js';
import { makeTarget } from '../library/make-target.js';
import type { TypeRegistry } from '../library/registry.js';
import { checkedTarget } from '../targets/checked-target.js';
import type { Injectables } from './dependency-injector.js';
import { INCOMPLETE } from './incomplete.js';
import { checkProvider } from './instance-check.js';
import type { Operations } from './operations.js';
import { ProviderDependencies, stopTimeoutMs } from './provider-dependencies.js';
import { LabelledMetrics } from './provider-metrics.js';
import { RequestCount } from './request-count.js';
import { RouteTable } from './route-table.js';
import type { RunningProvider } from './running-provider.js';
import { Sequence } from './sequence.js';
import { ServedTarget } from './served-target.js';
import type { Trouble } from './trouble.js';

const ABORTED_STOP_MS = 1000;

const NO_ROUTES = new RouteTable([], 'nobody');

/** What a provider gets from its daemon. */
export interface Surroundings {
  readonly running: {
    /** The settings of the present configuration. */
    readonly settings: DaemonSettings;
    /** Base folder of relative paths. */
    readonly directory: string;
  };
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly operations: Operations;
  /** What dependencies may refer to. */
  readonly among: Injectables;
}

/** Its place in a configuration. */
export interface ProviderEntry {
  readonly resolved: ResolvedProvider;
  readonly executionPool: ExecutionPool;
  readonly registry: TypeRegistry;
}

export class ManagedProvider implements RunningProvider {
  state: ProviderState = 'starting';
  instance: Provider | undefined;
  routes = NO_ROUTES;
  readonly administration = new Sequence();
  readonly requests = new RequestCount();
  readonly #dependencies: ProviderDependencies;
  readonly #served: (ServedTarget | undefined)[] = [];
  readonly #metrics: LabelledMetrics;
  #resolved: ResolvedProvider;
  #executionPool: ExecutionPool;
  #configAtStart: Plain | undefined;
  /** The types of its configuration's libraries. */
  #registry: TypeRegistry;

  constructor(
    { resolved, executionPool, registry }: ProviderEntry,
    readonly logger: Logger,
    private readonly around: Surroundings,
  ) {
    this.#resolved = resolved;
    this.#executionPool = executionPool;
    this.#registry = registry;
    this.#metrics = new LabelledMetrics(around.metrics, resolved.name);
    this.#dependencies = new ProviderDependencies(resolved.name, around, this.logger);
  }

  /** Asks the daemons that it depends on. @returns the dependencies that are missing */
  async missingDependencies(timeoutMs: number): Promise<Trouble[]> {
    const missing = await this.#dependencies.missing(timeoutMs);
    return missing.map((one) => ({ provider: this.name, ...one }));
  }

  /** Its entry in the configuration. */
  get resolved(): ResolvedProvider {
    return this.#resolved;
  }
  get executionPool(): ExecutionPool {
    return this.#executionPool;
  }

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
  /** A provider may create its targets as late as in its start, and change them later. */
  served(index: number): ServedTarget | undefined {
    const target = this.targets[index];
    const known = this.#served[index];
    if (target === undefined || known?.source === target) return target && known;
    return (this.#served[index] = new ServedTarget(this, index, target, known?.meter, this.requests));
  }
  /**
   * Takes its entry in another configuration. From now on, requests queue in the execution pool
   * that this names.
   */
  adopt({ resolved, executionPool, registry }: ProviderEntry): void {
    this.#resolved = resolved;
    this.#executionPool = executionPool;
    this.#registry = registry;
    for (const served of this.#served) if (served !== undefined) served.executionPool = executionPool;
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

  /** Its present settings if its own code has changed them since the start; undefined otherwise. */
  get changedConfig(): Record<string, unknown> | undefined {
    const present = this.#plainConfig();
    return isRecord(present) && !isDeepStrictEqual(present, this.#configAtStart) ? present : undefined;
  }

  #plainConfig(): Plain | undefined {
    return plainOf(this.config, { values: Infinity, characters: Infinity, depth: 100 });
  }

  /**
   * Creates and starts it. On failure, or at once when the signal is aborted, it is stopped again.
   * Anything that is created after that is closed at once.
   * @throws START_FAILED, DEPENDENCY_UNRESOLVED, LIBRARY_LOAD_FAILED, whatever its type throws
   */
  async start(signal?: AbortSignal): Promise<void> {
    try {
      signal?.throwIfAborted();
      await this.#start(signal);
      this.state = 'running';
      this.#configAtStart = this.#plainConfig();
    } catch (error) {
      this.state = 'failed';
      await this.#dependencies.close(this.#patienceMs(signal));
      await this.#metrics.forget();
      throw error;
    }
  }

  /** One time-out covers everything that belongs to a start. */
  async #start(signal: AbortSignal | undefined): Promise<void> {
    const { resolved, type } = this;
    const timeoutMs = this.#settings.start_timeout_ms;
    const begun = performance.now();
    const late = (): BedrockError =>
      new BedrockError('START_FAILED', `it took longer than bedrock.start_timeout_ms, ${timeoutMs} ms`);
    const inTime = <T>(promise: Promise<T>): Promise<T> =>
      withTimeout(
        untilAborted(promise, signal, () => startStopped(signal)),
        Math.max(0, timeoutMs - (performance.now() - begun)),
        late,
      );
    if (resolved.unavailable !== undefined)
      throw new BedrockError('LIBRARY_LOAD_FAILED', resolved.unavailable);
    const { definition } = resolved.registered;
    const dependencies = await inTime(this.#dependencies.all(resolved.dependencies));
    const making = Promise.resolve(definition.create(resolved.config, this.#context(dependencies)));
    const checked = making.then((made) => {
      checkProvider(made, type);
      return made;
    });
    const instance = await inTime(checked).catch((error: unknown) => {
      stopLate(making, this.logger);
      throw error;
    });
    this.instance = instance;
    try {
      this.routes = new RouteTable(instance.routes ?? [], `the provider type "${type}"`);
      await inTime(Promise.resolve(instance.start()));
      await inTime(this.#logRunning());
    } catch (error) {
      await this.#stop(this.#patienceMs(signal));
      // Its targets are closed, and no longer useful.
      this.instance = undefined;
      throw error;
    }
  }

  /** Stops it. Does nothing unless it is running. A failure is logged. @returns whether it stopped cleanly */
  async stop(): Promise<boolean> {
    if (this.state !== 'running') return true;
    this.state = 'stopping';
    const isClean = await this.#stop(this.#stopTimeoutMs);
    this.state = 'stopped';
    return isClean;
  }

  /** New requests no longer find it. Those that have found it before look it up again. */
  leaveService(): void {
    if (this.state === 'running') this.state = 'stopping';
  }

  /**
   * Ends it after `leaveService`. Requests in flight end first: they may take as long as at a stop
   * of the daemon, or until the signal is aborted. Its metrics are removed.
   * @returns whether it stopped cleanly
   */
  async retire(signal: AbortSignal): Promise<boolean> {
    if (this.state === 'failed') return true;
    const timeoutMs = this.#settings.drain_timeout_ms;
    const late = (): BedrockError =>
      new BedrockError('TIMEOUT', `${this.requests.inFlight} requests still ran after ${timeoutMs} ms`);
    const drained = untilAborted(this.requests.idle(), signal, () => startStopped(signal));
    await withTimeout(drained, timeoutMs, late).catch((error: unknown) => {
      this.logger.warning(`provider "${this.name}" is being removed, and ${messageOf(error)}`);
    });
    const gone = new BedrockError('PROVIDER_NOT_FOUND', `provider "${this.name}" was removed`);
    for (const served of this.#served) served?.space.endAll(gone);
    const isClean = await this.#stop(this.#stopTimeoutMs);
    this.state = 'stopped';
    await this.#metrics.forget();
    return isClean;
  }

  async #stop(timeoutMs: number): Promise<boolean> {
    try {
      await withTimeout(
        this.#endOperations().then(() => this.instance?.stop()),
        timeoutMs,
        () =>
          new BedrockError(
            'INTERNAL',
            `its stop had not ended after ${timeoutMs} ms (bedrock.drain_timeout_ms, and a second at least)`,
          ),
      );
      return true;
    } catch (error) {
      this.logger.error(`provider "${this.name}" did not stop cleanly: ${explain(error)}`);
      return false;
    } finally {
      await this.#dependencies.close(timeoutMs);
    }
  }

  async #endOperations(): Promise<void> {
    const stopping = new BedrockError('NOT_READY', `provider "${this.name}" is stopping`);
    await this.around.operations.cancelAll(stopping, this.name);
    await this.administration.idle();
  }

  /** Makes it use another dependency from now on: see `ProviderDependencies`. */
  useDependency(
    instance: Provider,
    name: string,
    found: ResolvedReference | readonly ResolvedReference[],
  ): Promise<void> {
    return this.#dependencies.use(instance, name, found);
  }

  get #settings(): DaemonSettings {
    return this.around.running.settings;
  }

  get #stopTimeoutMs(): number {
    return stopTimeoutMs(this.#settings);
  }

  /**
   * How long a provider that failed to start may take to stop. It has served nobody, and the caller
   * that aborted the signal is waiting.
   */
  #patienceMs(signal: AbortSignal | undefined): number {
    return signal?.aborted === true ? Math.min(ABORTED_STOP_MS, this.#stopTimeoutMs) : this.#stopTimeoutMs;
  }

  async #logRunning(): Promise<void> {
    const looks = await Promise.allSettled(this.targets.map((target) => checkedTarget(target).stats()));
    const targets = looks.flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []));
    for (const look of looks) {
      if (look.status === 'fulfilled') continue;
      if (!INCOMPLETE.has(asBedrockError(look.reason).code)) throw look.reason;
      this.logger.warning(explain(look.reason));
    }
    for (const { recovery } of targets) {
      if (recovery.regions + recovery.quarantined === 0) continue;
      const lost = recovery.quarantined === 0 ? '' : `, ${recovery.quarantined} damaged ones set aside`;
      this.logger.info(`Recovered ${recovery.regions} existing regions${lost}`, { ...recovery });
    }
    const kinds = targets.map(({ type, mode }) => `${type} (${mode})`).join(', ');
    this.logger.info(`provider "${this.name}" is up${kinds === '' ? '' : `: ${kinds}`}`);
  }

  #context(dependencies: Dependencies): ProviderContext {
    const { clock, running } = this.around;
    const { name, providerId, tags, logger } = this;
    const context: BackendContext = {
      providerName: name,
      providerId,
      tags,
      logger,
      clock,
      metrics: this.#metrics,
      dependencies,
      baseDirectory: running.directory,
    };
    return {
      ...context,
      remoteOptions: (address) => this.around.among.remoteOptions(address, 'migration'),
      createTarget: (type, config, more) =>
        createTarget(this.#registry, type, config, { ...context, ...more }),
    };
  }
}

async function createTarget(
  registry: TypeRegistry,
  type: string,
  config: Record<string, unknown>,
  context: BackendContext,
): Promise<Target> {
  const registered = registry.backend(type);
  if (registered === undefined) throw new BedrockError('CONFIG_INVALID', registry.unknown('backend', type));
  return makeTarget(registered.definition, config, context);
}

/**
 * Stops a provider that was created after its time-out, or that cannot be used, so that it releases
 * what it took.
 */
function stopLate(making: Promise<Provider>, logger: Logger): void {
  making
    .then((provider) => provider.stop())
    .catch((error: unknown) => {
      logger.debug(`what was created too late, or is not a provider, did not stop: ${messageOf(error)}`);
    });
}
