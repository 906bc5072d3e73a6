/**
 * The replies of a connection: in the order of the requests, whichever is ready first.
 *
 * A reply that is there at once, with none before it missing, is written straight into the bytes that go out next; others wait in a
 * row. What is ready goes out together: small replies in one piece, large ones by reference between, in one writev. The buffers are
 * used again as soon as the system has taken their bytes, which it mostly does within the call.
 *
 * Every reply enters here, and is counted here against the memory for those that clients have not taken: one for which there is none
 * is an error instead.
 */
import type { Socket } from 'node:net';
import { BedrockError } from '../base/errors.js';
import { giveBuffer, giveBuffers, takeBuffer } from '../net/buffer-pool.js';
import type { Share } from '../net/byte-budget.js';
import { endWhenTaken } from '../net/linger.js';
import { writeNow } from '../net/write-now.js';

/** The reply of one request that has to be waited for. */
export class PendingReply {
  isReady = false;
  /** A line in ASCII, its end included; or nothing. */
  head = '';
  /** Follows the head. */
  body: Uint8Array | undefined;
  /** What to give back when the body has gone out. */
  lent: Buffer | undefined;
  /** Whether a line's end follows the body. */
  isBulk = false;
  /** Bytes that it was said it would have. */
  promised = 0;

  /** A bulk string. @param lent the buffer of the pool that its bytes are in */
  setBulk(bytes: Uint8Array, lent?: Buffer): void {
    this.head = headOf(bytes.length);
    this.body = bytes;
    this.lent = lent;
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
/** Buffers that replies are gathered in. */
const OUTPUT_BYTES = 2 ** 16;
/** Most bytes of a bulk string's head and the line's end behind it. */
const FRAME_BYTES = 24;
const CR = 13;
const LF = 10;

/** Replies of fewer bytes are counted once it is known that the client does not take them, and that where there are as many in all. */
const LARGE_REPLY_BYTES = 2 ** 14;
const FEW_BYTES = 2 ** 12;

/** Where replies go of a connection that is lost. */
const LOST = Buffer.allocUnsafeSlow(OUTPUT_BYTES);

const EMPTY = Buffer.alloc(0);
const NOTHING_LENT: readonly Buffer[] = [];

function headOf(size: number): string {
  return `$${size}\r\n`;
}

/** The heads and lines of replies are so short that a call to have them written would take longer. */
function putText(buffer: Buffer, text: string, at: number): void {
  if (text.length > FRAME_BYTES) buffer.write(text, at, 'latin1');
  else for (let index = 0; index < text.length; index++) buffer[at + index] = text.charCodeAt(index);
}

export class Pipeline {
  /** Replies that are not there yet, and those behind them. */
  #pending: PendingReply[] = [];
  #first = 0;
  /** Of those, bytes that are ready. */
  #waitingBytes = 0;
  /** What those that are not there yet will have, as far as it is known. */
  #promisedBytes = 0;
  #willFlush = false;
  #willFlushSoon = false;
  #isEnding = false;
  #isEnded = false;

  /** Where replies are gathered: those from `#begin` to `#end` go out next, behind `#pieces`. */
  #out: Buffer = EMPTY;
  #begin = 0;
  #end = 0;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** What is to be given back when all of them have gone out. */
  #lent: Buffer[] = [];
  /** The same for each of the writes that the system has not taken yet. */
  readonly #sent: (readonly Buffer[])[] = [];

  /** The room that was given out. */
  #room: Buffer | undefined;
  #roomLent: Buffer | undefined;

  /**
   * @param share of the memory for the replies of all clients
   * @param refusal an error as bytes, for a reply that there is no memory for
   */
  constructor(
    private readonly socket: Socket,
    private readonly share: Share,
    private readonly refusal: () => Uint8Array,
  ) {}

  /** Bytes of replies that the client has not taken, and of those that are being made. */
  get bytes(): number {
    // What a lost connection has not sent is not kept.
    const sent = this.socket.destroyed ? 0 : this.socket.writableLength;
    return this.gatheredBytes + this.#waitingBytes + this.#promisedBytes + sent;
  }

  /** Of them those that count against the memory for all clients. */
  get countedBytes(): number {
    return this.share.bytes;
  }

  /** Replies that are not there yet, or wait behind one that is not. */
  get waiting(): number {
    return this.#pending.length - this.#first;
  }

  /** @throws OVERLOADED if there is no memory for a reply of so many bytes */
  admit(bytes: number): void {
    if (!this.#admits(bytes)) throw noMemory();
  }

  /** The same for one that is not there yet, for which it is kept. */
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

  /** The connection is gone, and whatever it had of replies. */
  closed(): void {
    this.flush();
  }

  /** Bytes that `flush` would send. */
  get gatheredBytes(): number {
    return this.#pieceBytes + this.#end - this.#begin;
  }

  get #isWaiting(): boolean {
    return this.waiting > 0;
  }

  // ---- replies that are there at once; `flush` sends them ----

  /** @param text ASCII, with its line's end */
  line(text: string): void {
    if (this.#isWaiting) {
      const reply = this.push();
      reply.head = text;
      this.ready(reply);
      return;
    }
    this.#reserve(text.length);
    this.#text(text);
  }

  /** @param bytes as they are to be sent */
  encoded(bytes: Uint8Array): void {
    if (!this.#admits(bytes.length)) {
      this.encoded(this.refusal());
      return;
    }
    if (this.#isWaiting) {
      const reply = this.push();
      reply.setEncoded(bytes);
      this.ready(reply);
      return;
    }
    this.#body(bytes, undefined);
  }

  /** Room for a bulk string, to be filled at once: then `closeBulk` makes it a reply, or it is none. @throws OVERLOADED */
  openBulk(size: number): Buffer {
    if (size >= BY_REFERENCE_BYTES || this.#isWaiting) {
      this.#roomLent = takeBuffer(size);
      this.#room = this.#roomLent.subarray(0, size);
    } else {
      const head = headOf(size);
      this.#reserve(size + FRAME_BYTES);
      // Not yet part of what goes out: `#end` stays.
      putText(this.#out, head, this.#end);
      const from = this.#end + head.length;
      this.#room = this.#out.subarray(from, from + size);
    }
    return this.#room;
  }

  closeBulk(): void {
    const room = this.#room as Buffer;
    const lent = this.#roomLent;
    this.#room = undefined;
    this.#roomLent = undefined;
    if (lent === undefined) {
      const at = room.byteOffset - this.#out.byteOffset + room.length;
      this.#out[at] = CR;
      this.#out[at + 1] = LF;
      this.#end = at + 2;
    } else {
      this.bulk(room, lent);
    }
  }

  /** What the room was for has failed. */
  dropBulk(): void {
    if (this.#roomLent !== undefined) giveBuffer(this.#roomLent);
    this.#room = undefined;
    this.#roomLent = undefined;
  }

  /** A bulk string. @param lent the buffer of the pool that its bytes are in */
  bulk(bytes: Uint8Array, lent?: Buffer): void {
    if (!this.#admits(bytes.length)) {
      if (lent !== undefined) giveBuffer(lent);
      this.encoded(this.refusal());
      return;
    }
    if (this.#isWaiting) {
      const reply = this.push();
      reply.setBulk(bytes, lent);
      this.ready(reply);
      return;
    }
    this.#reserve(FRAME_BYTES);
    this.#text(headOf(bytes.length));
    this.#body(bytes, lent);
    this.#lineEnd();
  }

  // ---- replies that have to be waited for ----

  /** The place of a request's reply. */
  push(reply = new PendingReply()): PendingReply {
    this.#pending.push(reply);
    return reply;
  }

  ready(reply: PendingReply): void {
    const { bytes, promised, lent } = reply;
    if (bytes > promised && !this.#admits(bytes)) {
      if (lent !== undefined) giveBuffer(lent);
      reply.lent = undefined;
      reply.setEncoded(this.refusal());
    }
    reply.isReady = true;
    this.#promisedBytes -= promised;
    this.#waitingBytes += reply.bytes;
    if (this.#willFlush || this.#pending[this.#first] !== reply) return;
    this.#willFlush = true;
    // Behind the replies that become ready in this turn.
    queueMicrotask(this.#flushReady);
  }

  // Safe: of a connection that has gone since, `flush` gives the buffers back.
  readonly #flushReady = (): void => {
    this.#willFlush = false;
    this.flush();
  };

  /** Ends the connection when the replies are out. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.flush();
  }

  // ---- output ----

  /** Sends what is there. */
  flush(): void {
    this.#takeReady();
    if (this.#pieces.length > 0 || this.#end > this.#begin) this.#send();
    this.#settle();
    if (!this.#isEnding || this.#isEnded || this.#isWaiting) return;
    this.#isEnded = true;
    endWhenTaken(this.socket);
  }

  /** Sends what is there when what has come is looked at. */
  flushSoon(): void {
    if (this.#willFlushSoon || this.gatheredBytes === 0) return;
    this.#willFlushSoon = true;
    setImmediate(this.#flushSoon);
  }

  readonly #flushSoon = (): void => {
    this.#willFlushSoon = false;
    this.flush();
  };

  /** Moves the replies that none before them is missing of to what goes out. */
  #takeReady(): void {
    const pending = this.#pending;
    let at = this.#first;
    for (let reply = pending[at]; reply?.isReady === true; reply = pending[++at]) {
      const { head, body, lent, isBulk, bytes } = reply;
      this.#waitingBytes -= bytes;
      this.#reserve(head.length);
      this.#text(head);
      if (body !== undefined) this.#body(body, lent);
      if (isBulk) this.#lineEnd();
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

  #body(bytes: Uint8Array, lent: Buffer | undefined): void {
    const { length } = bytes;
    if (length < BY_REFERENCE_BYTES) {
      this.#reserve(length);
      this.#out.set(bytes, this.#end);
      this.#end += length;
      if (lent !== undefined) giveBuffer(lent);
      return;
    }
    this.#closePiece();
    this.#pieces.push(bytes);
    this.#pieceBytes += length;
    if (lent !== undefined) this.#lent.push(lent);
  }

  #text(text: string): void {
    putText(this.#out, text, this.#end);
    this.#end += text.length;
  }

  #lineEnd(): void {
    this.#reserve(2);
    this.#out[this.#end++] = CR;
    this.#out[this.#end++] = LF;
  }

  /** Room for as many bytes behind `#end`. */
  #reserve(length: number): void {
    if (this.#end + length <= this.#out.length) return;
    this.#closePiece();
    this.#out = this.#takeOut(length);
    this.#begin = 0;
    this.#end = 0;
  }

  #takeOut(length: number): Buffer {
    for (const size of [OUTPUT_BYTES, length]) {
      try {
        const out = takeBuffer(Math.max(size, length));
        this.#lent.push(out);
        return out;
      } catch {
        // Less may be had.
      }
    }
    // Without it not even an error can be answered.
    this.socket.destroy();
    return LOST;
  }

  #closePiece(): void {
    if (this.#end === this.#begin) return;
    this.#pieces.push(this.#out.subarray(this.#begin, this.#end));
    this.#pieceBytes += this.#end - this.#begin;
    this.#begin = this.#end;
  }

  #send(): void {
    const { socket } = this;
    this.#closePiece();
    const pieces = this.#pieces;
    const lent = this.#lent;
    this.#out = EMPTY;
    this.#begin = 0;
    this.#end = 0;
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#lent = [];
    if (!socket.writable) {
      giveBuffers(lent);
      return;
    }
    const [first] = pieces;
    if (pieces.length === 1 && first !== undefined && first.length <= OUTPUT_BYTES) {
      const taken = writeNow(socket, first);
      if (taken === first.length) {
        giveBuffers(lent);
        return;
      }
      if (taken > 0) pieces[0] = first.subarray(taken);
    }
    const last = pieces.length - 1;
    if (last > 0) {
      socket.cork();
      for (let index = 0; index < last; index++) socket.write(pieces[index] as Uint8Array);
    }
    socket.write(pieces[last] as Uint8Array, this.#taken);
    if (last > 0) socket.uncork();
    // Taken already, as a rule: the next reply finds the buffer in the processor's cache.
    const isTaken = socket.writableLength === 0;
    if (isTaken) giveBuffers(lent);
    this.#sent.push(isTaken ? NOTHING_LENT : lent);
  }

  /** The system has taken the bytes of the write that is the first of those not told of yet, or never will. */
  readonly #taken = (error?: Error | null): void => {
    const lent = this.#sent.shift();
    this.#settle();
    // After an error nobody can tell what is still being looked at.
    if (error instanceof Error || lent === undefined) return;
    giveBuffers(lent);
  };
}

/** What is answered in place of a reply that there is no memory for. */
export function noMemory(): BedrockError {
  return new BedrockError(
    'OVERLOADED',
    'replies that clients have not taken fill the memory for them; try again later',
  );
}
