/**
 * A running daemon: listens, starts its providers, serves, stops.
 *
 * Order: listen (requests get NOT_READY) -> start the providers in the order of the configuration -> ready. Stopping: no new
 * requests -> those in flight end -> stop the providers in reverse. A failed start closes what was opened.
 */
import { isIP } from 'node:net';
import path from 'node:path';
import type { Container } from 'inversify';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { explain, messageOf } from '../base/errors.js';
import type { LogFile } from '../base/log-file.js';
import type { Logger } from '../base/logging.js';
import { isRecord, plainOf } from '../base/plain.js';
import type { ResolvedConfig } from '../config/resolved-config.js';
import type {
  MigrateRequest,
  ProviderState,
  RestoreRequest,
  SnapshotRequest,
} from '../contract/provider-state.js';
import type { Target } from '../contract/target.js';
import { registerHttpMetrics } from '../http/http-metrics.js';
import { HttpServer } from '../http/server.js';
import { TOKENS } from '../library/container.js';
import type { TypeRegistry } from '../library/registry.js';
import { formatAddress, formatHostPort } from '../net/address.js';
import { registerRespMetrics } from '../resp/resp-metrics.js';
import type { RespServer } from '../resp/server.js';
import { migrate, restore, snapshot } from '../runtime/administration.js';
import { registerDaemonMetrics, registerDescriptorShortages } from '../runtime/daemon-metrics.js';
import { ProviderManager } from '../runtime/provider-manager.js';
import { DescriptorWatch } from './descriptor-watch.js';

export interface ProviderSummary {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly state: ProviderState;
  readonly targets: readonly Target[];
}

export interface DaemonParts {
  container: Container;
  config: ResolvedConfig;
  registry: TypeRegistry;
  version: string;
  /** Whether to listen; a program may do without. */
  listen: boolean;
  /** Ends the start. */
  signal?: AbortSignal | undefined;
  /** Where the log goes, if that is a file of the daemon's own. */
  logFile?: LogFile | undefined;
}

export class Daemon {
  readonly #logger: Logger;
  readonly #manager: ProviderManager;
  readonly #server: HttpServer | undefined;
  #respServer: RespServer | undefined;
  readonly #descriptors: DescriptorWatch;
  readonly #resolved: ResolvedConfig;
  readonly #config: BedrockConfig;
  readonly #logFile: LogFile | undefined;
  #address: string | undefined;
  #closing: Promise<void> | undefined;
  #markClosed!: (isClean: boolean) => void;

  /** Resolves when the daemon has stopped, whoever asked for it: whether every provider stopped cleanly. */
  readonly closed = new Promise<boolean>((resolve) => (this.#markClosed = resolve));

  private constructor(parts: DaemonParts) {
    const { container, config, registry, version } = parts;
    this.#logger = container.get<Logger>(TOKENS.Logger);
    this.#resolved = config;
    this.#config = structuredClone(config.json);
    this.#logFile = parts.logFile;
    this.#manager = new ProviderManager(container, config, registry);
    const metrics = container.get<MetricsRegistry>(TOKENS.Metrics);
    registerDaemonMetrics(metrics, this.#manager, this.#logger, version);
    const descriptors = new DescriptorWatch({ logger: this.#logger });
    this.#descriptors = descriptors;
    registerDescriptorShortages(metrics, () => descriptors.shortages);
    if (!parts.listen) return;
    const server = new HttpServer({
      address: config.address,
      settings: config.settings,
      providers: this.#manager,
      metrics,
      version,
      logger: this.#logger,
      config: () => this.config,
      directory: config.directory,
      shutdown: () => this.#shutDown('HTTP'),
    });
    this.#server = server;
    registerHttpMetrics(metrics, () => server.figures);
  }

  /** @throws START_FAILED */
  static async start(parts: DaemonParts): Promise<Daemon> {
    const daemon = new Daemon(parts);
    await daemon.#start(parts);
    return daemon;
  }

  async #start({ container, listen, signal, version }: DaemonParts): Promise<void> {
    const { warnings } = this.#resolved;
    for (const warning of warnings) this.#logger.warning(warning);
    if (this.#server !== undefined) await this.#listen(this.#server);
    try {
      if (listen) await this.#listenResp(version, container.get<MetricsRegistry>(TOKENS.Metrics));
      await this.#manager.start(signal);
    } catch (error) {
      await Promise.all([this.#server?.close(0), this.#respServer?.close(0)]);
      throw error;
    }
    if (listen) this.#descriptors.start();
    if (this.#server !== undefined) this.#server.isReady = true;
    if (this.#respServer !== undefined) this.#respServer.isServing = true;
    const running = this.#manager.all.filter(({ state }) => state === 'running').length;
    // Not the process that was launched: npm and npx pass no signal on that ends them at once.
    this.#logger.info(
      `ready: ${running} of ${this.#manager.all.length} providers are up, pid ${process.pid}`,
    );
  }

  async #listen(server: HttpServer): Promise<void> {
    const { address, bound } = await server.listen();
    this.#address = formatAddress(address);
    if (this.#config.margo?.mercury !== undefined) this.#config.margo.mercury.address = this.#address;
    this.#logger.info(`listening on ${this.#address}${bound}`);
    if (address.kind === 'tcp') this.#warnIfOpen(address.host);
  }

  /** The Redis door is loaded only where it is asked for: a daemon without it does not need its memory. */
  async #listenResp(version: string, metrics: MetricsRegistry): Promise<void> {
    const { respAddress, settings } = this.#resolved;
    if (respAddress === undefined || settings.resp === undefined) return;
    const { RespServer } = await import('../resp/server.js');
    const server = new RespServer({
      address: respAddress,
      settings: settings.resp,
      providers: this.#manager,
      version,
      logger: this.#logger,
      config: () => this.config,
      shutdown: () => this.#shutDown('the Redis protocol'),
    });
    this.#respServer = server;
    registerRespMetrics(metrics, () => server.figures);
    const { tcp, unix, bound } = await server.listen();
    const { resp } = this.#config.bedrock ?? {};
    if (tcp !== undefined) {
      const address = formatHostPort(tcp);
      if (resp !== undefined) resp.address = address;
      this.#logger.info(`listening on resp://${address}${bound}`);
      this.#warnIfOpen(tcp.host);
    }
    if (unix !== undefined) this.#logger.info(`listening on resp+unix:${unix}`);
  }

  #warnIfOpen(host: string): void {
    if (isLoopback(host)) return;
    this.#logger.warning(
      `${host} can be reached from other machines, and whoever reaches it can read and erase all regions`,
    );
  }

  /** The running configuration, in Bedrock's shape; a copy. */
  get config(): BedrockConfig {
    const config = structuredClone(this.#config);
    config.providers?.forEach((entry, index) => {
      // A provider may hand out its own object, or what cannot be read.
      const { config: settings = {} } = this.#manager.all[index] ?? {};
      const plain = plainOf(settings, { values: Infinity, characters: Infinity, depth: 100 });
      entry.config = isRecord(plain) ? plain : {};
    });
    return config;
  }

  /** Where it listens, with the real port; undefined if it does not. */
  get address(): string | undefined {
    return this.#address;
  }

  /** The providers, in the order of the configuration. */
  get providers(): readonly ProviderSummary[] {
    return this.#manager.all;
  }

  /**
   * A target, for direct calls.
   * @param provider name or provider_id
   * @param index number of the target, for providers with several
   * @throws PROVIDER_NOT_FOUND, INVALID_ARGUMENT, NOT_SUPPORTED
   */
  target(provider: string | number, index = 0): Target {
    return this.#manager.target(provider, index);
  }

  /**
   * Has a provider write its state to a folder. A relative path counts from the configuration's folder.
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, whatever the provider throws
   */
  snapshot(
    provider: string | number,
    {
      path: folder,
      options = {},
      removeSource = false,
    }: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>,
  ): Promise<void> {
    const request = { path: path.resolve(this.#resolved.directory, folder), options, removeSource };
    return snapshot(this.#manager.get(provider), request);
  }

  /** Has a provider read its state from a folder that `snapshot` wrote. @throws as snapshot */
  restore(
    provider: string | number,
    { path: folder, options = {} }: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>,
  ): Promise<void> {
    const request = { path: path.resolve(this.#resolved.directory, folder), options };
    return restore(this.#manager.get(provider), request);
  }

  /** Has a provider send its state to one of another daemon. @throws as snapshot */
  migrate(
    provider: string | number,
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
  ): Promise<void> {
    return migrate(this.#manager.get(provider), { options: {}, removeSource: false, ...request });
  }

  /**
   * Has a provider use another dependency from now on.
   * @param name its key in the configuration; its type must call it updatable
   * @param reference as it would stand in the configuration
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, DEPENDENCY_UNRESOLVED, whatever the provider throws
   */
  async changeDependency(
    provider: string | number,
    name: string,
    reference: string | readonly string[],
  ): Promise<void> {
    await this.#manager.changeDependency(provider, name, reference);
    const entry = this.#config.providers?.[this.#manager.all.indexOf(this.#manager.get(provider))];
    if (entry === undefined) return;
    entry.dependencies = {
      ...entry.dependencies,
      [name]: typeof reference === 'string' ? reference : [...reference],
    };
  }

  /** Says in the log that a signal came which does nothing here. */
  noteIgnored(signal: NodeJS.Signals): void {
    this.#logger.info(`${signal} is ignored; the inspector of Node.js stays shut`);
  }

  /**
   * Goes on with the file that `bedrock.log.file` names now, after a rotation by renaming. A file that cannot be opened leaves
   * everything as it is. What came of it is a line in the log.
   */
  async reopenLog(): Promise<void> {
    const file = this.#logFile;
    if (file === undefined) {
      this.#logger.info('there is no bedrock.log.file to open anew; the daemon goes on');
      return;
    }
    try {
      await file.reopen();
      this.#logger.info(`the log was opened anew: ${file.path}`);
    } catch (error) {
      this.#logger.error(`the log cannot be opened anew, and goes on where it was: ${messageOf(error)}`);
    }
  }

  #shutDown(door: string): void {
    this.#logger.info(`shutdown was asked for over ${door}`);
    void this.close();
  }

  /** Stops it: requests in flight end, providers stop in reverse. Does nothing the second time. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#logger.info('stopping');
    const drainMs = this.#resolved.settings.drain_timeout_ms;
    const isSilent = await this.#stopListening(drainMs);
    this.#descriptors.stop();
    const isStopped = await this.#manager.stop();
    const isClean = isSilent && isStopped;
    this.#logger.info(isClean ? 'stopped' : 'stopped, not cleanly');
    await this.#logFile?.close();
    this.#markClosed(isClean);
  }

  /** Whatever happens here, the providers must be stopped after it. @returns whether the listener closed without an error */
  async #stopListening(drainMs: number): Promise<boolean> {
    try {
      const drained = await Promise.all([this.#server?.close(drainMs), this.#respServer?.close(drainMs)]);
      if (drained.includes(false)) {
        this.#logger.warning(`requests still ran after ${drainMs} ms; their connections were closed`);
      }
      return true;
    } catch (error) {
      this.#logger.error(`the listener did not close cleanly: ${explain(error)}`);
      return false;
    }
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
