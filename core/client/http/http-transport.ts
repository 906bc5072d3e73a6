/**
 * What a service asks of a daemon, as requests over HTTP. `HttpConnection` sends them and
 * translates errors; targets send their own (`HttpTarget`).
 */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import { encodeText } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import { isRecord, propertyOf } from '../../base/plain.js';
import type { DaemonStatus } from '../../contract/daemon-status.js';
import type { OperationStatus } from '../../contract/operation.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import type { HttpUrl } from '../../net/service-url.js';
import type { RemoteTargetDescription, RemoteTargetKey } from '../remote/remote-calls.js';
import type { ConnectOptions } from '../remote/call-options.js';
import type { DaemonRequest, Transport, WireProviders } from '../remote/transport.js';
import { HttpConnection, type HttpRequest } from './http-connection.js';
import { HttpTarget } from './http-target.js';

export class HttpTransport implements Transport {
  readonly #connection: HttpConnection;

  constructor(url: HttpUrl, options: ConnectOptions) {
    this.#connection = new HttpConnection(url, options);
  }

  get url(): string {
    return this.#connection.url.text;
  }

  config(call: CallOptions): Promise<BedrockConfig> {
    return this.#about('/v1/config', isRecord, call);
  }

  query(expression: string, call: CallOptions): Promise<unknown> {
    return this.#connection.work.during(() =>
      this.#connection.json({
        method: 'POST',
        path: '/v1/query',
        headers: { 'content-type': 'application/json' },
        body: encodeText(JSON.stringify({ expression })),
        ...call,
      }),
    );
  }

  providers(call: CallOptions): Promise<WireProviders> {
    return this.#about('/v1/providers', (answer) => Array.isArray(propertyOf(answer, 'providers')), call);
  }

  /**
   * Requests information about the daemon; `connect` calls this first.
   * @throws UNREACHABLE also if the server is not a daemon
   */
  async #about<T>(path: string, fits: (answer: unknown) => boolean, call: CallOptions): Promise<T> {
    let answer: unknown;
    try {
      answer = await this.#connection.work.during(() =>
        this.#connection.json({ method: 'GET', path, ...call }),
      );
    } catch (error) {
      // Every daemon has these paths. If a daemon fails, or a proxy in front of it, the status is
      // 500 or more.
      const status = error instanceof BedrockError && error.code === 'INTERNAL' ? error.details.status : 0;
      if (typeof status !== 'number' || status < 400 || status >= 500) throw error;
      throw this.#connection.noDaemon(`it answered GET ${path} with status ${status}`);
    }
    if (fits(answer)) return answer as T;
    throw this.#connection.noDaemon(`it answered GET ${path} with other JSON than a daemon`);
  }

  status(call: CallOptions): Promise<DaemonStatus> {
    return this.#about('/v1/status', (answer) => Array.isArray(propertyOf(answer, 'providers')), call);
  }

  async whyNotReady(call: CallOptions): Promise<readonly string[]> {
    try {
      await this.#json({ method: 'GET', path: '/readyz', ...call });
      return [];
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'NOT_READY') return [error.message];
      throw error;
    }
  }

  async shutdown(call: CallOptions): Promise<void> {
    await this.#connection.work.during(() =>
      this.#connection.send({ method: 'POST', path: '/v1/shutdown', ...call }),
    );
  }

  async operations(call: CallOptions): Promise<{ readonly operations: readonly OperationStatus[] }> {
    return this.#json({ method: 'GET', path: '/v1/operations', ...call });
  }

  async operation(id: string, call: CallOptions): Promise<OperationStatus> {
    return this.#json({ method: 'GET', path: operationPath(id), ...call });
  }

  async cancel(id: string, call: CallOptions): Promise<void> {
    await this.#connection.work.during(() =>
      this.#connection.send({ method: 'DELETE', path: operationPath(id), ...call }),
    );
  }

  async begin(provider: string, type: string, request: object, call: CallOptions): Promise<OperationStatus> {
    return this.#json({
      method: 'POST',
      path: `/v1/providers/${provider}/${encodeURIComponent(type)}`,
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
      body: encodeText(JSON.stringify(request)),
      ...call,
    });
  }

  #json<T>(request: HttpRequest): Promise<T> {
    return this.#connection.work.during(() => this.#connection.json<T>(request));
  }

  async control({ http }: DaemonRequest, call: CallOptions): Promise<unknown> {
    return this.#send(http, call);
  }

  target(key: RemoteTargetKey, description: RemoteTargetDescription): HttpTarget {
    return new HttpTarget(this.#connection, key, description);
  }

  async request(provider: string, call: RemoteCall): Promise<unknown> {
    return this.#send({ ...call, path: `/v1/providers/${provider}${call.path}` }, call);
  }

  async #send(
    { method, path, query, json, body }: Omit<RemoteCall, keyof CallOptions>,
    { signal, timeoutMs }: CallOptions,
  ): Promise<unknown> {
    // undefined for values that have no JSON form.
    const text = JSON.stringify(json) as string | undefined;
    const sent = text === undefined ? body : encodeText(text);
    const request: HttpRequest = {
      method,
      path,
      ...(query !== undefined && { query }),
      ...(json !== undefined && { headers: { 'content-type': 'application/json' } }),
      ...(sent !== undefined && { body: sent }),
      ...(signal !== undefined && { signal }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
    return this.#connection.work.during(() => this.#answer(request));
  }

  async #answer(request: HttpRequest): Promise<unknown> {
    const connection = this.#connection;
    const response = await connection.request(request);
    if (/^application\/json\b/.test(String(response.headers['content-type'])))
      return connection.jsonOf(response, request);
    const bytes = await connection.bytesOf(response, request);
    return response.statusCode === 204 ? undefined : bytes;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

function operationPath(id: string): string {
  return `/v1/operations/${encodeURIComponent(id)}`;
}
