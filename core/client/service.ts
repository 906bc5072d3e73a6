/**
 * A daemon in another process: its configuration, providers and targets, as a program uses them.
 *
 * What was fetched changes only with `refresh`, and with changes that this connection makes. How
 * requests are sent is up to the transport of the protocol.
 */
import type {
  BedrockConfig,
  ExecutionPoolConfig,
  ExecutionStreamConfig,
  ProviderConfig,
} from '../../schemas/generated/bedrock.js';
import { BedrockError, invalid } from '../base/errors.js';
import type { DaemonStatus } from '../contract/daemon-status.js';
import type { OperationStatus } from '../contract/operation.js';
import type {
  CallOptions,
  RemoteOperation,
  RemoteProvider,
  RemoteProviderHandle,
  RemoteTarget,
} from '../contract/remote-provider.js';
import type { ProviderChange } from '../contract/provider-change.js';
import type { TargetStats } from '../contract/target.js';
import { parseServiceUrl, type ServiceUrl } from '../net/service-url.js';
import { checkedToken } from '../security/token.js';
import { type ConnectOptions, ofTheWhole } from './remote/call-options.js';
import type { DaemonRequest, Transport } from './remote/transport.js';
import { ServiceOperation } from './operation.js';
import { ServiceProvider } from './service-provider.js';

/**
 * A connection to a daemon, returned by `connect`: the daemon's configuration, its providers and
 * their targets.
 */
export class Service {
  #config: BedrockConfig = {};
  #providers: readonly RemoteProvider[] = [];

  private constructor(private readonly transport: Transport) {}

  /** @internal See `connect`. */
  static async connect(url: string, options: ConnectOptions & CallOptions = {}): Promise<Service> {
    const { connections, progressTimeoutMs, tls, token } = options;
    const tokens = token === undefined ? undefined : tokenSource(token);
    const whole = ofTheWhole(options);
    const how = {
      ...(connections !== undefined && { connections }),
      ...(progressTimeoutMs !== undefined && { progressTimeoutMs }),
      ...(tls !== undefined && { tls }),
      ...(tokens !== undefined && { token: tokens }),
      ...whole,
    };
    const service = new Service(await transportTo(parseServiceUrl(url), how));
    try {
      await service.refresh(whole);
    } catch (error) {
      await service.close();
      throw error;
    }
    return service;
  }

  /** URL of the daemon. */
  get url(): string {
    return this.transport.url;
  }

  /**
   * The daemon's running configuration, as of the last refresh; empty for a token without the scope
   * admin.
   */
  get config(): BedrockConfig {
    return this.#config;
  }

  /** The daemon's providers, as of the last refresh. */
  get providers(): readonly RemoteProvider[] {
    return this.#providers;
  }

  /** Fetches the configuration and the providers again. */
  async refresh(call: CallOptions = {}): Promise<void> {
    const [config, { providers }] = await Promise.all([
      this.#configIfAllowed(call),
      this.transport.providers(call),
    ]);
    this.#config = config;
    this.#providers = providers.map(({ provider_id, ...provider }) => ({
      ...provider,
      providerId: provider_id,
    }));
  }

  /**
   * @internal Asks the daemon whether it still has a provider, and that runs. Nothing that was
   * fetched changes.
   * @returns why not; undefined if it has
   * @throws UNREACHABLE, TIMEOUT and the like
   */
  async whyGone(name: string, call: CallOptions): Promise<string | undefined> {
    const { providers } = await this.transport.providers(call);
    const found = providers.find((provider) => provider.name === name);
    if (found === undefined) return `${this.url} has no provider "${name}" any more`;
    return found.state === 'running' ? undefined : `it is ${found.state} at ${this.url}`;
  }

  async #configIfAllowed(call: CallOptions): Promise<BedrockConfig> {
    try {
      return await this.transport.config(call);
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'PERMISSION_DENIED') return {};
      throw error;
    }
  }

  /**
   * Has the daemon evaluate a JSONata expression on its running configuration. docs/query.md has
   * examples.
   * @returns what the expression gives, null if that is nothing; without an expression the whole
   * configuration, as of now
   * @throws INVALID_ARGUMENT (the expression is wrong; details.position), QUERY_TOO_COSTLY
   * (details.setting), OVERLOADED, UNREACHABLE, TIMEOUT, ABORTED
   */
  query(expression?: string, call: CallOptions = {}): Promise<unknown> {
    return expression === undefined ? this.transport.config(call) : this.transport.query(expression, call);
  }

  /**
   * Returns a target of the daemon.
   * @param provider name or provider_id
   * @param index number of the target, for providers with several
   * @throws PROVIDER_NOT_FOUND, INVALID_ARGUMENT, NOT_SUPPORTED
   */
  target(provider: string | number, index = 0): RemoteTarget {
    const found = this.#provider(provider);
    const description = found.targets[index];
    if (description !== undefined) return this.transport.target({ provider: found.name, index }, description);
    if (found.targets.length === 0) {
      throw new BedrockError(
        'NOT_SUPPORTED',
        `provider "${found.name}" is of type ${found.type}, which holds no regions`,
      );
    }
    throw invalid(`provider "${found.name}" has no target ${index}; the last is ${found.targets.length - 1}`);
  }

  /**
   * Returns a provider of the daemon, for its own routes, snapshots and so on.
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND
   */
  provider(provider: string | number): RemoteProviderHandle {
    const found = this.#provider(provider);
    const targets = found.targets.map((_target, index) => this.target(found.name, index));
    return new ServiceProvider(this.transport, found, targets);
  }

  /** State and statistics of a target. */
  stats(provider: string | number, index = 0, call: CallOptions = {}): Promise<TargetStats> {
    return this.target(provider, index).stats(call);
  }

  /**
   * What the daemon does at the moment: its process, providers, targets, execution pools, doors and
   * operations.
   */
  status(call: CallOptions = {}): Promise<DaemonStatus> {
    return this.transport.status(call);
  }

  /**
   * @internal The reasons why the daemon is not ready, as its health check tells them; none if it
   * is.
   */
  whyNotReady(call: CallOptions = {}): Promise<readonly string[]> {
    return this.transport.whyNotReady(call);
  }

  /** The snapshots, restores and migrations that run, and the last 100 that ended; the newest first. */
  async operations(call: CallOptions = {}): Promise<readonly OperationStatus[]> {
    return (await this.transport.operations(call)).operations;
  }

  /** An operation of the daemon, by its ID. Nothing is sent until one of its methods is called. */
  operation(id: string): RemoteOperation {
    return new ServiceOperation(this.transport, id);
  }

  /**
   * Has the daemon start another provider; `config` and `providers` then show it. With `before`,
   * the name or provider_id of another one, it stands before that one, which can depend on it then;
   * otherwise it is the last.
   * @param entry as in a configuration under `providers`
   * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, START_FAILED; nothing has
   * changed then
   */
  async addProvider(
    entry: ProviderConfig,
    { before, ...call }: CallOptions & { before?: string | number } = {},
  ): Promise<RemoteProvider> {
    const place = before === undefined ? undefined : String(before);
    const added = await this.#control(
      {
        http: {
          method: 'POST',
          path: '/v1/providers',
          json: entry,
          ...(place !== undefined && { query: { before: place } }),
        },
        resp: [
          'BEDROCK.PROVIDER',
          'ADD',
          JSON.stringify(entry),
          ...(place === undefined ? [] : ['BEFORE', place]),
        ],
      },
      call,
    );
    return this.#provider((added as { name: string }).name);
  }

  /**
   * Has the daemon stop and remove a provider, after the requests in flight at it.
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND, CONFLICT if others depend on it; INTERNAL if it is removed, but did
   * not stop cleanly
   */
  async removeProvider(provider: string | number, call: CallOptions = {}): Promise<void> {
    const name = this.#nameOf(provider);
    await this.#control(
      { http: { method: 'DELETE', path: `/v1/providers/${name}` }, resp: ['BEDROCK.PROVIDER', 'RM', name] },
      call,
    );
  }

  /**
   * Has a provider use another execution pool, or other dependencies, from now on; all of it or
   * nothing.
   * @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, CONFIG_INVALID, DEPENDENCY_UNRESOLVED, any error of
   * the provider
   */
  async changeProvider(
    provider: string | number,
    { pool, dependencies }: ProviderChange,
    call: CallOptions = {},
  ): Promise<void> {
    const name = this.#nameOf(provider);
    const json = {
      ...(pool !== undefined && { pool }),
      ...(dependencies !== undefined && { dependencies }),
    };
    await this.#control(
      {
        http: { method: 'PATCH', path: `/v1/providers/${name}`, json },
        resp: ['BEDROCK.PROVIDER', 'SET', name, JSON.stringify(json)],
      },
      call,
    );
  }

  /**
   * Has the daemon load a library, which stays until the daemon ends.
   * @param library a path on the daemon's machine, relative to its configuration's folder, or the
   * name of a package
   * @throws LIBRARY_LOAD_FAILED
   */
  async loadLibrary(library: string, call: CallOptions = {}): Promise<void> {
    await this.#control(
      {
        http: { method: 'POST', path: '/v1/libraries', json: { library } },
        resp: ['BEDROCK.LIBRARY', 'LOAD', library],
      },
      call,
    );
  }

  /** Adds an execution pool, as an entry of `margo.argobots.pools`. @throws CONFIG_INVALID */
  async addExecutionPool(entry: ExecutionPoolConfig, call: CallOptions = {}): Promise<void> {
    await this.#control(addition('/v1/execution-pools', 'BEDROCK.EXECUTIONPOOL', entry), call);
  }

  /**
   * @throws NOT_FOUND, INVALID_ARGUMENT for `__primary__`, CONFLICT if it is in use, which names
   * the users
   */
  async removeExecutionPool(name: string, call: CallOptions = {}): Promise<void> {
    await this.#control(removal('/v1/execution-pools', 'BEDROCK.EXECUTIONPOOL', name), call);
  }

  /** Adds an execution stream, as an entry of `margo.argobots.xstreams`. @throws CONFIG_INVALID */
  async addExecutionStream(entry: ExecutionStreamConfig, call: CallOptions = {}): Promise<void> {
    await this.#control(addition('/v1/execution-streams', 'BEDROCK.EXECUTIONSTREAM', entry), call);
  }

  /** @throws NOT_FOUND */
  async removeExecutionStream(name: string, call: CallOptions = {}): Promise<void> {
    await this.#control(removal('/v1/execution-streams', 'BEDROCK.EXECUTIONSTREAM', name), call);
  }

  /**
   * Has the daemon read its configuration file again, and apply what differs.
   * @throws NOT_SUPPORTED without a file, CONFIG_INVALID, CONFLICT if it has what cannot change
   * while the daemon runs (details.reasons)
   */
  async reload(call: CallOptions = {}): Promise<void> {
    await this.#control({ http: { method: 'POST', path: '/v1/reload' }, resp: ['BEDROCK.RELOAD'] }, call);
  }

  /**
   * Has the daemon write its running configuration into the file that it was started with.
   * @returns the file, on its machine
   * @throws NOT_SUPPORTED without a file and for TOML, CONFLICT if the file was changed since it
   * was read, or cannot be edited or written
   */
  async saveConfig(call: CallOptions = {}): Promise<string> {
    const saved = await this.#control(
      { http: { method: 'POST', path: '/v1/config/save' }, resp: ['BEDROCK.SAVE'] },
      call,
    );
    return (saved as { path: string }).path;
  }

  /** Has the daemon change, and fetches what it is then. */
  async #control(request: DaemonRequest, call: CallOptions): Promise<unknown> {
    const whole = ofTheWhole(call);
    const answer = await this.transport.control(request, whole);
    await this.refresh(whole);
    return answer;
  }

  /**
   * What a path can have: the daemon knows whether it exists, as providers may have come since the
   * last refresh.
   * @throws INVALID_ARGUMENT
   */
  #nameOf(provider: string | number): string {
    const name = String(provider);
    if (/^\w+$/.test(name)) return name;
    throw invalid(`${JSON.stringify(name)} is neither the name nor the provider_id of a provider`);
  }

  /** Asks the daemon to stop. Resolves when the daemon has accepted the request. */
  async shutdown(call: CallOptions = {}): Promise<void> {
    await this.transport.shutdown(call);
  }

  /** Closes the connections, after the calls in flight. */
  close(): Promise<void> {
    return this.transport.close();
  }

  #provider(provider: string | number): RemoteProvider {
    const found = this.#providers.find(
      ({ name, providerId }) => name === provider || String(providerId) === String(provider),
    );
    if (found !== undefined) return found;
    const known = this.#providers.map(({ name, providerId }) => `${name} (${providerId})`).join(', ');
    throw new BedrockError(
      'PROVIDER_NOT_FOUND',
      `no provider ${String(provider)}; there are: ${known === '' ? 'none' : known}`,
    );
  }
}

/** Adds an entry to a list of the configuration. */
function addition(path: string, command: string, entry: object): DaemonRequest {
  return { http: { method: 'POST', path, json: entry }, resp: [command, 'ADD', JSON.stringify(entry)] };
}

/** Removes an entry by its name. */
function removal(path: string, command: string, name: string): DaemonRequest {
  return {
    http: { method: 'DELETE', path: `${path}/${encodeURIComponent(name)}` },
    resp: [command, 'RM', name],
  };
}

/**
 * Loads only the protocol that is used: a program that uses one does not pay for the memory of the
 * other.
 */
/** Refuses what is no token before it is sent. @throws INVALID_ARGUMENT */
function tokenSource(token: string | (() => string)): () => string {
  if (typeof token === 'function') return () => checkedToken(token(), 'the token');
  const text = checkedToken(token, 'the token');
  return () => text;
}

async function transportTo(url: ServiceUrl, options: ConnectOptions & CallOptions): Promise<Transport> {
  if (url.kind === 'resp') {
    const { RespTransport } = await import('./resp/resp-transport.js');
    return RespTransport.open(url, options);
  }
  const { HttpTransport } = await import('./http/http-transport.js');
  return new HttpTransport(url, options);
}
