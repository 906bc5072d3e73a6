/**
 * The connections of a listener, and the requests in flight on each.
 *
 * Requests of one connection are carried out one after another. So a request that was sent before
 * the previous answer (pipelining) sees the effects of the previous request. A long queue of
 * requests lets other connections have their turns. If all queues together grow too long,
 * connections that send more are closed. After a response that closes the connection, nothing more
 * is read from it (RFC 9112, 9.6). Input that is not HTTP is answered last, after the requests that
 * came before it.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BedrockError } from '../base/errors.js';
import { endAndLinger } from '../net/linger.js';
import { epochOf, firstOf, type OpenConnection } from '../net/open-connection.js';
import { takenBytes } from '../net/taken-bytes.js';
import { Turn } from '../net/turn.js';
import { breakBody } from './body.js';
import { originOf, rememberOrigin } from '../security/audit.js';
import type { ConnectionAudit } from '../net/connection-audit.js';
import type { Limits } from '../security/limits.js';
import { clientErrorResponse, lastAnswer } from './problem.js';
import { workOf } from './work.js';

/** Cost of any HTTP request, in small requests of the Redis protocol. */
const REQUEST_UNITS = 8;

/**
 * Maximum number of requests, over all connections, that wait behind others. Each takes about 5 KiB
 * of the heap.
 */
const MAX_WAITING = 16_384;
/** Number of requests of one connection that may always wait. */
const MIN_WAITING = 16;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Connection {
  /** When it was accepted, by performance.now(). */
  readonly openedAt: number;
  /** In order; the first one is being carried out. */
  readonly inFlight: Exchange[];
  /** The last request that came, kept after its response. */
  last?: IncomingMessage;
  /** Why the input after `last` is not a request, or why the body of `last` ended early. */
  fault?: Error;
  /** Called when a response has ended, completely or not. */
  readonly ended: () => void;
  readonly turn: Turn;
  /** Bytes read and written when they were last reported to its turn. */
  movedBytes: number;
  /** Whether the first request in flight waits for the connection's turn. */
  isHeld: boolean;
}

/** What the connections did. */
export interface ConnectionFigures {
  /** Open connections. */
  readonly connections: number;
  readonly accepted: number;
  readonly requests: number;
  /** Requests that have no complete answer yet, with those that wait behind another one. */
  readonly inFlight: number;
  /** Answers by the first digit of their status; a request without an answer counts under 0. */
  readonly answers: readonly number[];
}

export class Connections {
  #accepted = 0;
  #requests = 0;
  readonly #answers = [0, 0, 0, 0, 0, 0];
  readonly #open = new Map<Socket, Connection>();
  #isStopping = false;
  /** Requests in flight that wait for an earlier one. */
  #waiting = 0;

  /**
   * @param handle carries out a request
   * @param limits how many connections an address may have
   * @param audit where those are recorded that are refused
   */
  constructor(
    private readonly handle: RequestListener,
    private readonly limits?: Limits,
    private readonly audit?: ConnectionAudit,
  ) {}

  get figures(): ConnectionFigures {
    let inFlight = 0;
    for (const connection of this.#open.values()) inFlight += connection.inFlight.length;
    return {
      connections: this.#open.size,
      accepted: this.#accepted,
      requests: this.#requests,
      inFlight,
      answers: this.#answers,
    };
  }

  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[] {
    return firstOf(this.#open, limit, ([socket, { inFlight, openedAt }]) => ({
      from: originOf(socket),
      since: epochOf(openedAt),
      inFlight: inFlight.length,
      receivedBytes: socket.bytesRead,
      sentBytes: socket.bytesWritten,
    }));
  }

  /**
   * Handles the connections and requests of a server.
   * @param stallTimeoutMs how long a client may read nothing while a response waits to be sent
   */
  watch(server: Server, stallTimeoutMs: number): void {
    server.on('connection', (socket: Socket) => this.#opened(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#arrived({ request, response }),
    );
    // On close, node:http would also cut off responses that are written but not yet sent.
    server.closeIdleConnections = () => undefined;
    // This time-out also fires for keepAliveTimeout. While the daemon itself is slow, nothing waits
    // to be sent.
    server.setTimeout(stallTimeoutMs, (socket: Socket) => {
      const taken = takenBytes(socket);
      // If the daemon stood still, what the client has read or sent meanwhile is only known after this.
      setImmediate(() => {
        if (socket.destroyed) return;
        // A response that was sent meanwhile may have set the time-out of an idle connection, which is kept.
        if (takenBytes(socket) !== taken) socket.setTimeout(socket.timeout ?? stallTimeoutMs);
        else if (socket.writableLength > 0 || this.#isIdle(socket)) socket.destroy();
      });
    });
  }

  /**
   * Accepts no further connections, closes those without a request in flight, and closes the others
   * when their requests have ended.
   */
  stop(): void {
    this.#isStopping = true;
    for (const [socket, { inFlight }] of this.#open) {
      // A connection that lingers after its last response closes by itself.
      if (inFlight.length === 0 && socket.writable) socket.destroy();
    }
  }

  /** Closes all connections, with or without requests in flight. */
  destroy(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** Handles input that could not be read as a request, or did not come in time. */
  readonly fail = (error: Error, socket: Socket): void => {
    const last = this.#open.get(socket)?.last;
    if (last?.complete === false || !isTimeout(error)) this.#fail(error, socket);
    // As above: input that came while the daemon stood still is in time.
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
    // Input after such an error is ignored too.
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
    if (this.audit !== undefined || this.limits !== undefined) rememberOrigin(socket);
    const leave = this.limits?.connect(socket);
    if (leave instanceof BedrockError) {
      this.audit?.limited(socket, leave);
      endAndLinger(socket, lastAnswer(leave));
      return;
    }
    const connection: Connection = {
      openedAt: performance.now(),
      inFlight: [],
      ended: () => this.#ended(socket, connection),
      turn: new Turn(() => this.#goOn(connection)),
      movedBytes: 0,
      isHeld: false,
    };
    this.#open.set(socket, connection);
    this.#accepted++;
    socket.once('close', () => {
      leave?.();
      this.#open.delete(socket);
      this.#waiting -= Math.max(0, connection.inFlight.length - 1);
      for (const { response } of connection.inFlight) this.#count(response);
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
    this.#requests++;
    // Emitted only once. The wrapper of `once` would be the larger part of the cost here.
    response.on('close', connection.ended);
    if (inFlight.length === 1) {
      this.handle(request, response);
      return;
    }
    this.#waiting++;
    // The previous request is complete, or this would be part of it. So pausing the socket holds
    // nothing back that is needed.
    socket.pause();
  }

  #ended(socket: Socket, connection: Connection): void {
    const { inFlight } = connection;
    const ended = inFlight.shift();
    if (ended !== undefined) this.#count(ended.response);
    if (inFlight.length > 0) this.#waiting--;
    if (!socket.writable) return;
    const [next] = inFlight;
    if (next !== undefined) {
      if (inFlight.length === 1) socket.resume();
      const units = REQUEST_UNITS + (ended === undefined ? 0 : workOf(ended.request));
      const moved = socket.bytesRead + socket.bytesWritten;
      const bytes = moved - connection.movedBytes;
      connection.movedBytes = moved;
      if (connection.turn.spend(units, bytes)) connection.isHeld = true;
      else this.handle(next.request, next.response);
    } else if (connection.fault !== undefined) this.#answerFault(socket, connection);
    else if (!this.#isStopping) return;
    else if (connection.last?.complete === false) endAndLinger(socket);
    else socket.destroySoon();
  }

  #count({ headersSent, statusCode }: ServerResponse): void {
    const digit = headersSent ? Math.trunc(statusCode / 100) : 0;
    this.#answers[digit] = (this.#answers[digit] ?? 0) + 1;
  }

  #goOn(connection: Connection): void {
    if (!connection.isHeld) return;
    connection.isHeld = false;
    // Empty if the connection is gone.
    const [next] = connection.inFlight;
    if (next?.request.socket.writable === true) this.handle(next.request, next.response);
  }

  #answerFault(socket: Socket, { fault, last }: Connection): void {
    // A request whose body ended early already has its answer.
    const isAnswered = last?.complete === false;
    endAndLinger(socket, fault === undefined || isAnswered ? undefined : clientErrorResponse(fault));
  }

  /**
   * Whether it waits for the next request. A connection that never sent a request has the time-out
   * for headers instead.
   */
  #isIdle(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    return connection?.last !== undefined && connection.inFlight.length === 0;
  }
}

/** Whether node:http has waited too long for the head of a request. */
function isTimeout(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_HTTP_REQUEST_TIMEOUT';
}
