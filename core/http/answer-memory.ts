/**
 * Limits the memory for answers that clients have not read yet, over all connections. A connection
 * has one answer at a time, so the danger is a large number of connections.
 *
 * Small answers, such as those to health checks, are always sent. If there is no room for a larger
 * one, connections whose clients have read hardly anything for a second are closed. If that does
 * not help, the answer is refused.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { ByteBudget, type Share, type ShareHolder } from '../net/byte-budget.js';
import { takenBytes } from '../net/taken-bytes.js';

/** Smaller answers are not counted. */
const FEW_BYTES = 2 ** 12;
/** Smaller answers are never refused. */
const LARGE_BYTES = 2 ** 14;

export interface AnswerFigures {
  /** Bytes of answers that are being made, or that clients have not read. */
  readonly bufferedBytes: number;
  /** Number of connections that were closed because their clients read too slowly. */
  readonly evicted: number;
}

export class AnswerMemory {
  readonly #budget: ByteBudget;
  readonly #shares = new WeakMap<ServerResponse, Share>();
  #evicted = 0;

  constructor(
    limit: number,
    private readonly logger: Logger,
  ) {
    this.#budget = new ByteBudget(limit);
  }

  get figures(): AnswerFigures {
    return { bufferedBytes: this.#budget.total, evicted: this.#evicted };
  }

  /**
   * Reserves memory for an answer: this many bytes in total, until the client has read it or its
   * connection is closed.
   * @throws OVERLOADED
   */
  hold(response: ServerResponse, bytes: number): void {
    if (bytes < LARGE_BYTES) {
      this.force(response, bytes);
      return;
    }
    const share = this.#shareOf(response);
    const more = bytes - (share?.bytes ?? bytes);
    if (more <= 0 || share?.take(more) === true) return;
    throw new BedrockError(
      'OVERLOADED',
      'the memory for answers is full of answers that clients have not read (bedrock.http.max_answers_bytes); try again later',
    );
  }

  /** The same for bytes that are already allocated. Never refuses. */
  force(response: ServerResponse, bytes: number): void {
    if (bytes < FEW_BYTES) return;
    const share = this.#shareOf(response);
    if (share !== undefined && bytes > share.bytes) share.force(bytes - share.bytes);
  }

  /** @returns undefined if the answer has ended */
  #shareOf(response: ServerResponse): Share | undefined {
    const known = this.#shares.get(response);
    if (known !== undefined || response.destroyed) return known;
    const { socket } = response.req;
    const evict = (): void => {
      this.#noteEvicted();
      socket.destroy();
      share.set(0);
    };
    const share = this.#budget.share(new Receiver(socket, evict));
    this.#shares.set(response, share);
    response.once('close', () => {
      share.set(0);
      this.#shares.delete(response);
    });
    return share;
  }

  #noteEvicted(): void {
    if (this.#evicted++ > 0) return;
    this.logger.warning(
      'the memory for answers is full: a connection whose client took hardly anything of a large answer was closed, and others will be',
    );
  }
}

/**
 * The client that an answer goes to. This is a class since each object literal with accessors would
 * cost the engine a hidden class.
 */
class Receiver implements ShareHolder {
  constructor(
    private readonly socket: Socket,
    readonly evict: () => void,
  ) {}

  get isAwaited(): boolean {
    return this.socket.writableLength > 0;
  }

  get movedBytes(): number {
    return takenBytes(this.socket);
  }
}
