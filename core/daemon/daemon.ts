/**
 * A running daemon, and the interface to it for programs: it starts the doors and the providers in
 * order, and stops them. The doors (`doors.ts`) listen and serve; `core/runtime` makes changes and
 * runs operations.
 *
 * Start: listen (requests get NOT_READY) -> start the providers in the order of the
 * configuration -> ready. Stop: refuse new requests -> wait until requests in flight have ended ->
 * stop the providers in reverse order. A failed start closes what it has opened.
 */
import type { Container } from 'inversify';
import type { Registry as MetricsRegistry } from 'prom-client';
import type {
  BedrockConfig,
  ExecutionPoolConfig,
  ExecutionStreamConfig,
  ProviderConfig,
} from '../../schemas/generated/bedrock.js';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { LogFile } from '../base/log-file.js';
import type { Logger } from '../base/logging.js';
import type { Resolution } from '../config/resolve.js';
import type { OperationStatus } from '../contract/operation.js';
import type {
  MigrateRequest,
  ProviderState,
  RestoreRequest,
  SnapshotRequest,
} from '../contract/provider-state.js';
import type { ProviderChange } from '../contract/provider-change.js';
import type { Target } from '../contract/target.js';
import { TOKENS } from '../library/tokens.js';
import { Queries } from '../query/queries.js';
import { Changes, type ConfigOrigin } from '../runtime/changes.js';
import { registerDaemonMetrics, registerDescriptorShortages } from '../runtime/daemon-metrics.js';
import { ProviderManager } from '../runtime/provider-manager.js';
import { RunningConfig } from '../runtime/running-config.js';
import type { InheritedSockets } from '../net/inherited-sockets.js';
import type { Access } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import { DescriptorWatch } from './descriptor-watch.js';
import { Doors } from './doors.js';
import { GroupFile, type GroupMember, groupMembers } from './group-file.js';
import { closeGuards, type Guards, openGuards } from './guards.js';
import { HangUp } from './hang-up.js';
import { runOperation } from './run-operation.js';

/** The present state of a provider of this daemon. */
export interface ProviderSummary {
  /** Name in the configuration. */
  readonly name: string;
  /** Provider type. */
  readonly type: string;
  /** Its `provider_id`. */
  readonly providerId: number;
  /** Free labels of the configuration. */
  readonly tags: readonly string[];
  /** State between start and stop. */
  readonly state: ProviderState;
  /** Its targets; empty for a provider that is not a blob store. */
  readonly targets: readonly Target[];
}

/** Options of a call that is an operation. */
export interface OperationCall {
  /**
   * Aborting it cancels the operation: the call then ends with ABORTED, unless the operation is
   * already done.
   */
  signal?: AbortSignal;
}

export interface DaemonParts {
  container: Container;
  resolution: Resolution;
  version: string;
  /** Whether to listen; a program may not need it. */
  listen: boolean;
  /** Those that the service manager listens on. */
  sockets?: InheritedSockets | undefined;
  /** Aborting it ends the start. */
  signal?: AbortSignal | undefined;
  /** The log file, if the daemon has one of its own. */
  logFile?: LogFile | undefined;
  /** Where the configuration came from. */
  origin: ConfigOrigin;
}

/** A running daemon, as returned by `bootstrap`. */
export class Daemon {
  readonly #logger: Logger;
  readonly #manager: ProviderManager;
  /** Undefined in a program that does not listen. */
  readonly #doors: Doors | undefined;
  readonly #descriptors: DescriptorWatch;
  readonly #config: RunningConfig;
  readonly #changes: Changes;
  readonly #queries: Queries;
  #groupFile: GroupFile | undefined;
  /** Who may use the daemon; undefined: everybody. */
  readonly #access: Access | undefined;
  readonly #audit: AuditLog | undefined;
  readonly #logFile: LogFile | undefined;
  readonly #hangUp: HangUp;
  #closing: Promise<void> | undefined;
  #hasFailed = false;
  #markClosed!: (isClean: boolean) => void;

  /** Resolves when the daemon has stopped, for any reason: true if every provider stopped cleanly. */
  readonly closed = new Promise<boolean>((resolve) => (this.#markClosed = resolve));

  private constructor(parts: DaemonParts, { access, audit }: Guards) {
    const { container, resolution, version } = parts;
    this.#access = access;
    this.#audit = audit;
    const { config } = resolution;
    this.#logger = container.get<Logger>(TOKENS.Logger);
    this.#config = new RunningConfig(resolution);
    this.#queries = new Queries(config.settings.query, () => this.config);
    this.#logFile = parts.logFile;
    this.#manager = new ProviderManager(container, this.#config);
    this.#changes = new Changes({
      origin: parts.origin,
      running: this.#config,
      manager: this.#manager,
      container,
      logger: this.#logger,
    });
    const metrics = container.get<MetricsRegistry>(TOKENS.Metrics);
    registerDaemonMetrics(metrics, this.#manager, this.#logger, version);
    const descriptors = new DescriptorWatch({ logger: this.#logger });
    this.#descriptors = descriptors;
    registerDescriptorShortages(metrics, () => descriptors.shortages);
    if (parts.listen) {
      this.#doors = new Doors({
        running: this.#config,
        manager: this.#manager,
        changes: this.#changes,
        queries: this.#queries,
        metrics,
        clock: container.get<Clock>(TOKENS.Clock),
        logger: this.#logger,
        version,
        access,
        audit,
        sockets: parts.sockets,
        shutdown: (door) => this.#shutDown(door),
      });
    }
    this.#hangUp = new HangUp({
      logger: this.#logger,
      changes: this.#changes,
      logFile: parts.logFile,
      access,
      audit,
      doors: this.#doors,
    });
  }

  /**
   * @internal Called by `bootstrap`.
   * @throws START_FAILED, CONFIG_INVALID if the tokens cannot be read
   */
  static async start(parts: DaemonParts): Promise<Daemon> {
    const guards = parts.listen ? await openGuards(parts) : {};
    try {
      const daemon = new Daemon(parts, guards);
      await daemon.#start(parts);
      return daemon;
    } catch (error) {
      await closeGuards(guards);
      throw error;
    }
  }

  async #start({ signal }: DaemonParts): Promise<void> {
    for (const warning of this.#config.start.warnings) this.#logger.warning(warning);
    const doors = this.#doors;
    await doors?.listen();
    try {
      await this.#manager.start(signal);
    } catch (error) {
      await doors?.abandon();
      throw error;
    }
    if (doors !== undefined) this.#descriptors.start();
    doors?.open();
    await this.#writeGroupFile();
    const running = this.#manager.all.filter(({ state }) => state === 'running').length;
    // The pid is logged since it may not be that of the launched process: npm and npx do not
    // forward a signal that ends them at once.
    this.#logger.info(
      `ready: ${running} of ${this.#manager.all.length} providers are up, pid ${process.pid}`,
    );
  }

  /** Writes the group file, when the daemon is ready. @throws START_FAILED */
  async #writeGroupFile(): Promise<void> {
    const { group_file: file } = this.#config.settings;
    const address = this.#doors?.address;
    if (file === undefined || address === undefined) return;
    const group = new GroupFile(file);
    this.#groupFile = group;
    const members = (): GroupMember[] =>
      groupMembers(address, this.#manager.all, this.#config.settings.provider_id);
    // Set before the first write: requests are already served, and a change may be made meanwhile.
    this.#config.onAdopted = () =>
      void group.write(members()).catch((error: unknown) => this.#logger.error(messageOf(error)));
    try {
      await group.write(members());
    } catch (error) {
      this.#config.onAdopted = undefined;
      this.#descriptors.stop();
      // Requests are already served, and may have begun a change.
      this.#changes.stop();
      await this.#doors?.close(0);
      await this.#changes.idle(1000);
      await this.#manager.stop();
      throw error;
    }
  }

  /** The running configuration in Bedrock's form; a copy. */
  get config(): BedrockConfig {
    return this.#config.print(this.#manager.all);
  }

  /**
   * Evaluates a JSONata expression on the running configuration, in a thread of its own.
   * @returns its result, as parsed JSON; without an expression the whole configuration
   * @throws INVALID_ARGUMENT (the expression is wrong; details.position), QUERY_TOO_COSTLY
   *   (details.setting), OVERLOADED, NOT_READY
   */
  async query(expression?: string): Promise<unknown> {
    if (expression === undefined) return this.config;
    return JSON.parse(await this.#queries.run(expression)) as unknown;
  }

  /** Address of the HTTP door, with the real port; undefined if it does not listen. */
  get address(): string | undefined {
    return this.#doors?.address;
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
   * Makes a provider save its data to a folder. A relative path is relative to the configuration's folder.
   * @returns the operation, when it is done
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, CONFLICT (another operation runs on the
   *   provider), ABORTED (cancelled), any error of the provider
   */
  snapshot(
    provider: string | number,
    request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>,
    call: OperationCall = {},
  ): Promise<OperationStatus> {
    return runOperation(this.#manager, 'snapshot', provider, request, call.signal);
  }

  /** Makes a provider restore its data from a folder that `snapshot` wrote. @returns, @throws as snapshot */
  restore(
    provider: string | number,
    request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>,
    call: OperationCall = {},
  ): Promise<OperationStatus> {
    return runOperation(this.#manager, 'restore', provider, request, call.signal);
  }

  /** Makes a provider send its data to a provider of another daemon. @returns, @throws as snapshot */
  migrate(
    provider: string | number,
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
    call: OperationCall = {},
  ): Promise<OperationStatus> {
    return runOperation(this.#manager, 'migrate', provider, request, call.signal);
  }

  /** The snapshots, restores and migrations that run, and the last 100 that ended; the newest first. */
  get operations(): readonly OperationStatus[] {
    return this.#manager.operations.list();
  }

  /**
   * Cancels an operation, without waiting for its end: its state tells when it has ended. Does
   * nothing if it has already ended.
   * @throws NOT_FOUND
   */
  cancelOperation(id: string): void {
    this.#manager.operations.get(id).cancel(new BedrockError('ABORTED', 'it was cancelled'));
  }

  /**
   * Makes a provider use another dependency from now on.
   * @param name its key in the configuration; its type must declare it updatable
   * @param reference as in the configuration
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, CONFLICT (an operation runs),
   *   DEPENDENCY_UNRESOLVED, any error of the provider
   */
  changeDependency(
    provider: string | number,
    name: string,
    reference: string | readonly string[],
  ): Promise<void> {
    return this.#changes.changeProvider(provider, { dependencies: { [name]: reference } });
  }

  /**
   * Starts another provider. With `before`, the name or provider_id of another one, it is added
   * before that one, which can then depend on it; otherwise at the end.
   * @param entry as in a configuration under `providers`
   * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, START_FAILED, NOT_READY;
   *   nothing has changed then
   */
  addProvider(entry: ProviderConfig, { before }: { before?: string } = {}): Promise<ProviderSummary> {
    return this.#changes.addProvider(entry, before);
  }

  /**
   * Stops and removes a provider when its requests in flight have ended, or after
   * `bedrock.drain_timeout_ms`. Its stored data is kept.
   * @throws PROVIDER_NOT_FOUND, NOT_READY, CONFLICT if others depend on it; INTERNAL if it was
   *   removed, but did not stop cleanly
   */
  removeProvider(provider: string | number): Promise<void> {
    return this.#changes.removeProvider(provider);
  }

  /**
   * Makes a provider use another execution pool, or other dependencies, from now on; all changes
   * are made or none.
   * @throws as changeDependency, CONFIG_INVALID
   */
  changeProvider(provider: string | number, change: ProviderChange): Promise<void> {
    return this.#changes.changeProvider(provider, change);
  }

  /**
   * Loads a library. Node.js cannot unload a module, so it stays loaded until the daemon ends.
   * @param library a path, relative to the configuration's folder, or the name of a package;
   *   loading it again is not an error
   * @throws LIBRARY_LOAD_FAILED, NOT_READY
   */
  loadLibrary(library: string): Promise<void> {
    return this.#changes.loadLibrary(library);
  }

  /** Adds an execution pool, as an entry of `margo.argobots.pools`. @throws CONFIG_INVALID, NOT_READY */
  addExecutionPool(entry: ExecutionPoolConfig): Promise<void> {
    return this.#changes.addExecutionPool(entry);
  }

  /**
   * @throws NOT_FOUND, NOT_READY, INVALID_ARGUMENT for `__primary__`, CONFLICT if it is in use,
   *   which names the users
   */
  removeExecutionPool(name: string): Promise<void> {
    return this.#changes.removeExecutionPool(name);
  }

  /** Adds an execution stream, as an entry of `margo.argobots.xstreams`. @throws CONFIG_INVALID, NOT_READY */
  addExecutionStream(entry: ExecutionStreamConfig): Promise<void> {
    return this.#changes.addExecutionStream(entry);
  }

  /** @throws NOT_FOUND, NOT_READY */
  removeExecutionStream(name: string): Promise<void> {
    return this.#changes.removeExecutionStream(name);
  }

  /**
   * Reads the file that the daemon was started with again, and changes the running configuration to
   * match it: changes that were made at run time and not saved are undone.
   * @throws NOT_SUPPORTED without a file, CONFIG_INVALID, LIBRARY_LOAD_FAILED,
   *   DEPENDENCY_UNRESOLVED, START_FAILED, NOT_READY; CONFLICT if it differs in what cannot change
   *   while the daemon runs (details.reasons). Nothing has changed then
   */
  async reload(): Promise<void> {
    await this.#changes.reload();
  }

  /**
   * Writes the running configuration into the file that the daemon was started with. Only what was
   * changed at run time is written, so that comments stay.
   * @returns path of the file
   * @throws NOT_SUPPORTED without a file and for TOML; CONFLICT if the file was changed since it
   *   was read, or cannot be edited or written
   */
  saveConfig(): Promise<string> {
    return this.#changes.save();
  }

  /**
   * What SIGHUP does: opens the log again, reads the tokens and the certificates of bedrock.tls
   * again, and reads the configuration again if its file has changed. The result is logged.
   */
  async hangUp(): Promise<void> {
    await this.#hangUp.run();
  }

  /** Logs a signal that has no effect here. */
  noteIgnored(signal: NodeJS.Signals): void {
    this.#logger.info(`${signal} is ignored; the inspector of Node.js stays shut`);
  }

  /**
   * Continues with the file that `bedrock.log.file` now names, after a rotation by rename. If that
   * file cannot be opened, nothing changes. The result is logged.
   */
  async reopenLog(): Promise<void> {
    await this.#hangUp.reopenLog();
  }

  /**
   * Stops the daemon as `close` does, because an unexpected error has left its state unknown. It
   * then counts as not stopped cleanly.
   */
  fail(reason: string): Promise<void> {
    this.#hasFailed = true;
    this.#logger.critical(`${reason}; the daemon stops, because its state is unknown after that`);
    return this.close();
  }

  #shutDown(door: string): void {
    this.#logger.info(`shutdown was requested over ${door}`);
    void this.close();
  }

  /**
   * Stops the daemon: requests in flight end, providers stop in reverse order. A second call does
   * nothing.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#logger.info('stopping');
    // Cancelled first, since their requests would delay the doors. Not awaited: the stop of each
    // provider waits for its own operations.
    void this.#manager.operations.cancelAll(new BedrockError('NOT_READY', 'the daemon is stopping'));
    // Refused first: requests that wait for a change end with it.
    this.#changes.stop();
    const drainMs = this.#config.settings.drain_timeout_ms;
    await this.#groupFile?.remove();
    const isSilent = (await this.#doors?.close(drainMs)) ?? true;
    this.#descriptors.stop();
    await this.#changes.idle(Math.max(drainMs, 1000));
    await this.#queries.close();
    const isStopped = await this.#manager.stop();
    const isClean = isSilent && isStopped && !this.#hasFailed;
    await closeGuards({ access: this.#access, audit: this.#audit });
    this.#logger.info(isClean ? 'stopped' : 'stopped, not cleanly');
    await this.#logFile?.close();
    this.#markClosed(isClean);
  }
}
