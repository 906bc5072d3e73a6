/**
 * Requests to one daemon over kept connections (undici), and errors as the daemon's table has them.
 *
 * The time-out counts lack of progress, as the daemon's own does; a call can also be bounded as a whole (`timeoutMs`) or ended by
 * an AbortSignal.
 */
import { type Dispatcher, Pool } from 'undici';
import { copyBytes, isRefusal } from '../../base/allocation.js';
import { BedrockError, ERROR_CODES, isErrorCode, messageOf, systemCodeOf } from '../../base/errors.js';
import { isRecord, propertyOf } from '../../base/plain.js';
import type { CallOptions, RemoteCall } from '../../contract/remote-provider.js';
import type { HttpUrl } from '../../net/service-url.js';
import { type ConnectOptions, endedByCaller, signalOf } from '../remote/call-options.js';
import { SourceFailure } from '../remote/source.js';

export interface HttpRequest extends CallOptions {
  method: RemoteCall['method'];
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  body?: Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export type HttpResponse = Dispatcher.ResponseData;

export class HttpConnection {
  readonly #pool: Pool;
  /** Calls in flight, of one request or several. */
  #calls = 0;
  #closing: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(
    readonly url: HttpUrl,
    { connections = 16, progressTimeoutMs = 30_000 }: ConnectOptions = {},
  ) {
    this.#pool = new Pool(url.origin, {
      connections,
      pipelining: 1,
      headersTimeout: progressTimeoutMs,
      bodyTimeout: progressTimeoutMs,
      connect: {
        timeout: progressTimeoutMs,
        ...(url.socketPath !== undefined && { socketPath: url.socketPath }),
      },
    });
  }

  /**
   * Sends a request and waits for the head of its answer. The body must be read or dumped.
   * @throws what the daemon answers, UNREACHABLE, TIMEOUT, ABORTED
   */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const signal = signalOf(request);
    let response: HttpResponse;
    try {
      response = await this.#pool.request({
        method: request.method,
        path: pathOf(request),
        ...(request.headers !== undefined && { headers: request.headers }),
        ...(request.body !== undefined && { body: request.body as Buffer }),
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      throw this.translate(error, request);
    }
    if (response.statusCode >= 400) throw await this.#problem(response, request);
    return response;
  }

  /** Sends a request whose answer is JSON. */
  async json<T>(request: HttpRequest): Promise<T> {
    return (await this.jsonOf(await this.request(request), request)) as T;
  }

  /** The body of an answer, which is JSON. @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  async jsonOf(response: HttpResponse, request: HttpRequest): Promise<unknown> {
    const text = (await this.bytesOf(response, request)).toString();
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw this.noDaemon(`it answered ${request.method} ${request.path} with no JSON`);
    }
  }

  /** The whole body of an answer. @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  async bytesOf({ body }: HttpResponse, request: HttpRequest): Promise<Buffer> {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
      const [first] = pieces;
      // A short answer needs no further memory, so that one that says what was made is not lost.
      return pieces.length === 1 && first !== undefined ? first : copyBytes(pieces);
    } catch (error) {
      throw this.translate(error, request);
    }
  }

  /** Somebody else than a daemon answers. @param reason what shows it */
  noDaemon(reason: string): BedrockError {
    return new BedrockError(
      'UNREACHABLE',
      `what answers at ${this.url.text} is no bedrock-node daemon: ${reason}`,
    );
  }

  /** Sends a request of whose answer only the head matters. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const response = await this.request(request);
    await response.body.dump();
    return response;
  }

  /** Begins a call of one or several requests, which `close` will wait for until `leave`. @throws UNREACHABLE after it */
  enter(): void {
    if (this.#closing !== undefined) {
      throw new BedrockError('UNREACHABLE', `the connection to ${this.url.text} was closed`);
    }
    this.#calls++;
  }

  leave(): void {
    if (--this.#calls === 0) this.#whenIdle?.();
  }

  /** A call, from its first request to its last. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** Ends the connections; calls in flight end first, all requests of each. */
  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle();
    return this.#closing;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#calls > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    await this.#pool.close();
  }

  /** What went wrong on the way, in the terms of the table. What the caller's own source of bytes threw is thrown as it is. */
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
    if (propertyOf(error, 'name') === 'TimeoutError' || code.endsWith('_TIMEOUT')) {
      return new BedrockError('TIMEOUT', `no answer from ${where} in time`, { cause: error });
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
      // A HEAD has no body, and a connection that breaks here changes nothing about the refusal.
    }
    return problemOf(
      response.statusCode,
      response.headers['error-code'],
      text,
      `${request.method} ${request.path}`,
      this.url.text,
    );
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
    // The answer to a HEAD, which has no body, or of somebody else.
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
