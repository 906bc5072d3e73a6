/** The way to a daemon over the Redis protocol. */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import { BedrockError } from '../../errors.js';
import type { CallOptions, ConnectOptions } from '../call-options.js';
import type { RemoteTargetDescription, RemoteTargetPlace } from '../remote-target.js';
import type { RespUrl } from '../service-url.js';
import type { RemoteCall, Transport, WireProviders } from '../transport.js';
import { Link } from './link.js';
import { isOk, jsonOf } from './region-replies.js';
import type { Reply } from './reply.js';
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

  config(call: CallOptions): Promise<BedrockConfig> {
    const parts = {
      name: 'BEDROCK.CONFIG',
      isRepeatable: true,
      result: (reply: Reply) => jsonOf(reply) as BedrockConfig,
    };
    return this.link.command(undefined, parts, call);
  }

  providers(call: CallOptions): Promise<WireProviders> {
    const parts = {
      name: 'BEDROCK.PROVIDERS',
      isRepeatable: true,
      result: (reply: Reply) => jsonOf(reply) as WireProviders,
    };
    return this.link.command(undefined, parts, call);
  }

  shutdown(call: CallOptions): Promise<void> {
    return this.link.command(
      undefined,
      { name: 'BEDROCK.SHUTDOWN', isRepeatable: false, result: isOk },
      call,
    );
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
