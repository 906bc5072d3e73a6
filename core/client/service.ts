/** A daemon somewhere else, as a program sees it. */
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError } from '../base/errors.js';
import type { CallOptions, RemoteProvider, RemoteTarget } from '../contract/remote-provider.js';
import type { TargetStats } from '../contract/target.js';
import { parseServiceUrl, type ServiceUrl } from '../net/service-url.js';
import { type ConnectOptions, ofTheWhole } from './remote/call-options.js';
import type { Transport } from './remote/transport.js';
import { ServiceProvider } from './service-provider.js';

export class Service {
  #config: BedrockConfig = {};
  #providers: readonly RemoteProvider[] = [];

  private constructor(private readonly transport: Transport) {}

  /** See `connect`. */
  static async connect(url: string, options: ConnectOptions & CallOptions = {}): Promise<Service> {
    const { connections, progressTimeoutMs } = options;
    const whole = ofTheWhole(options);
    const how = {
      ...(connections !== undefined && { connections }),
      ...(progressTimeoutMs !== undefined && { progressTimeoutMs }),
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

  /** Where the daemon is. */
  get url(): string {
    return this.transport.url;
  }

  /** The daemon's running configuration, as of the last refresh. */
  get config(): BedrockConfig {
    return this.#config;
  }

  /** The daemon's providers, as of the last refresh. */
  get providers(): readonly RemoteProvider[] {
    return this.#providers;
  }

  /** Asks again for configuration and providers. */
  async refresh(call: CallOptions = {}): Promise<void> {
    const [config, { providers }] = await Promise.all([
      this.transport.config(call),
      this.transport.providers(call),
    ]);
    this.#config = config;
    this.#providers = providers.map(({ provider_id, ...provider }) => ({
      ...provider,
      providerId: provider_id,
    }));
  }

  /**
   * A target of the daemon.
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
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `provider "${found.name}" has ${found.targets.length} targets, numbered from 0; there is no target ${index}`,
    );
  }

  /**
   * A provider of the daemon, for its own routes, snapshots and the like.
   * @param provider name or provider_id
   * @throws PROVIDER_NOT_FOUND
   */
  provider(provider: string | number): ServiceProvider {
    const found = this.#provider(provider);
    const targets = found.targets.map((_target, index) => this.target(found.name, index));
    return new ServiceProvider(this.transport, found, targets);
  }

  /** How full a target is. */
  stats(provider: string | number, index = 0, call: CallOptions = {}): Promise<TargetStats> {
    return this.target(provider, index).stats(call);
  }

  /** Asks the daemon to stop; resolves when it has agreed to. */
  async shutdown(call: CallOptions = {}): Promise<void> {
    await this.transport.shutdown(call);
  }

  /** Ends the connections, after the calls in flight. */
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

/** Each way is loaded where it is taken: a program that takes one does not need the memory of the other. */
async function transportTo(url: ServiceUrl, options: ConnectOptions & CallOptions): Promise<Transport> {
  if (url.kind === 'resp') {
    const { RespTransport } = await import('./resp/resp-transport.js');
    return RespTransport.open(url, options);
  }
  const { HttpTransport } = await import('./http/http-transport.js');
  return new HttpTransport(url, options);
}
