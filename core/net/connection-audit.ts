/**
 * Records in the audit log the connections that are refused before their first request: by a limit, in the handshake of TLS, or because of
 * the user at the other end of a unix socket.
 */
import type { Socket } from 'node:net';
import type { BedrockError, ErrorCode } from '../base/errors.js';
import { type AuditLog, originOf } from '../security/audit.js';
import type { PeerUser } from './peer-users.js';
import type { FailedHandshake, HandshakeFailure } from './tls-front.js';

/** The code that says what was wrong with a handshake. */
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

  /** A limit has refused it. */
  limited(socket: Socket, { code }: BedrockError): void {
    this.#refused(socket, 'connection', code);
  }

  /** Its handshake has failed. One that its client has broken off was aborted. */
  readonly unsecured = ({ raw, why, detail }: FailedHandshake): void => {
    const hasLeft = why === 'protocol' && detail === undefined;
    const outcome = hasLeft ? 'ABORTED' : OUTCOMES[why];
    this.#refused(raw, detail === undefined ? 'TLS handshake' : `TLS handshake: ${detail}`, outcome);
  };

  /** Its user may not use the unix socket. */
  readonly foreign = (socket: Socket, user: PeerUser | undefined): void => {
    this.#refused(socket, 'connection', 'FORBIDDEN', user && `uid ${user.uid} gid ${user.gid}`);
  };

  #refused(socket: Socket, what: string, outcome: ErrorCode, who = 'anonymous'): void {
    this.audit.refused({ door: this.door, who, from: originOf(socket), what, outcome });
  }
}
