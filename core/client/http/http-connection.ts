/**
 * Sends requests to one daemon over keep-alive connections (undici), and translates errors to those
 * of the daemon's error table.
 *
 * The time-out measures lack of progress, like the daemon's own. A call can also have a time-out
 * for its whole duration (`timeoutMs`), or be ended by an AbortSignal.
 */
import { buildConnector, type Dispatcher } from 'undici';
import { copyBytes, isRefusal } from '../../base/allocation.js';
import { BedrockError, ERROR_CODES, isErrorCode, messageOf, systemCodeOf } from '../../base/errors.js';
import { tracing } from '../../base/tracing.js';
import { isRecord, propertyOf } from '../../base/plain.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import type { HttpUrl } from '../../net/service-url.js';
import { type ConnectOptions, endedByCaller, signalOf, whenEnded } from '../remote/call-options.js';
import { SourceFailure } from '../remote/source.js';
import { tlsFailure, tlsOptionsFor } from '../remote/tls.js';
import { WorkInHand } from '../remote/work-in-hand.js';
import { ProgressWatch, WatchedPool } from './progress-watch.js';

export interface HttpRequest extends CallOptions {
  method: RemoteCall['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  body?: Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export type HttpResponse = Dispatcher.ResponseData;

export class HttpConnection {
  readonly #pool: WatchedPool;
  /**
   * What TLS has last found on a connection that had been opened; undici only says that such a
   * connection was closed.
   */
  #lateRefusal: unknown;
  readonly #token: (() => string) | undefined;
  /** Headers of every request, with the token that was used last. */
  #headers: Record<string, string> = {};
  #lastToken: string | undefined;
  /** Calls in flight, each of one or more requests. */
  readonly work: WorkInHand;
  #closing: Promise<void> | undefined;

  constructor(
    readonly url: HttpUrl,
    { connections = 16, progressTimeoutMs = 30_000, tls = {}, token }: ConnectOptions = {},
  ) {
    this.#token = typeof token === 'string' ? () => token : token;
    this.work = new WorkInHand(url.text);
    const connect = {
      timeout: progressTimeoutMs,
      ...(url.socketPath !== undefined && { socketPath: url.socketPath }),
      ...(url.secureHost !== undefined && tlsOptionsFor(url.secureHost, tls)),
    };
    const options = {
      connections,
      pipelining: 1,
      connect: url.secureHost === undefined ? connect : this.#noting(buildConnector(connect)),
    };
    this.#pool = new WatchedPool(url.origin, options, new ProgressWatch(progressTimeoutMs, url.text));
  }

  /**
   * With TLS 1.3 a daemon refuses a client's certificate when the client takes the connection as
   * open.
   */
  #noting(connector: buildConnector.connector): buildConnector.connector {
    return (options, callback) =>
      connector(options, (...result) => {
        result[1]?.once('error', (error: unknown) => {
          this.#lateRefusal = error;
        });
        callback(...result);
      });
  }

  /**
   * Sends a request and waits for the head of its response. The caller must read or dump the body.
   * @throws what the daemon answers, UNREACHABLE, TIMEOUT, ABORTED
   */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { signal, forget } = this.#boundsOf(request);
    let response: HttpResponse;
    try {
      const own = this.#ownHeaders();
      const traced = tracing?.headers();
      const headers =
        request.headers === undefined && traced === undefined
          ? own
          : { ...own, ...request.headers, ...traced };
      response = await this.#pool.request({
        method: request.method,
        path: pathOf(request),
        headers,
        ...(request.body !== undefined && { body: request.body as Buffer }),
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      forget?.();
      throw this.translate(error, request);
    }
    this.#lateRefusal = undefined;
    if (forget !== undefined) response.body.once('close', forget);
    if (response.statusCode >= 400) throw await this.#problem(response, request);
    return response;
  }

  #ownHeaders(): Record<string, string> {
    const token = this.#token?.();
    if (token !== undefined && token !== this.#lastToken) {
      this.#lastToken = token;
      this.#headers = { authorization: `Bearer ${token}` };
    }
    return this.#headers;
  }

  /**
   * The signal that ends a request for its caller; a time-out takes effect only after pending input
   * is read. Call `forget` when the request is over.
   */
  #boundsOf(call: CallOptions): { signal?: AbortSignal; forget?: () => void } {
    const bounds = signalOf(call);
    if (bounds === undefined) return {};
    const ended = new AbortController();
    const forget = whenEnded(bounds, this.url.text, (error) => ended.abort(error));
    return { signal: ended.signal, forget };
  }

  /** Sends a request whose answer is JSON. */
  async json<T>(request: HttpRequest): Promise<T> {
    return (await this.jsonOf(await this.request(request), request)) as T;
  }

  /** Reads the body of a JSON response. @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  async jsonOf(response: HttpResponse, request: HttpRequest): Promise<unknown> {
    const text = (await this.bytesOf(response, request)).toString();
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw this.noDaemon(`it answered ${request.method} ${request.path} with no JSON`);
    }
  }

  /** Reads the whole body of a response. @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  async bytesOf({ body }: HttpResponse, request: HttpRequest): Promise<Buffer> {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
      const [first] = pieces;
      // A short response takes no further memory. So the ID of a region that was just created is
      // not lost for lack of memory.
      return pieces.length === 1 && first !== undefined ? first : copyBytes(pieces);
    } catch (error) {
      throw this.translate(error, request);
    }
  }

  /** The error for a server that is not a daemon. @param reason what shows it */
  noDaemon(reason: string): BedrockError {
    return new BedrockError(
      'UNREACHABLE',
      `the server at ${this.url.text} is not a bedrock-node daemon: ${reason}`,
    );
  }

  /** Sends a request and drops the body of its response. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const response = await this.request(request);
    await response.body.dump();
    return response;
  }

  /** Closes the connections, after all requests of the calls in flight. */
  close(): Promise<void> {
    this.#closing ??= this.work.end().then(() => this.#pool.close());
    return this.#closing;
  }

  /**
   * Translates an error to one of the error table. An error from the caller's own source of bytes
   * is thrown unchanged.
   */
  translate(error: unknown, request: CallOptions): BedrockError {
    if (error instanceof BedrockError) return error;
    const where = this.url.text;
    if (request.signal?.aborted === true) {
      return endedByCaller(request.signal.reason, where);
    }
    if (error instanceof SourceFailure) throw error.cause;
    if (isRefusal(error))
      return new BedrockError('OVERLOADED', 'the system gives no memory; try again later', { cause: error });
    const code = systemCodeOf(error) ?? '';
    if (code.endsWith('_TIMEOUT')) {
      return new BedrockError('TIMEOUT', `no answer from ${where} in time`, { cause: error });
    }
    if (this.url.secureHost !== undefined) {
      const found = code === 'UND_ERR_SOCKET' ? (this.#lateRefusal ?? error) : error;
      const insecure = tlsFailure(found, where);
      if (insecure !== undefined)
        return new BedrockError('UNREACHABLE', `${where} cannot be reached: ${insecure}`, { cause: found });
    }
    if (propertyOf(error, 'name') === 'HTTPParserError') {
      const message = `${where} does not speak HTTP; if it is the daemon's port for the Redis protocol, connect to ${this.url.text.replace(/^http/, 'resp')}`;
      return new BedrockError('UNREACHABLE', message, { cause: error });
    }
    if (!CONNECTION_CODES.test(code)) throw error;
    return new BedrockError('UNREACHABLE', `${where} cannot be reached or broke off: ${messageOf(error)}`, {
      cause: error,
    });
  }

  async #problem(response: HttpResponse, request: HttpRequest): Promise<BedrockError> {
    let text = '';
    try {
      text = await response.body.text();
    } catch {
      // The response to a HEAD has no body, and a connection that breaks here does not change the
      // refusal.
    }
    const problem = problemOf(
      response.statusCode,
      response.headers['error-code'],
      text,
      `${request.method} ${request.path}`,
      this.url.text,
    );
    if (problem.details.tls !== true || this.url.secureHost !== undefined) return problem;
    const where = this.url.text;
    const there = where.replace(/^http:/, 'https:');
    return new BedrockError('UNREACHABLE', `${where} speaks TLS; connect to ${there}`, { cause: problem });
  }
}

const CONNECTION_CODES = /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/;

function problemOf(
  status: number,
  header: unknown,
  text: string,
  asked: string,
  where: string,
): BedrockError {
  try {
    const { code, detail, details } = JSON.parse(text) as Record<string, unknown>;
    if (isErrorCode(code) && typeof detail === 'string')
      return new BedrockError(code, detail, isRecord(details) ? { details } : {});
  } catch {
    // The response to a HEAD, which has no body, or a response from another server.
  }
  const code = isErrorCode(header) ? header : 'INTERNAL';
  const meaning = code === 'INTERNAL' ? `${where} answered with status ${status}` : ERROR_CODES[code].meaning;
  return new BedrockError(code, `${asked}: ${meaning}`, { details: { status } });
}

function pathOf({ path, query = {} }: HttpRequest): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  return given.size === 0 ? path : `${path}?${given.toString()}`;
}
