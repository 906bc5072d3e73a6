/** The way to a daemon over HTTP. */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import { encodeText } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import { isRecord, propertyOf } from '../../base/plain.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import type { HttpUrl } from '../../net/service-url.js';
import type { RemoteTargetDescription, RemoteTargetPlace } from '../remote/base-remote-target.js';
import type { ConnectOptions } from '../remote/call-options.js';
import type { Transport, WireProviders } from '../remote/transport.js';
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

  providers(call: CallOptions): Promise<WireProviders> {
    return this.#about('/v1/providers', (answer) => Array.isArray(propertyOf(answer, 'providers')), call);
  }

  /** What the daemon says of itself; `connect` asks it first. @throws UNREACHABLE also if somebody else answers */
  async #about<T>(path: string, fits: (answer: unknown) => boolean, call: CallOptions): Promise<T> {
    let answer: unknown;
    try {
      answer = await this.#connection.during(() => this.#connection.json({ method: 'GET', path, ...call }));
    } catch (error) {
      // A daemon has these paths. One that fails at them says so with a status from 500 on, and so does a proxy before it.
      const status = error instanceof BedrockError && error.code === 'INTERNAL' ? error.details.status : 0;
      if (typeof status !== 'number' || status < 400 || status >= 500) throw error;
      throw this.#connection.noDaemon(`it answered GET ${path} with status ${status}`);
    }
    if (fits(answer)) return answer as T;
    throw this.#connection.noDaemon(`it answered GET ${path} with other JSON than a daemon`);
  }

  async shutdown(call: CallOptions): Promise<void> {
    await this.#connection.during(() =>
      this.#connection.send({ method: 'POST', path: '/v1/shutdown', ...call }),
    );
  }

  target(place: RemoteTargetPlace, description: RemoteTargetDescription): HttpTarget {
    return new HttpTarget(this.#connection, place, description);
  }

  async request(
    provider: string,
    { method, path, query, json, body, ...call }: RemoteCall,
  ): Promise<unknown> {
    // Nothing for what JSON has no form for.
    const text = JSON.stringify(json) as string | undefined;
    const sent = text === undefined ? body : encodeText(text);
    const request: HttpRequest = {
      method,
      path: `/v1/providers/${provider}${path}`,
      ...(query !== undefined && { query }),
      ...(json !== undefined && { headers: { 'content-type': 'application/json' } }),
      ...(sent !== undefined && { body: sent }),
      ...call,
    };
    return this.#connection.during(() => this.#answer(request));
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
