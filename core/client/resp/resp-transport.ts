/**
 * What a service asks of a daemon, as commands over the Redis protocol. `Link` sends them; targets
 * send their own (`RespTarget`).
 */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import { BedrockError } from '../../base/errors.js';
import type { DaemonStatus } from '../../contract/daemon-status.js';
import type { OperationStatus } from '../../contract/operation.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import { RESERVED_STEPS } from '../../contract/route.js';
import type { RespUrl } from '../../net/service-url.js';
import type { RemoteTargetDescription, RemoteTargetKey } from '../remote/remote-calls.js';
import type { ConnectOptions } from '../remote/call-options.js';
import type { DaemonRequest, Transport, WireProviders } from '../remote/transport.js';
import { Link } from './link.js';
import type { CommandParts } from './daemon-command.js';
import { textOf } from '../../redis-wire/reply.js';
import { answerOf, anyJsonOf, isOk, jsonOf, jsonOrOk } from './region-replies.js';
import { RespTarget } from './resp-target.js';

/** What a provider can be told to begin. Any other word would name another command. */
const OPERATIONS: ReadonlySet<string> = new Set(['snapshot', 'restore', 'migrate']);

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

  query(expression: string, call: CallOptions): Promise<unknown> {
    const parts = { name: 'BEDROCK.QUERY', args: [expression], isRepeatable: true, result: anyJsonOf };
    return this.#command(parts, call);
  }

  async providers(call: CallOptions): Promise<WireProviders> {
    return (await this.#json('BEDROCK.PROVIDERS', call)) as WireProviders;
  }

  async status(call: CallOptions): Promise<DaemonStatus> {
    return (await this.#json('BEDROCK.STATUS', call)) as DaemonStatus;
  }

  async whyNotReady(call: CallOptions): Promise<readonly string[]> {
    const text = await this.#command(
      { name: 'INFO', args: ['health'], isRepeatable: true, result: textOf },
      call,
    );
    return [...text.matchAll(/^trouble_\d+:(.*)$/gm)].map(([, reason = '']) => reason.trim());
  }

  #json(name: string, call: CallOptions, args: readonly string[] = []): Promise<object> {
    return this.#command({ name, args, isRepeatable: true, result: jsonOf }, call);
  }

  shutdown(call: CallOptions): Promise<void> {
    return this.#command({ name: 'BEDROCK.SHUTDOWN', isRepeatable: false, result: isOk }, call);
  }

  async operations(call: CallOptions): Promise<{ readonly operations: readonly OperationStatus[] }> {
    return (await this.#json('BEDROCK.OPERATIONS', call)) as { operations: OperationStatus[] };
  }

  async operation(id: string, call: CallOptions): Promise<OperationStatus> {
    return (await this.#json('BEDROCK.OPERATIONS', call, [id])) as OperationStatus;
  }

  cancel(id: string, call: CallOptions): Promise<void> {
    return this.#command({ name: 'BEDROCK.CANCEL', args: [id], isRepeatable: true, result: isOk }, call);
  }

  async begin(provider: string, type: string, request: object, call: CallOptions): Promise<OperationStatus> {
    if (!OPERATIONS.has(type))
      throw new BedrockError('NOT_SUPPORTED', `there is no ${type}; there are ${[...OPERATIONS].join(', ')}`);
    const parts = { args: [provider, JSON.stringify(request)], isRepeatable: false, result: jsonOf };
    const begun = await this.#command({ name: `BEDROCK.${type.toUpperCase()}`, ...parts }, call);
    return begun as OperationStatus;
  }

  async control({ resp: [name, ...args] }: DaemonRequest, call: CallOptions): Promise<unknown> {
    return this.#command({ name, args, isRepeatable: false, result: jsonOrOk }, call);
  }

  #command<T>(parts: CommandParts<T>, call: CallOptions): Promise<T> {
    return this.link.work.during(() => this.link.command(undefined, parts, call));
  }

  target(key: RemoteTargetKey, description: RemoteTargetDescription): RespTarget {
    return new RespTarget(this.link, key, description);
  }

  /** A route of the daemon itself below a provider, such as /snapshot, is one of HTTP. */
  async request(
    provider: string,
    { method, path, query, json, body, ...call }: RemoteCall,
  ): Promise<unknown> {
    if (RESERVED_STEPS.has(path.split('/')[1] ?? ''))
      throw new BedrockError(
        'NOT_SUPPORTED',
        `${method} ${path} of provider "${provider}" is a route of HTTP, and ${this.url} speaks the Redis protocol; connect to the daemon's http:// address for it`,
      );
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) search.append(name, String(value));
    // undefined for values that have no JSON form.
    const text = JSON.stringify(json) as string | undefined;
    const sent = text ?? body;
    const args: (string | Uint8Array)[] = [
      provider,
      method,
      search.size === 0 ? path : `${path}?${search.toString()}`,
    ];
    if (sent !== undefined) args.push(sent);
    return this.#command(
      {
        name: 'BEDROCK.REQUEST',
        args,
        isRepeatable: method === 'GET',
        result: answerOf,
        cost: sent?.length ?? 0,
      },
      call,
    );
  }

  close(): Promise<void> {
    return this.link.close();
  }
}
