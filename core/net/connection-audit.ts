/**
 * Records connections that are refused before their first request in the audit log: by a limit, in
 * the handshake of TLS, or because of the user at the other end of a unix socket.
 */
import type { Socket } from 'node:net';
import type { BedrockError, ErrorCode } from '../base/errors.js';
import { type AuditLog, originOf } from '../security/audit.js';
import type { PeerUser } from './peer-users.js';
import type { FailedHandshake, HandshakeFailure } from './tls-front.js';

/** The error code for each kind of failed handshake. */
const OUTCOMES: Record<HandshakeFailure, ErrorCode> = {
  plain: 'INVALID_ARGUMENT',
  timeout: 'REQUEST_TIMEOUT',
  crowded: 'OVERLOADED',
  certificate: 'UNAUTHENTICATED',
  protocol: 'INVALID_ARGUMENT',
};

export class ConnectionAudit {
  /** @param door as in `AuditEvent` */
  constructor(
    private readonly audit: AuditLog,
    private readonly door: string,
  ) {}

  /** Records a connection that a limit has refused. */
  limited(socket: Socket, { code }: BedrockError): void {
    this.#refused(socket, 'connection', code);
  }

  /** Records a connection whose handshake has failed. If its client has left, the code is ABORTED. */
  readonly unsecured = ({ raw, why, detail }: FailedHandshake): void => {
    const hasLeft = why === 'protocol' && detail === undefined;
    const outcome = hasLeft ? 'ABORTED' : OUTCOMES[why];
    this.#refused(raw, detail === undefined ? 'TLS handshake' : `TLS handshake: ${detail}`, outcome);
  };

  /** Records a connection whose user may not use the unix socket. */
  readonly foreign = (socket: Socket, user: PeerUser | undefined): void => {
    this.#refused(socket, 'connection', 'FORBIDDEN', user && `uid ${user.uid} gid ${user.gid}`);
  };

  #refused(socket: Socket, what: string, outcome: ErrorCode, who = 'anonymous'): void {
    this.audit.refused({ door: this.door, who, from: originOf(socket), what, outcome });
  }
}
