/**
 * The HTTP front door: where it listens, and how it begins and ends; what it does with a request stands in app.ts.
 *
 * It listens before the providers are up and answers NOT_READY until they are. When it stops it takes no new requests, lets
 * those in flight end, and after the drain time-out closes their connections.
 */
import { formatAddress } from '../config/address.js';
import { listenFailure } from '../net/listening.js';
import { AnswerMemory, type AnswerFigures } from './answer-memory.js';
import { buildHttpApp, type HttpApp, type HttpAppOptions } from './app.js';
import { Listener, type Listening } from './listener.js';

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isReady = false;
  #isStopping = false;
  #app: HttpApp | undefined;
  #listener: Listener | undefined;

  readonly #options: HttpAppOptions;

  constructor(options: Omit<HttpAppOptions, 'answers'>) {
    const { settings, logger } = options;
    this.#options = { ...options, answers: new AnswerMemory(settings.http.max_answers_bytes, logger) };
  }

  get figures(): AnswerFigures {
    return this.#options.answers.figures;
  }

  /** Whether it was told to close. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /**
   * Begins to listen.
   * @returns the address, with the real port
   * @throws START_FAILED
   */
  async listen(): Promise<Listening> {
    const { address, settings, logger } = this.#options;
    const app = await buildHttpApp(this.#options, this);
    const listener = new Listener(app.handle, settings.http, logger);
    this.#app = app;
    this.#listener = listener;
    try {
      return await listener.listen(address);
    } catch (cause) {
      await app.close();
      const at = address.kind === 'unix' ? { path: address.path } : { port: address.port };
      throw await listenFailure(formatAddress(address), at, cause);
    }
  }

  /** Takes no new requests, waits for those in flight, at most `drainTimeoutMs`. @returns whether all of them ended */
  async close(drainTimeoutMs: number): Promise<boolean> {
    const app = this.#app;
    if (app === undefined) return true;
    this.isReady = false;
    this.#isStopping = true;
    const isDrained = (await this.#listener?.close(drainTimeoutMs)) ?? true;
    await app.close();
    return isDrained;
  }
}
