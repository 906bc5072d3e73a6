/**
 * The status of the daemon as server-sent events (html.spec.whatwg.org, 9.2): one each second, to
 * any number of readers.
 *
 * It is made once for all of them, and not at all while there are none. A reader that has not taken
 * an event does not get the next one, so one event for each reader is held at most. The answer to a
 * reader whose token is revoked or expires ends before the next event.
 */
import type { ServerResponse } from 'node:http';
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { AnswerMemory } from './answer-memory.js';

export const EVENT_STREAM = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // A proxy that gathers answers would keep it (nginx).
  'x-accel-buffering': 'no',
};

/** Whether a reader may still be told. */
export type MayFollow = () => boolean;

const INTERVAL_MS = 1000;

/** Each takes a connection for as long as it likes. */
const MAX_READERS = 64;

export class LiveStatus {
  readonly #readers = new Map<ServerResponse, MayFollow>();
  #timer: NodeJS.Timeout | undefined;
  #isMaking = false;

  /** @param make gives the status */
  constructor(
    private readonly make: () => Promise<unknown>,
    private readonly answers: AnswerMemory,
    private readonly logger: Logger,
  ) {}

  /** Refuses a reader before its answer has begun. @throws OVERLOADED */
  admit(): void {
    if (this.#readers.size >= MAX_READERS)
      throw new BedrockError('OVERLOADED', `${MAX_READERS} clients follow the status already`);
  }

  /**
   * Sends the status to a client until it goes away, until it may no longer be told, or until the
   * door closes.
   */
  follow(response: ServerResponse, mayFollow: MayFollow): void {
    response.writeHead(200, EVENT_STREAM);
    response.flushHeaders();
    this.#readers.set(response, mayFollow);
    response.once('close', () => this.#left(response));
    void this.#tell();
    this.#timer ??= setInterval(() => void this.#tell(), INTERVAL_MS);
  }

  /** Ends all answers, so that they do not hold up the end of the door. */
  close(): void {
    for (const response of this.#readers.keys()) response.end();
  }

  #left(response: ServerResponse): void {
    this.#readers.delete(response);
    if (this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends the answers to those whose token was revoked or has expired. */
  #dismiss(): void {
    for (const [response, mayFollow] of this.#readers) if (!mayFollow()) response.end();
  }

  async #tell(): Promise<void> {
    // A target that takes long to tell its figures is asked once at a time.
    if (this.#isMaking) return;
    this.#isMaking = true;
    this.#dismiss();
    try {
      const event = Buffer.from(`data: ${JSON.stringify(await this.make())}\n\n`);
      // Safe: those who have left meanwhile are no longer among the readers.
      this.#dismiss();
      for (const response of this.#readers.keys()) {
        if (response.writableEnded || response.writableLength > 0) continue;
        this.answers.force(response, event.length);
        response.write(event);
      }
    } catch (error) {
      this.logger.warning(`the status could not be told: ${explain(error)}`);
    } finally {
      this.#isMaking = false;
    }
  }
}
