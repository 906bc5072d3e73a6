/**
 * TLS in front of a door: connections reach the door's server when their handshake is done.
 *
 * The first byte of a connection tells whether its client speaks TLS. A client that does not gets
 * an answer in the door's own protocol that says so. A handshake has a time-out as a whole, however
 * slowly its bytes come. The number of handshakes is limited: a further one closes the oldest. So
 * clients that stall hold neither connections nor memory for long, and cannot keep out a client
 * that answers in time.
 */
import type { Server, Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { endAndLinger } from './linger.js';
import type { TlsCertificates } from './tls-certificates.js';

/** First byte of a TLS connection: a record of the handshake (RFC 8446, 5.1). */
const HANDSHAKE_RECORD = 22;

/** Why connections failed before they were encrypted; the label of a metric. */
export type HandshakeFailure = 'plain' | 'timeout' | 'crowded' | 'certificate' | 'protocol';

export interface TlsFigures {
  /** Connections whose handshake is not done. */
  readonly handshakes: number;
  /** Connections that came through. */
  readonly secured: number;
  readonly failed: Readonly<Record<HandshakeFailure, number>>;
}

/** A connection that failed before it was encrypted. */
export interface FailedHandshake {
  readonly raw: Socket;
  readonly why: HandshakeFailure;
  /** The code of Node.js or OpenSSL; undefined if the client has just left. */
  readonly detail?: string;
}

interface Handshake {
  readonly raw: Socket;
  readonly timer: NodeJS.Timeout;
  /** The client has sent something. */
  hasBegun: boolean;
  fault?: Pick<FailedHandshake, 'why' | 'detail'>;
}

type Accept = (socket: Socket) => void;

/** OpenSSL's code for a client that should have shown a certificate. */
const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

export class TlsFront {
  /** Called for each connection that fails, unless its client has left without sending anything. */
  onFailed: (failed: FailedHandshake) => void = () => undefined;
  readonly #tls: TlsServer;
  readonly #handshakes = new Map<string, Handshake & { readonly accept: Accept }>();
  /** The handshakes that Node.js has begun, by their connection. */
  readonly #begun = new WeakMap<Socket, Handshake>();
  readonly #failed = { plain: 0, timeout: 0, crowded: 0, certificate: 0, protocol: 0 };
  #secured = 0;
  #isClosed = false;

  /** @param plainAnswer the answer for a client that does not speak TLS */
  constructor(
    private readonly certificates: TlsCertificates,
    private readonly plainAnswer: string,
  ) {
    const { client_ca: ca, client_certificates: wanted } = certificates.settings;
    this.#tls = createServer({
      ...certificates.options,
      requestCert: ca !== undefined,
      rejectUnauthorized: wanted === 'required',
      // This time-out counts from the first byte to the last; that of Node.js restarts.
      handshakeTimeout: 2 * certificates.settings.handshake_timeout_ms,
    });
    certificates.onRenewed((options) => this.#tls.setSecureContext(options));
    this.#tls.on('secureConnection', (socket) => this.#accept(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#failedWith(error, socket));
  }

  get figures(): TlsFigures {
    return { handshakes: this.#handshakes.size, secured: this.#secured, failed: this.#failed };
  }

  /**
   * Makes a server see its connections only when they are encrypted. Call it when all its listeners
   * are added, before it listens.
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
    const timer = setTimeout(() => this.#end(handshake, 'timeout'), timeoutMs);
    const handshake: Handshake & { accept: Accept } = { raw, timer, accept, hasBegun: false };
    this.#handshakes.set(key, handshake);
    raw.once('close', () => {
      if (!this.#forget(key, raw)) return;
      // For a certificate that it does not trust, Node.js says so after the close.
      setImmediate(() => this.#count(handshake, handshake.fault ?? { why: 'protocol' }));
    });
    raw.once('readable', () => this.#begin(key, handshake));
  }

  /** The first bytes have come, or the connection has ended. */
  #begin(key: string, handshake: Handshake): void {
    const { raw } = handshake;
    const first = raw.read() as Buffer | null;
    if (first === null || raw.destroyed) {
      raw.destroy();
      return;
    }
    handshake.hasBegun = true;
    if (first[0] === HANDSHAKE_RECORD) {
      this.#begun.set(raw, handshake);
      // Its encrypted socket handles this from now on. Otherwise a client that leaves during the
      // handshake would be counted until the time-out.
      raw.allowHalfOpen = false;
      raw.unshift(first);
      this.#tls.emit('connection', raw);
      return;
    }
    this.#count(handshake, { why: 'plain' });
    this.#forget(key, raw);
    raw.resume();
    endAndLinger(raw, this.plainAnswer);
  }

  #accept(socket: TLSSocket): void {
    const key = keyOf(socket);
    const handshake = key === undefined ? undefined : this.#handshakes.get(key);
    if (key === undefined || handshake === undefined) {
      socket.destroy();
      return;
    }
    this.#forget(key, handshake.raw);
    socket.allowHalfOpen = true;
    if (!socket.authorized && hasCertificate(socket)) {
      this.#count(handshake, { why: 'certificate', ...detailOf(socket.authorizationError) });
      socket.destroy();
      return;
    }
    this.#secured++;
    handshake.accept(socket);
  }

  /** Node.js has given up a handshake. The close of its connection follows, or came just before. */
  #failedWith(error: Error, socket: TLSSocket): void {
    const raw = (socket as { _parent?: Socket })._parent;
    const handshake = raw && this.#begun.get(raw);
    // OpenSSL has codes of its own; any other error means that the connection was lost.
    const code = String((error as NodeJS.ErrnoException).code);
    const untrusted = detailOf(socket.authorizationError);
    if (handshake !== undefined) {
      if (untrusted !== undefined) handshake.fault = { why: 'certificate', ...untrusted };
      else if (code === NO_CERTIFICATE) handshake.fault = { why: 'certificate', detail: code };
      else if (code.startsWith('ERR_')) handshake.fault = { why: 'protocol', detail: code };
    }
    socket.destroy();
  }

  #endOldest(): void {
    for (const handshake of this.#handshakes.values()) {
      this.#end(handshake, 'crowded');
      return;
    }
  }

  #end(handshake: Handshake, why: HandshakeFailure): void {
    const { raw } = handshake;
    this.#count(handshake, { why });
    const key = keyOf(raw);
    if (key !== undefined) this.#forget(key, raw);
    raw.destroy();
  }

  #count({ raw, hasBegun }: Handshake, fault: Omit<FailedHandshake, 'raw'>): void {
    this.#failed[fault.why]++;
    // A client that only checks whether the port is open connects and leaves.
    const isProbe = !hasBegun && fault.why === 'protocol';
    if (!isProbe && !this.#isClosed) this.onFailed({ raw, ...fault });
  }

  /** @returns whether it was there */
  #forget(key: string, raw: Socket): boolean {
    const handshake = this.#handshakes.get(key);
    if (handshake?.raw !== raw) return false;
    clearTimeout(handshake.timer);
    return this.#handshakes.delete(key);
  }
}

/** Why a certificate is not trusted. Node.js gives a code, whatever its types say, and null for none. */
function detailOf(error: unknown): { detail: string } | undefined {
  return typeof error === 'string' ? { detail: error } : undefined;
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
