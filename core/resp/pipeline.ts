/**
 * The replies of a connection. They are sent in the order of the requests, whichever is ready first.
 *
 * A reply that is ready at once, with no earlier one missing, is written directly into the bytes
 * that are sent next. Others wait in a queue. Ready replies are sent together (`Outbox`).
 *
 * Every reply passes through here, and counts here against the memory for replies that clients have
 * not taken. If there is no memory for a reply, it becomes an error.
 */
import type { Socket } from 'node:net';
import { allocateBytes } from '../base/allocation.js';
import { BedrockError } from '../base/errors.js';
import { giveBuffer, takeBuffer } from '../net/spare-buffers.js';
import type { Share } from '../net/byte-budget.js';
import { endWhenTaken } from '../net/linger.js';
import { BY_REFERENCE_BYTES, Outbox, OUTBOX_BYTES } from '../redis-wire/outbox.js';

/** The reply of a request that is not ready yet. */
export class PendingReply {
  isReady = false;
  /** A line in ASCII, including its end; or nothing. */
  head = '';
  /** Follows the head. */
  body: Uint8Array | undefined;
  /** The buffer to give back when the body has been sent. */
  lent: Buffer | undefined;
  /** Whether an end of line follows the body. */
  isBulk = false;
  /** Bytes that were promised for it. */
  promised = 0;

  /** Sets a bulk string. @param lent the spare buffer that holds its bytes */
  setBulk(bytes: Uint8Array, lent?: Buffer): void {
    this.set(headOf(bytes.length), bytes, lent, true);
  }

  /** Sets bytes that are sent unchanged. */
  setEncoded(bytes: Uint8Array): void {
    this.set('', bytes, undefined, false);
  }

  set(head: string, body: Uint8Array | undefined, lent: Buffer | undefined, isBulk: boolean): void {
    this.head = head;
    this.body = body;
    this.lent = lent;
    this.isBulk = isBulk;
  }

  get bytes(): number {
    return this.head.length + (this.body?.length ?? 0) + (this.isBulk ? 2 : 0);
  }
}

const LINE_END_BYTES = 2;

/**
 * Smaller replies are counted only when the client does not take them, or when they add up to this
 * many bytes.
 */
const LARGE_REPLY_BYTES = 2 ** 14;
const FEW_BYTES = 2 ** 12;

/** Replies of a lost connection go here. */
const LOST = Buffer.allocUnsafeSlow(OUTBOX_BYTES);

/** Heads of small bulk strings: most replies have one of these. */
const HEADS = Array.from({ length: 1024 }, (_, size) => `$${size}\r\n`);

/** The line before the bytes of a bulk string. */
export function headOf(size: number): string {
  return HEADS[size] ?? `$${size}\r\n`;
}

export class Pipeline {
  /** Replies that are not ready, and those after them. */
  #pending: PendingReply[] = [];
  #first = 0;
  /** Of those, the bytes that are ready. */
  #waitingBytes = 0;
  /** Bytes of replies that are not ready, as far as they are known. */
  #promisedBytes = 0;
  #willFlush = false;
  #willFlushSoon = false;
  #isEnding = false;
  #isEnded = false;

  readonly #out = new Outbox({
    taken: () => this.#settle(),
    without: (length) => {
      try {
        return allocateBytes(length);
      } catch {
        // Without memory not even an error can be sent.
        this.socket.destroy();
        return LOST;
      }
    },
  });

  /** The room that was last given out. */
  #room: Buffer | undefined;
  #roomLent: Buffer | undefined;
  #roomHead = '';

  /**
   * @param share of the memory for the replies of all clients
   * @param refusal encodes the error for a reply without memory
   */
  constructor(
    private readonly socket: Socket,
    private readonly share: Share,
    private readonly refusal: () => Uint8Array,
  ) {}

  /** Bytes of replies that the client has not taken, and of replies in preparation. */
  get bytes(): number {
    // A lost connection does not keep what it has not sent.
    const sent = this.socket.destroyed ? 0 : this.socket.writableLength;
    return this.gatheredBytes + this.#waitingBytes + this.#promisedBytes + sent;
  }

  /** The part of `bytes` that counts against the memory for all clients. */
  get countedBytes(): number {
    return this.share.bytes;
  }

  /** Replies that are not ready, or wait for one that is not. */
  get waiting(): number {
    return this.#pending.length - this.#first;
  }

  /** @throws OVERLOADED if there is no memory for a reply of this size */
  admit(bytes: number): void {
    if (!this.#admits(bytes)) throw noMemory();
  }

  /** Reserves memory for a reply that is not ready yet. @throws OVERLOADED */
  promise(reply: PendingReply, bytes: number): void {
    this.admit(bytes);
    reply.promised += bytes;
    this.#promisedBytes += bytes;
  }

  #admits(bytes: number): boolean {
    if (bytes < LARGE_REPLY_BYTES) return true;
    const more = this.bytes + bytes - this.share.bytes;
    return more <= 0 || this.share.take(more);
  }

  /** Counts what the client has not taken. */
  #settle(): void {
    const { bytes } = this;
    if (bytes > FEW_BYTES) this.share.set(bytes);
    else if (this.share.bytes > 0) this.share.set(0);
  }

  /** Ends with the connection, and drops its replies. */
  closed(): void {
    this.flush();
  }

  /** Bytes that `flush` would send. */
  get gatheredBytes(): number {
    return this.#out.gatheredBytes;
  }

  get #isWaiting(): boolean {
    return this.waiting > 0;
  }

  // ---- replies that are ready at once; `flush` sends them ----

  /** @param text ASCII, including the end of the line */
  line(text: string): void {
    this.#add(text, undefined, undefined, false);
  }

  /** @param bytes sent unchanged */
  encoded(bytes: Uint8Array): void {
    if (this.#admits(bytes.length)) this.#add('', bytes, undefined, false);
    else this.encoded(this.refusal());
  }

  /**
   * Room for a bulk string, to be filled at once. `closeRoom` makes it a reply; without that it is
   * none.
   * @throws OVERLOADED
   */
  openBulk(size: number): Buffer {
    return this.openRoom(headOf(size), size);
  }

  /**
   * The same for the bytes between any head and the end of a line.
   * @param head ASCII
   * @throws OVERLOADED
   */
  openRoom(head: string, size: number): Buffer {
    if (size >= BY_REFERENCE_BYTES || this.#isWaiting) {
      this.#roomHead = head;
      this.#roomLent = takeBuffer(size);
      this.#room = this.#roomLent.subarray(0, size);
    } else {
      this.#room = this.#out.openRoom(head, size);
    }
    return this.#room;
  }

  closeRoom(): void {
    const room = this.#room as Buffer;
    const lent = this.#roomLent;
    this.#room = undefined;
    this.#roomLent = undefined;
    if (lent === undefined) this.#out.closeRoom(room);
    else this.#addBulk(this.#roomHead, room, lent);
  }

  /** Drops the room, since filling it has failed. */
  dropRoom(): void {
    if (this.#roomLent !== undefined) giveBuffer(this.#roomLent);
    this.#room = undefined;
    this.#roomLent = undefined;
  }

  /**
   * A place for a small bulk string that is sent next. `closePlace` makes it a reply; without that
   * it is none.
   * @returns where the bytes belong in `place`; -1 if `openBulk` must be used
   */
  openPlace(size: number): number {
    if (size >= BY_REFERENCE_BYTES || this.#isWaiting) return -1;
    return this.#out.openPlace(headOf(size), size);
  }

  get place(): Buffer {
    return this.#out.place;
  }

  closePlace(at: number, size: number): void {
    this.#out.closePlace(at, size);
  }

  /** Sends a bulk string. @param lent the spare buffer that holds its bytes */
  bulk(bytes: Uint8Array, lent?: Buffer): void {
    this.#addBulk(headOf(bytes.length), bytes, lent);
  }

  #addBulk(head: string, bytes: Uint8Array, lent: Buffer | undefined): void {
    if (this.#admits(bytes.length)) {
      this.#add(head, bytes, lent, true);
      return;
    }
    if (lent !== undefined) giveBuffer(lent);
    this.encoded(this.refusal());
  }

  #add(head: string, body: Uint8Array | undefined, lent: Buffer | undefined, isBulk: boolean): void {
    if (!this.#isWaiting) {
      this.#write(head, body, lent, isBulk);
      return;
    }
    const reply = this.push();
    reply.set(head, body, lent, isBulk);
    this.ready(reply);
  }

  // ---- replies that are not ready ----

  /** Adds a place for a request's reply. */
  push(reply = new PendingReply()): PendingReply {
    this.#pending.push(reply);
    return reply;
  }

  ready(reply: PendingReply): void {
    const { bytes, promised, lent } = reply;
    if (bytes > promised && !this.#admits(bytes)) {
      if (lent !== undefined) giveBuffer(lent);
      reply.setEncoded(this.refusal());
    }
    reply.isReady = true;
    this.#promisedBytes -= promised;
    this.#waitingBytes += reply.bytes;
    if (this.#willFlush || this.#pending[this.#first] !== reply) return;
    this.#willFlush = true;
    // After the replies that become ready in this turn.
    queueMicrotask(this.#flushReady);
  }

  // Safe: if the connection is gone by then, `flush` gives the buffers back.
  readonly #flushReady = (): void => {
    this.#willFlush = false;
    this.flush();
  };

  /** Ends the connection after the replies have been sent. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.flush();
  }

  // ---- output ----

  /** Sends what is ready. */
  flush(): void {
    this.#takeReady();
    this.#out.send(this.socket);
    this.#settle();
    if (!this.#isEnding || this.#isEnded || this.#isWaiting) return;
    this.#isEnded = true;
    endWhenTaken(this.socket);
  }

  /** Sends what is ready after the received input has been handled. */
  flushSoon(): void {
    if (this.#willFlushSoon || this.gatheredBytes === 0) return;
    this.#willFlushSoon = true;
    setImmediate(this.#flushSoon);
  }

  readonly #flushSoon = (): void => {
    this.#willFlushSoon = false;
    this.flush();
  };

  /** Moves ready replies with no earlier one missing to the output. */
  #takeReady(): void {
    const pending = this.#pending;
    let at = this.#first;
    for (let reply = pending[at]; reply?.isReady === true; reply = pending[++at]) {
      const { head, body, lent, isBulk, bytes } = reply;
      this.#waitingBytes -= bytes;
      this.#write(head, body, lent, isBulk);
    }
    if (at === pending.length) {
      pending.length = 0;
      this.#first = 0;
    } else if (at > 1024) {
      this.#pending = pending.slice(at);
      this.#first = 0;
    } else {
      this.#first = at;
    }
  }

  #write(head: string, body: Uint8Array | undefined, lent: Buffer | undefined, isBulk: boolean): void {
    const out = this.#out;
    const isReference = body !== undefined && body.length >= BY_REFERENCE_BYTES;
    out.reserve(head.length + (isReference ? 0 : (body?.length ?? 0) + LINE_END_BYTES));
    out.text(head);
    if (isReference) out.reference(body, lent);
    else if (body !== undefined) {
      out.raw(body);
      if (lent !== undefined) giveBuffer(lent);
    }
    if (!isBulk) return;
    out.reserve(LINE_END_BYTES);
    out.lineEnd();
  }
}

/** The error in place of a reply without memory. */
export function noMemory(): BedrockError {
  return new BedrockError(
    'OVERLOADED',
    'replies that clients have not taken fill the memory for them; try again later',
  );
}
