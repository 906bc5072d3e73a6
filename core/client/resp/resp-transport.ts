/** The way to a daemon over the Redis protocol. */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import { BedrockError } from '../../base/errors.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import type { RespUrl } from '../../net/service-url.js';
import type { RemoteTargetDescription, RemoteTargetPlace } from '../remote/base-remote-target.js';
import type { ConnectOptions } from '../remote/call-options.js';
import type { Transport, WireProviders } from '../remote/transport.js';
import { Link } from './link.js';
import type { CommandParts } from './region-call.js';
import { isOk, jsonOf } from './region-replies.js';
import { RespTarget } from './resp-target.js';

export class RespTransport implements Transport {
  private constructor(private readonly link: Link) {}

  /** @throws UNREACHABLE, TIMEOUT, NOT_READY, ABORTED */
  static async open(
    { text, endpoint }: RespUrl,
    options: ConnectOptions & CallOptions,
  ): Promise<RespTransport> {
    return new RespTransport(await Link.open(text, endpoint, options));
  }

  get url(): string {
    return this.link.url;
  }

  async config(call: CallOptions): Promise<BedrockConfig> {
    return await this.#json('BEDROCK.CONFIG', call);
  }

  async providers(call: CallOptions): Promise<WireProviders> {
    return (await this.#json('BEDROCK.PROVIDERS', call)) as WireProviders;
  }

  #json(name: string, call: CallOptions): Promise<object> {
    return this.#command({ name, isRepeatable: true, result: jsonOf }, call);
  }

  shutdown(call: CallOptions): Promise<void> {
    return this.#command({ name: 'BEDROCK.SHUTDOWN', isRepeatable: false, result: isOk }, call);
  }

  async #command<T>(parts: CommandParts<T>, call: CallOptions): Promise<T> {
    this.link.enter();
    try {
      return await this.link.command(undefined, parts, call);
    } finally {
      this.link.leave();
    }
  }

  target(place: RemoteTargetPlace, description: RemoteTargetDescription): RespTarget {
    return new RespTarget(this.link, place, description);
  }

  request(provider: string, { method, path }: RemoteCall): Promise<never> {
    return Promise.reject(
      new BedrockError(
        'NOT_SUPPORTED',
        `${method} ${path} of provider "${provider}" is a route of HTTP, and ${this.url} speaks the Redis protocol; connect to the daemon's http:// address for it`,
      ),
    );
  }

  close(): Promise<void> {
    return this.link.close();
  }
}
