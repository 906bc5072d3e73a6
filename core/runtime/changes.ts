/**
 * Changes of a running daemon: providers, execution pools, execution streams, libraries,
 * dependencies.
 *
 * A change is an edit of a copy of the running configuration. The whole copy is resolved by the
 * code that resolves a file, with the same rules and messages. Then the differences are prepared,
 * and nobody sees them yet: libraries are loaded, providers are started, dependencies replaced. If
 * one of these fails, all are undone. A single step without a wait then makes the copy the running
 * configuration. From that step on, requests do not find the providers that it no longer has. These
 * stop when their requests in flight have ended.
 *
 * Changes are made one at a time, in the order of the requests. So what a change has checked
 * remains true until the change is made.
 */
import type { Container } from 'inversify';
import type {
  BedrockConfig,
  ExecutionPoolConfig,
  ExecutionStreamConfig,
  ProviderConfig,
} from '../../schemas/generated/bedrock.js';
import { BedrockError, explain, messageOf } from '../base/errors.js';
import type { LogThreshold } from '../base/log-levels.js';
import type { Logger } from '../base/logging.js';
import { withTimeout } from '../base/timeout.js';
import { type ConfigDocument, configFromObject } from '../config/document.js';
import { PRIMARY_POOL } from '../config/pools.js';
import { type Resolution, resolveConfig, type ResolveOptions, wholeName } from '../config/resolve.js';
import type { ProviderChange } from '../contract/provider-change.js';
import { administer } from './administration.js';
import type { ConfigFile } from './config-file.js';
import { type ChangedDependency, differenceOf } from './difference.js';
import { fixedDifferences } from './fixed-settings.js';
import type { ManagedProvider } from './managed-provider.js';
import { type ProviderManager, stoppedMeanwhile } from './provider-manager.js';
import type { RunningConfig } from './running-config.js';
import type { RunningProvider } from './running-provider.js';
import { Sequence } from './sequence.js';
import { usersOfPool, usersOfProvider } from './users.js';

/** Where the configuration came from, for a reload. */
export interface ConfigOrigin {
  /** Absent if it came from standard input or a program. */
  readonly file: ConfigFile | undefined;
  /** Settings that the command line or the program has overridden. */
  readonly overrides: Pick<ResolveOptions, 'address' | 'respAddress' | 'groupFile'>;
  /** Absent if the level of the log does not come from the configuration. */
  readonly setLogLevel: ((level: LogThreshold) => void) | undefined;
}

export interface ChangesParts {
  readonly origin: ConfigOrigin;
  readonly running: RunningConfig;
  readonly manager: ProviderManager;
  readonly container: Container;
  readonly logger: Logger;
}

/** Used in messages in place of the name of a file. */
const SOURCE = 'the running configuration with this change';

export class Changes {
  readonly #turn = new Sequence();
  readonly #stopping = new AbortController();

  constructor(private readonly parts: ChangesParts) {}

  get origin(): ConfigOrigin {
    return this.parts.origin;
  }

  /**
   * Starts a provider.
   * @param entry as in a configuration under `providers`
   * @param before name of the provider that it is put before; by default it is the last. Providers
   *   after it can depend on it
   * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, START_FAILED, NOT_READY,
   *   PROVIDER_NOT_FOUND for `before`
   */
  addProvider(entry: object, before?: string): Promise<RunningProvider> {
    return this.#inTurn(async () => {
      const { manager, running } = this.parts;
      const known = new Set(manager.all);
      const at = before === undefined ? running.current.providers.length : this.#indexOf(before);
      await this.#edit((config) => config.providers?.splice(at, 0, entry as ProviderConfig));
      const added = manager.all.find((provider) => !known.has(provider));
      if (added === undefined) throw new BedrockError('INTERNAL', 'the provider that was added is not there');
      return added;
    });
  }

  /**
   * Stops a provider when its requests in flight have ended, and removes it.
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND, CONFLICT if others depend on it or it is being administered,
   *   INTERNAL if it was removed but its stop failed
   */
  removeProvider(provider: string | number): Promise<void> {
    return this.#inTurn(async () => {
      const { manager, running } = this.parts;
      const managed = manager.get(provider);
      const { name } = managed;
      refuseUsed(`provider "${name}"`, usersOfProvider(running.current, name));
      manager.operations.refuseWhileBusy(name);
      if (managed.administration.isBusy) throw busy(managed);
      await this.#edit((config) => config.providers?.splice(this.#indexOf(name), 1));
    });
  }

  /**
   * Makes a provider use another execution pool, or other dependencies, from now on. Requests that
   * already wait are admitted by the execution pool that they wait in.
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND, NOT_READY, NOT_SUPPORTED, CONFLICT while an operation of the
   *   provider runs, CONFIG_INVALID, DEPENDENCY_UNRESOLVED, TIMEOUT, whatever the provider throws
   */
  async changeProvider(provider: string | number, change: ProviderChange): Promise<void> {
    const managed = this.parts.manager.get(provider);
    const { pool, dependencies = {} } = change;
    if (pool !== undefined && managed.resolved.dependencies.pool !== undefined)
      throw new BedrockError(
        'NOT_SUPPORTED',
        `provider "${managed.name}" has its execution pool as a dependency, and cannot change it while it runs`,
      );
    const make = (): Promise<void> =>
      this.#inTurn(() =>
        this.#edit((config) => {
          const entry = config.providers?.[this.#indexOf(managed.name)];
          if (entry === undefined) return;
          entry.dependencies = { ...entry.dependencies, ...(dependencies as Record<string, string>) };
          if (pool === undefined) return;
          entry.pool = pool;
          delete entry.dependencies.pool;
        }),
      );
    if (Object.keys(dependencies).length === 0) await make();
    else {
      this.parts.manager.operations.refuseWhileBusy(managed.name);
      // It first waits for its turn in the administration of this provider, so that changes of
      // other providers need not wait for that.
      await administer(managed, 'changeDependency', make);
    }
  }

  /**
   * Loads a library. Its types can be used from then on. Node.js cannot unload a module, so this
   * cannot be undone.
   * @param library a path, relative to the configuration's folder, or the name of a package;
   *   loading it again is not an error
   * @throws LIBRARY_LOAD_FAILED, CONFIG_INVALID
   */
  loadLibrary(library: string): Promise<void> {
    return this.#inTurn(async () => {
      const { running } = this.parts;
      const whole = wholeName(library, running.directory);
      const failedBefore = new Map(running.resolution.failedLibraries);
      failedBefore.delete(whole);
      await this.#edit((config) => addLibrary(config, whole), failedBefore);
    });
  }

  /** @param entry as in a configuration under `margo.argobots.pools` @throws CONFIG_INVALID */
  addExecutionPool(entry: object): Promise<void> {
    return this.#inTurn(() =>
      this.#edit((config) => {
        const pools = poolsOf(config);
        // The execution pool that always exists stays the last one, as in a file that does not list
        // it.
        const isLast = pools.at(-1)?.name === PRIMARY_POOL;
        pools.splice(pools.length - (isLast ? 1 : 0), 0, entry);
      }),
    );
  }

  /**
   * @throws NOT_FOUND, INVALID_ARGUMENT for the execution pool that always exists, CONFLICT if it
   *   is in use
   */
  removeExecutionPool(name: string): Promise<void> {
    return this.#inTurn(() => {
      const { current } = this.parts.running;
      if (name === PRIMARY_POOL)
        throw new BedrockError('INVALID_ARGUMENT', `the execution pool ${PRIMARY_POOL} always exists`);
      const at = indexIn(current.pools, name, 'execution pool');
      refuseUsed(`the execution pool "${name}"`, usersOfPool(current, name));
      return this.#edit((config) => poolsOf(config).splice(at, 1));
    });
  }

  /** @param entry as in a configuration under `margo.argobots.xstreams` @throws CONFIG_INVALID */
  addExecutionStream(entry: object): Promise<void> {
    return this.#inTurn(() => this.#edit((config) => streamsOf(config).push(entry as ExecutionStreamConfig)));
  }

  /** @throws NOT_FOUND */
  removeExecutionStream(name: string): Promise<void> {
    return this.#inTurn(() => {
      const streams = this.parts.running.current.json.margo?.argobots?.xstreams ?? [];
      const at = indexIn(streams, name, 'execution stream');
      return this.#edit((config) => streamsOf(config).splice(at, 1));
    });
  }

  /**
   * Reads the file again, and changes the running configuration to match it. If something in it
   * cannot change while the daemon runs, everything is refused, with all reasons, and nothing is
   * changed.
   * @param options.mustDiffer whether to do nothing if the file has not changed since it was last
   *   read, even if the running configuration has
   * @returns whether anything was done
   * @throws NOT_SUPPORTED without a file, CONFIG_INVALID and the other errors of a start, CONFLICT
   *   (details.reasons)
   */
  reload({
    mustDiffer = false,
    whenBegun,
  }: { mustDiffer?: boolean; whenBegun?: () => void } = {}): Promise<boolean> {
    return this.#inTurn(async () => {
      whenBegun?.();
      const { origin, running } = this.parts;
      const file = this.#file('to read again');
      const document = await file.read();
      if (mustDiffer && file.isAsLoaded(document)) return false;
      const resolution = await this.#resolve(document, origin.overrides);
      // Safe: no other change can have been made meanwhile.
      const reasons = fixedDifferences(running.current.json, resolution.config.json);
      await this.#carryOut(resolution, reasons, () => {
        file.adopt(document, resolution);
        origin.setLogLevel?.(resolution.config.settings.log.level);
      });
      return true;
    });
  }

  /**
   * Writes the running configuration into the file that the daemon was started with: what was
   * changed at run time, and nothing else.
   * @returns path of the file
   * @throws NOT_SUPPORTED without a file and for TOML, CONFLICT if the file was changed since it
   *   was read, or cannot be edited or written
   */
  save(): Promise<string> {
    return this.#inTurn(async () => {
      const { manager, origin, running } = this.parts;
      const file = this.#file('to write to');
      const settings = new Map<string, Record<string, unknown>>();
      for (const { name, changedConfig } of manager.managed)
        if (changedConfig !== undefined) settings.set(name, changedConfig);
      const { failedLibraries: failedBefore } = running.resolution;
      await file.save(running.current.json, settings, (document) =>
        this.#resolve(document, { ...origin.overrides, failedBefore }),
      );
      return file.path;
    });
  }

  /** @throws NOT_SUPPORTED */
  #file(purpose: string): ConfigFile {
    const { file } = this.parts.origin;
    if (file !== undefined) return file;
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the configuration came from standard input or a program, so there is no file ${purpose}`,
    );
  }

  /** Refuses further changes with NOT_READY, and gives up the one that is in progress. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Resolves when no change is in progress, but no later than after `timeoutMs`: a provider's code
   * may never return.
   */
  async idle(timeoutMs: number): Promise<void> {
    const late = (): BedrockError =>
      new BedrockError('TIMEOUT', 'a change of the configuration has not ended');
    await withTimeout(this.#turn.idle(), timeoutMs, late).catch((error: unknown) =>
      this.parts.logger.warning(explain(error)),
    );
  }

  /** Providers that would change or be removed, but are busy. */
  #busyReasons({ config }: Resolution, dependencies: readonly ChangedDependency[]): string[] {
    const { manager } = this.parts;
    return manager.managed
      .filter(
        (provider) =>
          !config.providers.some(({ name }) => name === provider.name) ||
          dependencies.some((change) => change.provider === provider),
      )
      .flatMap((provider) => {
        try {
          manager.operations.refuseWhileBusy(provider.name);
        } catch (error) {
          return messageOf(error);
        }
        return provider.administration.isBusy ? busy(provider).message : [];
      });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    // Checked again in the turn: by then, the daemon may be stopping.
    return this.#turn.run(async () => {
      if (this.#stopping.signal.aborted) throw stoppedMeanwhile();
      return change();
    });
  }

  /** Index of a provider in the running configuration. @throws PROVIDER_NOT_FOUND */
  #indexOf(provider: string): number {
    const { name } = this.parts.manager.get(provider);
    return this.parts.running.current.providers.findIndex((one) => one.name === name);
  }

  async #edit(
    edit: (config: BedrockConfig) => unknown,
    failedBefore = this.parts.running.resolution.failedLibraries,
  ): Promise<void> {
    const { running } = this.parts;
    const config = structuredClone(running.current.json);
    edit(config);
    const document = { ...configFromObject(config, running.directory), source: SOURCE };
    const resolution = await this.#resolve(document, { failedBefore });
    // Safe: no other change can have been made meanwhile.
    await this.#carryOut(resolution);
  }

  /** @throws NOT_READY when the daemon stops, whatever resolving a file throws */
  async #resolve(document: ConfigDocument, options: ResolveOptions): Promise<Resolution> {
    const { signal } = this.#stopping;
    return resolveConfig(document, this.parts.container, { ...options, signal }).catch((error: unknown) => {
      throw signal.aborted ? stoppedMeanwhile(error) : error;
    });
  }

  /**
   * Makes this the running configuration, or throws and leaves it unchanged.
   * @param reasons for a reload: the reasons known so far why it is impossible
   * @param adopted called in the step that makes it the running configuration
   */
  async #carryOut(resolution: Resolution, reasons?: readonly string[], adopted?: () => void): Promise<void> {
    const { running, manager, logger } = this.parts;
    const { signal } = this.#stopping;
    const { added, dependencies, refused } = differenceOf(manager.managed, resolution);
    if (reasons !== undefined)
      refuse([...reasons, ...refused, ...this.#busyReasons(resolution, dependencies)]);
    else if (refused.length > 0) throw new BedrockError('NOT_SUPPORTED', refused.join('; '));
    const prepared = await manager.prepare(resolution, added, signal);
    const changed: ChangedDependency[] = [];
    try {
      for (const change of dependencies) {
        const changing = (): Promise<void> => use(change, change.after);
        if (reasons === undefined) await changing();
        else {
          // Checked again: an operation or another change of the provider may have begun meanwhile.
          // It would wait for this turn, and this turn for it.
          refuse(this.#busyReasons(resolution, dependencies.slice(changed.length)));
          await administer(change.provider, 'changeDependency', changing);
        }
        changed.push(change);
      }
      if (signal.aborted) throw stoppedMeanwhile();
      // Checked again for the providers that are removed, in the step that removes them.
      refuse(this.#busyReasons(resolution, []));
    } catch (error) {
      for (const change of changed.reverse())
        await use(change, change.before).catch((failure: unknown) =>
          logger.error(
            `provider "${change.provider.name}" did not take its dependency "${change.name}" back: ${explain(failure)}`,
          ),
        );
      await manager.drop(prepared);
      throw error;
    }
    // In one step: everybody sees the configuration either before or after the change.
    const known = new Set(running.current.warnings);
    const gone = manager.adopt(resolution, prepared);
    running.adopt(resolution);
    adopted?.();
    for (const warning of resolution.config.warnings) if (!known.has(warning)) logger.warning(warning);
    const unclean: string[] = [];
    for (const provider of gone) {
      // Safe: requests no longer find it, and those in flight at it are counted.
      if (!(await provider.retire(signal))) unclean.push(`"${provider.name}"`);
      logger.info(`provider "${provider.name}" is being removed`);
    }
    if (unclean.length > 0)
      throw new BedrockError(
        'INTERNAL',
        `${unclean.join(', ')} was removed, but did not stop cleanly; the log says why, and files may still be in use`,
      );
  }
}

/** @throws CONFLICT */
function refuse(reasons: readonly string[]): void {
  if (reasons.length === 0) return;
  throw new BedrockError('CONFLICT', `nothing was changed: ${reasons.join('; ')}`, {
    details: { reasons: [...reasons] },
  });
}

function use({ provider, name }: ChangedDependency, references: ChangedDependency['after']): Promise<void> {
  const { instance } = provider;
  if (instance === undefined) throw new BedrockError('NOT_READY', `provider "${provider.name}" does not run`);
  return provider.useDependency(instance, name, references);
}

function addLibrary(config: BedrockConfig, library: string): void {
  const { libraries = [] } = config;
  if (Object.values(libraries).includes(library)) return;
  if (Array.isArray(libraries)) {
    config.libraries = [...libraries, library];
    return;
  }
  let number = Object.keys(libraries).length;
  while (Object.hasOwn(libraries, `library_${number}`)) number++;
  config.libraries = { ...libraries, [`library_${number}`]: library };
}

/** These lists of a resolved configuration always exist. */
function poolsOf({ margo }: BedrockConfig): ExecutionPoolConfig[] {
  return margo?.argobots?.pools ?? [];
}

function streamsOf({ margo }: BedrockConfig): ExecutionStreamConfig[] {
  return margo?.argobots?.xstreams ?? [];
}

/** @throws NOT_FOUND */
function indexIn(list: readonly { readonly name?: string }[], name: string, what: string): number {
  const at = list.findIndex((one) => one.name === name);
  if (at >= 0) return at;
  const known = list.map((one) => one.name).join(', ');
  throw new BedrockError('NOT_FOUND', `no ${what} "${name}"; there are: ${known === '' ? 'none' : known}`);
}

/** @throws CONFLICT */
function refuseUsed(what: string, users: readonly string[]): void {
  if (users.length === 0) return;
  throw new BedrockError('CONFLICT', `${what} cannot be removed, as it is used by ${users.join(', ')}`, {
    details: { users: [...users] },
  });
}

function busy({ name }: ManagedProvider): BedrockError {
  return new BedrockError(
    'CONFLICT',
    `provider "${name}" is busy with a change of its dependencies; wait until it has ended`,
  );
}
