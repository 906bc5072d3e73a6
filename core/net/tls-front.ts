/**
 * TLS in front of a door: connections reach the door's server when their handshake is done.
 *
 * A connection's first byte tells whether its client speaks TLS. Who does not gets an answer in the
 * door's own protocol that says so. A handshake has a time-out as a whole, however slowly its bytes
 * come, and their number is bounded: a further one closes the oldest. So clients that stall hold
 * neither connections nor memory for long, and they cannot keep out a client that does its part in
 * time.
 */
import type { Server, Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { endAndLinger } from './linger.js';
import type { TlsCertificates } from './tls-certificates.js';

/** First byte of a TLS connection: a record of the handshake (RFC 8446, 5.1). */
const HANDSHAKE_RECORD = 22;

/** Why connections did not come through; the label of a metric. */
export type HandshakeFailure = 'plain' | 'timeout' | 'crowded' | 'certificate' | 'protocol';

export interface TlsFigures {
  /** Connections whose handshake is not done. */
  readonly handshakes: number;
  readonly failed: Readonly<Record<HandshakeFailure, number>>;
}

interface Handshake {
  readonly raw: Socket;
  readonly timer: NodeJS.Timeout;
}

type Accept = (socket: Socket) => void;

export class TlsFront {
  readonly #tls: TlsServer;
  readonly #handshakes = new Map<string, Handshake & { readonly accept: Accept }>();
  readonly #failed = { plain: 0, timeout: 0, crowded: 0, certificate: 0, protocol: 0 };
  #isClosed = false;

  /** @param plainAnswer what a client gets that does not speak TLS */
  constructor(
    private readonly certificates: TlsCertificates,
    private readonly plainAnswer: string,
  ) {
    const { client_ca: ca, client_certificates: wanted } = certificates.settings;
    this.#tls = createServer({
      ...certificates.options,
      requestCert: ca !== undefined,
      rejectUnauthorized: wanted === 'required',
      // The one here counts from the first byte to the last; that of Node.js restarts.
      handshakeTimeout: 2 * certificates.settings.handshake_timeout_ms,
    });
    certificates.onRenewed((options) => this.#tls.setSecureContext(options));
    this.#tls.on('secureConnection', (socket) => this.#secured(socket));
    // The close of its connection follows, and is counted.
    this.#tls.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  get figures(): TlsFigures {
    return { handshakes: this.#handshakes.size, failed: this.#failed };
  }

  /**
   * Has a server see its connections only when they are encrypted. Call it when all its listeners
   * are there, before it listens.
   */
  guard(server: Server): void {
    const listeners = server.listeners('connection') as Accept[];
    server.removeAllListeners('connection');
    const accept: Accept = (socket) => {
      for (const listener of listeners) listener.call(server, socket);
    };
    server.on('connection', (raw: Socket) => this.#take(raw, accept));
  }

  /** Ends the handshakes, and begins no more. */
  close(): void {
    this.#isClosed = true;
    for (const { raw } of this.#handshakes.values()) raw.destroy();
  }

  #take(raw: Socket, accept: Accept): void {
    // A connection that was interrupted. The close follows.
    raw.on('error', () => undefined);
    const key = keyOf(raw);
    if (this.#isClosed || key === undefined) {
      raw.destroy();
      return;
    }
    const { max_handshakes: most, handshake_timeout_ms: timeoutMs } = this.certificates.settings;
    if (this.#handshakes.size >= most) this.#endOldest();
    const timer = setTimeout(() => this.#end(raw, 'timeout'), timeoutMs);
    this.#handshakes.set(key, { raw, timer, accept });
    raw.once('close', () => {
      if (this.#handshakes.get(key)?.raw !== raw) return;
      this.#failed.protocol++;
      this.#forget(key, raw);
    });
    raw.once('readable', () => this.#begin(key, raw));
  }

  /** The first bytes have come, or the connection has ended. */
  #begin(key: string, raw: Socket): void {
    const first = raw.read() as Buffer | null;
    if (first === null || raw.destroyed) {
      raw.destroy();
      return;
    }
    if (first[0] === HANDSHAKE_RECORD) {
      raw.unshift(first);
      this.#tls.emit('connection', raw);
      return;
    }
    this.#failed.plain++;
    this.#forget(key, raw);
    raw.resume();
    endAndLinger(raw, this.plainAnswer);
  }

  #secured(socket: TLSSocket): void {
    const key = keyOf(socket);
    const handshake = key === undefined ? undefined : this.#handshakes.get(key);
    if (key === undefined || handshake === undefined) {
      socket.destroy();
      return;
    }
    this.#forget(key, handshake.raw);
    if (!socket.authorized && hasCertificate(socket)) {
      this.#failed.certificate++;
      socket.destroy();
      return;
    }
    handshake.accept(socket);
  }

  #endOldest(): void {
    for (const { raw } of this.#handshakes.values()) {
      this.#end(raw, 'crowded');
      return;
    }
  }

  #end(raw: Socket, why: HandshakeFailure): void {
    this.#failed[why]++;
    const key = keyOf(raw);
    if (key !== undefined) this.#forget(key, raw);
    raw.destroy();
  }

  #forget(key: string, raw: Socket): void {
    const handshake = this.#handshakes.get(key);
    if (handshake?.raw !== raw) return;
    clearTimeout(handshake.timer);
    this.#handshakes.delete(key);
  }
}

/** Whether the client has shown a certificate, good or bad. */
function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerX509Certificate() !== undefined;
}

/** Both ends of a connection, which tell it from all others that are open; undefined if it is gone. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  if (remoteAddress === undefined || localAddress === undefined) return undefined;
  return `${remoteAddress} ${remotePort ?? 0} ${localAddress} ${localPort ?? 0}`;
}
