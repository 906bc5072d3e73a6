/**
 * Identifies a client by its connection: by its certificate, or by the user and the group that the
 * system reports for a unix socket. A token that is presented on the connection replaces this
 * identity.
 *
 * The certificate was checked in the handshake: an authority of `bedrock.tls.client_ca` has signed
 * it, and so vouches for its names. A client that matches no entry of the configuration has no
 * rights.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import type { CertificateGrantConfig, PeerGrantConfig } from '../../schemas/generated/bedrock.js';
import { Authority, type Grant } from './identity.js';

export class SocketIdentities {
  /**
   * @param credentials asks the system who is at the other end of a unix socket; needed if there
   *   are peers
   */
  constructor(
    private readonly certificates: readonly CertificateGrantConfig[] = [],
    private readonly peers: readonly PeerGrantConfig[] = [],
    private readonly credentials?: (socket: Socket) => { uid: number; gid: number } | undefined,
  ) {}

  /** @returns undefined for a client that shows nothing, or that matches no entry */
  of(socket: Socket): Authority | undefined {
    if (socket instanceof TLSSocket) return this.#ofCertificate(socket);
    return this.#ofPeer(socket);
  }

  #ofCertificate(socket: TLSSocket): Authority | undefined {
    if (this.certificates.length === 0 || !socket.authorized) return undefined;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    const subject = certificate.subject.split('\n');
    const names = namesOf(certificate);
    const grants = this.certificates
      .filter((entry) =>
        entry.subject === undefined ? names.includes(entry.san ?? '') : subject.includes(entry.subject),
      )
      .flatMap((entry) => entry.grants as Grant[]);
    if (grants.length === 0) return undefined;
    const expiresAt = Date.parse(certificate.validTo);
    return new Authority({ kind: 'certificate', name: subject.join(','), grants, expiresAt });
  }

  #ofPeer(socket: Socket): Authority | undefined {
    // Over TCP the system reports no user.
    if (this.credentials === undefined || socket.remoteAddress !== undefined) return undefined;
    const peer = this.credentials(socket);
    if (peer === undefined) return undefined;
    const grants = this.peers
      .filter(({ uid, gid }) => (uid === undefined ? gid === peer.gid : uid === peer.uid))
      .flatMap((entry) => entry.grants as Grant[]);
    return grants.length === 0 ? undefined : new Authority({ kind: 'uid', name: String(peer.uid), grants });
  }
}

/**
 * The alternative names, such as `DNS:app.example`. A name with a comma or a quote is in quotes, so
 * that it cannot look like two.
 */
function namesOf({ subjectAltName: text = '' }: X509Certificate): string[] {
  return [...text.matchAll(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g)].map(([name]) => name.trim());
}
