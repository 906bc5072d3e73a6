/**
 * The HTTP front door: where it listens, and how it begins and ends; what it does with a request stands in app.ts.
 *
 * It listens before the providers are up and answers NOT_READY until they are. When it stops it takes no new requests, lets
 * those in flight end, and after the drain time-out closes their connections.
 */
import { formatAddress } from '../net/address.js';
import { listenFailure } from '../net/listening.js';
import { type AnswerFigures, AnswerMemory } from './answer-memory.js';
import { buildHttpApp, type HttpApp, type HttpAppOptions } from './app.js';
import { Listener, type Listening } from './listener.js';

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isReady = false;
  #isStopping = false;
  #app: HttpApp | undefined;
  #listener: Listener | undefined;
  #listening: Promise<Listening> | undefined;

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
   * Begins to listen. `close` ends that, if it is called meanwhile, when it has begun.
   * @returns the address, with the real port
   * @throws START_FAILED
   */
  listen(): Promise<Listening> {
    return (this.#listening = this.#listen());
  }

  async #listen(): Promise<Listening> {
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
    this.isReady = false;
    this.#isStopping = true;
    // What it makes behind this would stay.
    await this.#listening?.catch(() => undefined);
    const isDrained = (await this.#listener?.close(drainTimeoutMs)) ?? true;
    await this.#app?.close();
    return isDrained;
  }
}
