/**
 * The status of the daemon as server-sent events (html.spec.whatwg.org, 9.2): one event each
 * second, to any number of readers.
 *
 * Each event is made once for all readers, and not at all while there are none. A reader that has
 * not taken an event does not get the next one, so at most one event for each reader is held. If a
 * reader's token is revoked or expires, its answer ends before the next event.
 */
import type { ServerResponse } from 'node:http';
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { AnswerMemory } from './answer-memory.js';

export const EVENT_STREAM = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // A proxy that buffers answers (nginx) would otherwise delay the events.
  'x-accel-buffering': 'no',
};

/** Whether a reader may still get events. */
export type MayFollow = () => boolean;

const INTERVAL_MS = 1000;

/** Limited, since each reader keeps a connection for as long as it wants. */
const MAX_READERS = 64;

export class LiveStatus {
  readonly #readers = new Map<ServerResponse, MayFollow>();
  #timer: NodeJS.Timeout | undefined;
  #isMaking = false;

  /** @param make returns the status */
  constructor(
    private readonly make: () => Promise<unknown>,
    private readonly answers: AnswerMemory,
    private readonly logger: Logger,
  ) {}

  /** Refuses a reader before its answer has begun. @throws OVERLOADED */
  admit(): void {
    if (this.#readers.size >= MAX_READERS)
      throw new BedrockError('OVERLOADED', `${MAX_READERS} clients already follow the status`);
  }

  /**
   * Sends the status to a client until the client leaves, may no longer get it, or the door closes.
   */
  follow(response: ServerResponse, mayFollow: MayFollow): void {
    response.writeHead(200, EVENT_STREAM);
    response.flushHeaders();
    this.#readers.set(response, mayFollow);
    response.once('close', () => this.#left(response));
    void this.#tell();
    this.#timer ??= setInterval(() => void this.#tell(), INTERVAL_MS);
  }

  /** Ends all answers, so that they do not delay the close of the door. */
  close(): void {
    for (const response of this.#readers.keys()) response.end();
  }

  #left(response: ServerResponse): void {
    this.#readers.delete(response);
    if (this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends the answers to readers whose token was revoked or has expired. */
  #dismiss(): void {
    for (const [response, mayFollow] of this.#readers) if (!mayFollow()) response.end();
  }

  async #tell(): Promise<void> {
    // One status at a time, since a target may take long to give its figures.
    if (this.#isMaking) return;
    this.#isMaking = true;
    this.#dismiss();
    try {
      const event = Buffer.from(`data: ${JSON.stringify(await this.make())}\n\n`);
      // Safe: clients that have left meanwhile are no longer among the readers.
      this.#dismiss();
      for (const response of this.#readers.keys()) {
        if (response.writableEnded || response.writableLength > 0) continue;
        this.answers.force(response, event.length);
        response.write(event);
      }
    } catch (error) {
      this.logger.warning(`the status could not be sent: ${explain(error)}`);
    } finally {
      this.#isMaking = false;
    }
  }
}
