/**
 * The connections of a listener, and the requests in flight on each.
 *
 * Requests of one connection are carried out one after another, so a request that was sent without waiting for the answer before it
 * (pipelining) meets what the one before has done. A long row of them leaves others their turns, and where the rows of all connections
 * together grow too long, those who send more are closed. After a response that closes the connection nothing more is taken from it
 * (RFC 9112, 9.6). What is no HTTP is answered last, behind the requests that came before it.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { endAndLinger } from '../net/linger.js';
import { takenBytes } from '../net/taken-bytes.js';
import { Turn } from '../net/turn.js';
import { breakBody } from './body.js';
import { clientErrorResponse } from './problem.js';

/** What a request takes beside a small one of the Redis protocol. */
const REQUEST_UNITS = 8;

/** Requests that may wait behind those that are being carried out, on all connections: each takes some 5 KiB of the heap. */
const MAX_WAITING = 16_384;
/** So many of one connection may always. */
const MIN_WAITING = 16;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Connection {
  /** In order; the first is being carried out. */
  readonly inFlight: Exchange[];
  /** The request that came last, also after its response. */
  last?: IncomingMessage;
  /** What came after `last` and was no request, or why its body broke. */
  fault?: Error;
  /** To be called when a response has ended or broken off. */
  readonly ended: () => void;
  readonly turn: Turn;
  /** The first of those in flight waits for the connection's turn. */
  isHeld: boolean;
}

export class Connections {
  readonly #open = new Map<Socket, Connection>();
  #isStopping = false;
  /** Requests in flight that wait for one before them. */
  #waiting = 0;

  /** @param handle carries out a request */
  constructor(private readonly handle: RequestListener) {}

  /**
   * Takes the connections and requests of a server.
   * @param stallTimeoutMs how long a client may take nothing of a response that waits to be sent
   */
  watch(server: Server, stallTimeoutMs: number): void {
    server.on('connection', (socket: Socket) => this.#opened(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#arrived({ request, response }),
    );
    // When the server closes, node:http would also cut responses that are written and not yet sent.
    server.closeIdleConnections = () => undefined;
    // Also keepAliveTimeout ends here. While the daemon itself is the one who is slow, nothing waits to be sent.
    server.setTimeout(stallTimeoutMs, (socket: Socket) => {
      const taken = takenBytes(socket);
      // If it was the daemon that stood still, what the client has taken or sent meanwhile is not known before.
      setImmediate(() => {
        if (socket.destroyed) return;
        if (takenBytes(socket) !== taken) socket.setTimeout(stallTimeoutMs);
        else if (socket.writableLength > 0 || this.#isIdle(socket)) socket.destroy();
      });
    });
  }

  /** Takes no further connections, closes those without a request in flight, and the others as theirs end. */
  stop(): void {
    this.#isStopping = true;
    for (const [socket, { inFlight }] of this.#open) {
      // One that lingers after its last response closes by itself.
      if (inFlight.length === 0 && socket.writable) socket.destroy();
    }
  }

  /** Closes all, whatever is in flight. */
  destroy(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** For what came on a connection and could not be read as a request, or did not come in time. */
  readonly fail = (error: Error, socket: Socket): void => {
    const last = this.#open.get(socket)?.last;
    if (last?.complete === false || !isTimeout(error)) this.#fail(error, socket);
    // As above: what came while the daemon stood still is a request in time.
    else
      setImmediate(() => {
        if (this.#open.get(socket)?.last === last) this.#fail(error, socket);
      });
  };

  #fail(error: Error, socket: Socket): void {
    const connection = this.#open.get(socket);
    if (connection === undefined || socket.destroyed) {
      socket.destroy();
      return;
    }
    // What follows such a fault is none of ours either.
    if (connection.fault !== undefined || !socket.writable) return;
    connection.fault = error;
    const { inFlight, last } = connection;
    if (last?.complete === false) breakBody(last, error);
    if (inFlight.length === 0) this.#answerFault(socket, connection);
  }

  #opened(socket: Socket): void {
    if (this.#isStopping) {
      socket.destroy();
      return;
    }
    const connection: Connection = {
      inFlight: [],
      ended: () => this.#ended(socket, connection),
      turn: new Turn(() => this.#goOn(connection)),
      isHeld: false,
    };
    this.#open.set(socket, connection);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#waiting -= Math.max(0, connection.inFlight.length - 1);
      connection.inFlight.length = 0;
    });
  }

  #arrived(exchange: Exchange): void {
    const { request, response } = exchange;
    const { socket } = request;
    const connection = this.#open.get(socket);
    if (connection === undefined || !socket.writable) return;
    const { inFlight } = connection;
    if (inFlight.length > MIN_WAITING && this.#waiting >= MAX_WAITING) {
      socket.destroy();
      return;
    }
    connection.last = request;
    inFlight.push(exchange);
    // Emitted once; without the wrapper of `once`, which would be the larger part of this.
    response.on('close', connection.ended);
    if (inFlight.length === 1) {
      this.handle(request, response);
      return;
    }
    this.#waiting++;
    // The one before has come whole, or this would be part of it: nothing is missing while the socket is not read.
    socket.pause();
  }

  #ended(socket: Socket, connection: Connection): void {
    const { inFlight } = connection;
    inFlight.shift();
    if (inFlight.length > 0) this.#waiting--;
    if (!socket.writable) return;
    const [next] = inFlight;
    if (next !== undefined) {
      if (inFlight.length === 1) socket.resume();
      if (connection.turn.spend(REQUEST_UNITS)) connection.isHeld = true;
      else this.handle(next.request, next.response);
    } else if (connection.fault !== undefined) this.#answerFault(socket, connection);
    else if (!this.#isStopping) return;
    else if (connection.last?.complete === false) endAndLinger(socket);
    else socket.destroySoon();
  }

  #goOn(connection: Connection): void {
    if (!connection.isHeld) return;
    connection.isHeld = false;
    // They are gone if the connection is.
    const [next] = connection.inFlight;
    if (next?.request.socket.writable === true) this.handle(next.request, next.response);
  }

  #answerFault(socket: Socket, { fault, last }: Connection): void {
    // A request whose own body broke has its answer already.
    const isAnswered = last?.complete === false;
    endAndLinger(socket, fault === undefined || isAnswered ? undefined : clientErrorResponse(fault));
  }

  /** Whether it waits for the next request; one that never sent any has the time-out of headers. */
  #isIdle(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    return connection?.last !== undefined && connection.inFlight.length === 0;
  }
}

/** Whether node:http has waited too long for the head of a request. */
function isTimeout(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_HTTP_REQUEST_TIMEOUT';
}
