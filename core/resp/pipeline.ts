/**
 * The replies of a connection: in the order of the requests, whichever is ready first.
 *
 * What is ready goes out together: small replies as one piece, large ones by reference between them.
 */
import type { Socket } from 'node:net';
import { endWhenTaken } from '../net/linger.js';

/** The reply of one request, once it is there. */
export class PendingReply {
  isReady = false;
  /** A line in ASCII, its end included; or nothing. */
  head = '';
  /** Follows the head. */
  body: Uint8Array | undefined;
  /** Whether a line's end follows the body. */
  isBulk = false;

  /** A bulk string. */
  setBulk(bytes: Uint8Array): void {
    this.head = `$${bytes.length}\r\n`;
    this.body = bytes;
    this.isBulk = true;
  }

  /** Bytes as they are to be sent. */
  setEncoded(bytes: Uint8Array): void {
    this.head = '';
    this.body = bytes;
    this.isBulk = false;
  }

  get bytes(): number {
    return this.head.length + (this.body?.length ?? 0) + (this.isBulk ? 2 : 0);
  }
}

/** Bodies from this size up are sent where they are. */
const BY_REFERENCE_BYTES = 2 ** 14;
const LINE_END = '\r\n';

export class Pipeline {
  #pending: PendingReply[] = [];
  #first = 0;
  #isFlushing = false;
  #isEnding = false;
  /** Bytes that are ready and wait for a reply before them. */
  #waitingBytes = 0;

  constructor(private readonly socket: Socket) {}

  /** Requests whose replies have not gone out. */
  get length(): number {
    return this.#pending.length - this.#first;
  }

  /** Bytes of replies that are ready, and that the client has not taken. */
  get bufferedBytes(): number {
    return this.#waitingBytes + this.socket.writableLength;
  }

  /** The place of a request's reply. */
  push(): PendingReply {
    const reply = new PendingReply();
    this.#pending.push(reply);
    return reply;
  }

  ready(reply: PendingReply): void {
    reply.isReady = true;
    this.#waitingBytes += reply.bytes;
    if (this.#isFlushing || this.#pending[this.#first] !== reply) return;
    this.#isFlushing = true;
    // Behind the replies that become ready in this turn.
    queueMicrotask(this.#flush);
  }

  /** Ends the connection when the replies are out. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.length === 0 && !this.#isFlushing) endWhenTaken(this.socket);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    const pending = this.#pending;
    const from = this.#first;
    let to = from;
    let small = 0;
    let large = 0;
    for (let reply = pending[to]; reply?.isReady === true; reply = pending[++to]) {
      const { bytes, body } = reply;
      this.#waitingBytes -= bytes;
      small += bytes;
      if (body !== undefined && body.length >= BY_REFERENCE_BYTES) {
        small -= body.length;
        large++;
      }
    }
    if (to === from) return;
    this.#send(from, to, small, large > 0);
    if (this.#isEnding && to === pending.length) endWhenTaken(this.socket);
    if (to === pending.length) {
      pending.length = 0;
      this.#first = 0;
    } else {
      this.#first = to;
      if (to > 1024) {
        this.#pending = pending.slice(to);
        this.#first = 0;
      }
    }
  };

  #send(from: number, to: number, small: number, hasLarge: boolean): void {
    const { socket } = this;
    if (!socket.writable) return;
    const buffer = Buffer.allocUnsafe(small);
    let begin = 0;
    let end = 0;
    if (hasLarge) socket.cork();
    for (let index = from; index < to; index++) {
      const { head, body, isBulk } = this.#pending[index] as PendingReply;
      end += buffer.write(head, end, 'latin1');
      if (body === undefined) continue;
      if (body.length >= BY_REFERENCE_BYTES) {
        socket.write(buffer.subarray(begin, end));
        socket.write(body);
        begin = end;
      } else {
        buffer.set(body, end);
        end += body.length;
      }
      if (isBulk) end += buffer.write(LINE_END, end, 'latin1');
    }
    socket.write(begin === 0 ? buffer : buffer.subarray(begin, end));
    if (hasLarge) socket.uncork();
  }
}
