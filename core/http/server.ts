/**
 * The HTTP door: where it listens, and how it starts and stops. app.ts handles the requests.
 *
 * It listens before the providers are ready, and answers NOT_READY until they are. When it stops,
 * it accepts no new requests, lets those in flight end, and closes their connections after the
 * drain time-out.
 */
import { formatAddress } from '../net/address.js';
import { listenFailure } from '../net/listening.js';
import type { OpenConnection } from '../net/open-connection.js';
import type { TlsCertificates } from '../net/tls-certificates.js';
import { TlsFront, type TlsFigures } from '../net/tls-front.js';
import { ConnectionAudit } from '../net/connection-audit.js';
import { type AnswerFigures, AnswerMemory } from './answer-memory.js';
import { buildHttpApp, type HttpApp, type HttpAppOptions } from './app.js';
import type { ConnectionFigures } from './connections.js';
import { Listener, type Listening } from './listener.js';
import { plainAnswer } from './problem.js';

export interface HttpFigures extends AnswerFigures, Omit<ConnectionFigures, 'answers'> {
  /** Number of connections that were closed because they sent JSON too slowly. */
  readonly evictedBodies: number;
  /** Number of connections that were closed at once because of max_connections. */
  readonly refused: number;
}

const NO_CONNECTIONS: ConnectionFigures = {
  connections: 0,
  accepted: 0,
  requests: 0,
  inFlight: 0,
  answers: [],
};

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isServing = false;
  #isStopping = false;
  #app: HttpApp | undefined;
  #listener: Listener | undefined;
  #listening: Promise<Listening> | undefined;
  #tls: TlsFront | undefined;

  readonly #options: HttpAppOptions;

  constructor(options: Omit<HttpAppOptions, 'answers'>) {
    const { settings, logger } = options;
    this.#options = { ...options, answers: new AnswerMemory(settings.http.max_answers_bytes, logger) };
  }

  get figures(): HttpFigures {
    const { connections, accepted, requests, inFlight } = this.#listener?.figures ?? NO_CONNECTIONS;
    return {
      connections,
      accepted,
      requests,
      inFlight,
      refused: this.#listener?.refused ?? 0,
      ...this.#options.answers.figures,
      evictedBodies: this.#app?.evictedBodies() ?? 0,
    };
  }

  /** Numbers of answers by the first digit of their status; under 0 of requests without one. */
  get answers(): readonly number[] {
    return (this.#listener?.figures ?? NO_CONNECTIONS).answers;
  }

  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[] {
    return this.#listener?.list(limit) ?? [];
  }

  /** Undefined without TLS. */
  get tlsFigures(): TlsFigures | undefined {
    return this.#tls?.figures;
  }

  /** Whether it was told to close. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /**
   * Begins to listen. If `close` is called meanwhile, it takes effect once listening has begun.
   * @param certificates for an address with TLS
   * @returns the address, with the actual port
   * @throws START_FAILED
   */
  listen(certificates?: TlsCertificates): Promise<Listening> {
    return (this.#listening = this.#listen(certificates));
  }

  async #listen(certificates: TlsCertificates | undefined): Promise<Listening> {
    const { address, settings, logger, limits, audit, inherited = [] } = this.#options;
    const app = await buildHttpApp(this.#options, this);
    const isSecure = address.kind === 'tcp' && address.isSecure;
    if (isSecure && certificates !== undefined) this.#tls = new TlsFront(certificates, plainAnswer());
    const listener = new Listener(
      app.handle,
      settings.http,
      logger,
      this.#tls,
      settings.unix,
      limits,
      audit && new ConnectionAudit(audit, 'http'),
    );
    this.#app = app;
    this.#listener = listener;
    try {
      return await listener.listen(address, inherited);
    } catch (cause) {
      await app.close();
      const at = address.kind === 'unix' ? { path: address.path } : { port: address.port };
      throw await listenFailure(formatAddress(address), at, cause);
    }
  }

  /**
   * Accepts no new requests and waits for those in flight, at most `drainTimeoutMs`.
   * @returns whether all of them ended
   */
  async close(drainTimeoutMs: number): Promise<boolean> {
    this.isServing = false;
    this.#isStopping = true;
    // Otherwise servers that it opens later would stay open.
    await this.#listening?.catch(() => undefined);
    this.#app?.endStreams();
    const isDrained = (await this.#listener?.close(drainTimeoutMs)) ?? true;
    await this.#app?.close();
    return isDrained;
  }
}
