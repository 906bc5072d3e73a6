/**
 * The connections of the Redis door: makes them of accepted sockets, closes those whose client makes
 * no progress, counts and describes them.
 *
 * Sockets read directly into the buffers of `Connection` if Node allows it. That uses `onread` of
 * net, and the connection is handed over to a socket made with that option. Other sockets, such as
 * those with TLS, are read in the ordinary way.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import type { RespConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError } from '../base/errors.js';
import type { ConnectionAudit } from '../net/connection-audit.js';
import { endAndLinger } from '../net/linger.js';
import { epochOf, firstOf, type OpenConnection } from '../net/open-connection.js';
import { AttendedClock, onceInputIsRead } from '../net/standstill.js';
import { isEncrypted } from '../net/write-now.js';
import { originOf } from '../security/audit.js';
import { clientLine } from './client-line.js';
import { Connection } from './connection.js';
import type { Door } from './door.js';

/** How long clients may make no progress. */
type Times = Required<Pick<RespConfig, 'idle_timeout_ms' | 'progress_timeout_ms' | 'upload_timeout_ms'>>;

/** What all connections did, those that have ended included. */
interface Totals {
  readonly requests: number;
  readonly failed: number;
  /** Bytes of replies that clients have not taken. */
  readonly bufferedBytes: number;
  /** Calls of targets that have not ended. */
  readonly inFlight: number;
}

export class Connections {
  /** Connections that were accepted so far. */
  accepted = 0;
  /** By number. */
  readonly #open = new Map<number, Connection>();
  readonly #attended = new AttendedClock(() => this.#open.size > 0);
  #idleTimer: NodeJS.Timeout | undefined;
  #dripTimer: NodeJS.Timeout | undefined;
  #lastNumber = 0;
  /** Requests of clients that have left. */
  #requestsBefore = 0;
  /** Those of them that failed. */
  #failedBefore = 0;

  /**
   * @param unixPath path of the unix socket, to describe those that came through it
   * @param refusals records refused connections in the audit log
   */
  constructor(
    private readonly door: Door,
    private readonly times: Times,
    private readonly unixPath: string | undefined,
    private readonly refusals: ConnectionAudit | undefined,
  ) {}

  /** Begins to close connections that make no progress. */
  watch(): void {
    const { idle_timeout_ms: idleMs, upload_timeout_ms: dripMs } = this.times;
    this.#dripTimer = setInterval(this.#closeDripping, Math.max(10, dripMs / 8)).unref();
    if (idleMs > 0) this.#idleTimer = setInterval(this.#closeIdle, Math.max(10, idleMs / 8)).unref();
  }

  unwatch(): void {
    clearInterval(this.#idleTimer);
    clearInterval(this.#dripTimer);
  }

  /** Takes no more requests, and ends each connection when its requests are answered. */
  end(): void {
    for (const connection of this.#open.values()) connection.end();
  }

  destroy(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  /**
   * Closes those that have sent no request for some time. One with a request in progress is not
   * idle.
   */
  readonly #closeIdle = (): void => {
    const latest = performance.now() - this.times.idle_timeout_ms;
    onceInputIsRead(() => {
      for (const connection of this.#open.values())
        if (connection.arrivedAt <= latest && !connection.isBusy && !connection.isAwaited)
          connection.socket.destroy();
    });
  };

  /** Closes those that have been sending one request for a long time, with almost no progress. */
  readonly #closeDripping = (): void => {
    onceInputIsRead(() => {
      const now = this.#attended.now();
      for (const connection of this.#open.values())
        if (connection.isDripping(now, this.times.upload_timeout_ms)) connection.socket.destroy();
    });
  };

  /** Makes a connection of an accepted socket, which is paused. */
  add(accepted: Socket): void {
    this.accepted++;
    this.#attended.start();
    const leave = this.door.rates?.connect(accepted);
    if (leave instanceof BedrockError) {
      this.refusals?.limited(accepted, leave);
      accepted.on('error', () => undefined);
      accepted.resume();
      endAndLinger(accepted, `-${leave.code} ${leave.message}\r\n`);
      return;
    }
    const connection = new Connection(++this.#lastNumber, this.door);
    const { id, session } = connection;
    const socket = readingInto(accepted, connection);
    connection.attach(socket);
    this.#open.set(id, connection);
    const { progress_timeout_ms: progressMs } = this.times;
    socket.setTimeout(progressMs);
    socket.on('timeout', () => {
      const moved = connection.movedBytes;
      onceInputIsRead(() => {
        if (connection.isAwaited && connection.movedBytes === moved) socket.destroy();
        else if (!socket.destroyed) socket.setTimeout(progressMs);
      });
    });
    socket.on('end', () => connection.inputEnded());
    // The close of a broken connection follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      leave?.();
      this.#open.delete(id);
      this.#requestsBefore += session.requests;
      this.#failedBefore += session.failedRequests;
      connection.closed();
    });
    socket.resume();
  }

  // ---- what is told about them ----

  get count(): number {
    return this.#open.size;
  }

  get totals(): Totals {
    let requests = this.#requestsBefore;
    let failed = this.#failedBefore;
    let bufferedBytes = 0;
    let inFlight = 0;
    for (const { session, socket } of this.#open.values()) {
      requests += session.requests;
      failed += session.failedRequests;
      bufferedBytes += socket.writableLength;
      inFlight += session.calls.inFlight;
    }
    return { requests, failed, bufferedBytes, inFlight };
  }

  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[] {
    return firstOf(this.#open.values(), limit, ({ facts, socket }) => ({
      from: originOf(socket),
      since: epochOf(facts.connectedAt),
      inFlight: facts.memory.waitingReplies,
      receivedBytes: socket.bytesRead,
      sentBytes: socket.bytesWritten,
      ...(facts.name !== '' && { name: facts.name }),
    }));
  }

  /**
   * The line of one connection, by its number.
   * @returns nothing if it is gone: then nobody reads the replies to its remaining requests
   */
  describe(id: number): string {
    const connection = this.#open.get(id);
    return connection === undefined ? '' : this.#line(connection);
  }

  /** The lines of all connections, or of some by number. */
  describeAll(ids?: ReadonlySet<number>): string {
    const all = [...this.#open.values()].filter(({ id }) => ids === undefined || ids.has(id));
    return all.map((connection) => this.#line(connection)).join('');
  }

  #line({ facts, socket }: Connection): string {
    return clientLine(facts, socket, this.unixPath);
  }
}

/** A socket that reads into the client's buffers. */
function readingInto(accepted: Socket, connection: Connection): Socket {
  // Node supports `onread` only for sockets that are created with it, so the connection moves to
  // such a socket. There is no public way to do that.
  const handle = (accepted as { _handle?: unknown })._handle;
  if (typeof handle !== 'object' || handle === null || isEncrypted(accepted)) {
    accepted.on('data', (bytes) => {
      if (!connection.take(bytes)) accepted.pause();
    });
    return accepted;
  }
  (accepted as { _handle?: unknown })._handle = null;
  const socket = new Socket({
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: () => connection.room(),
      callback: (count: number, where: Uint8Array) => connection.received(count, where as Buffer),
    },
  } as SocketConstructorOpts);
  // The server counts the accepted socket.
  socket.once('close', () => accepted.destroy());
  return socket;
}
