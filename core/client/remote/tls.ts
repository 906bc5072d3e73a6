/** TLS of a client: its options, and what to tell when a connection cannot be made. */
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { messageOf, systemCodeOf } from '../../base/errors.js';
import { propertyOf } from '../../base/plain.js';
import type { TlsOptions } from '../../contract/remote-provider.js';

/** The options of `tls.connect` for a host. */
export function tlsOptionsFor(
  host: string,
  { ca, cert, key }: TlsOptions,
): Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'minVersion' | 'servername'> {
  return {
    ...(ca !== undefined && { ca: bufferOf(ca) }),
    ...(cert !== undefined && { cert: bufferOf(cert) }),
    ...(key !== undefined && { key: bufferOf(key) }),
    minVersion: 'TLSv1.2',
    // An IP address is not a name of SNI (RFC 6066, 3).
    ...(isIP(host) === 0 && { servername: host }),
  };
}

function bufferOf(pem: string | Uint8Array): string | Buffer {
  return typeof pem === 'string' ? pem : Buffer.from(pem);
}

const UNKNOWN_ISSUER =
  'its certificate is not signed by an authority that this client trusts; give the certificate of its issuer (connect: tls.ca; command line: --cacert or BEDROCK_CACERT)';
const SHOW_ONE =
  'the daemon takes only clients with a certificate that its client_ca has signed; give one (connect: tls.cert and tls.key; command line: --cert and --key)';
const NO_TLS = 'what answers there speaks no TLS; connect with';
const BROKE_OFF =
  'it closed the connection during the handshake; it may refuse the certificate of this client, or have too many connections';

/** What the peer or its certificate lacks, and what to do, by codes of OpenSSL and Node.js. */
const REASONS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_ISSUER,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_ISSUER,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_ISSUER,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_ISSUER,
  CERT_UNTRUSTED: UNKNOWN_ISSUER,
  CERT_SIGNATURE_FAILURE: UNKNOWN_ISSUER,
  CERT_HAS_EXPIRED: "its certificate, or an issuer's, has expired; renew it, or look at this machine's clock",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; look at this machine's clock",
  CERT_REVOKED: 'its certificate was revoked',
  INVALID_PURPOSE: 'its certificate is not one for servers',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: SHOW_ONE,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: SHOW_ONE,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: SHOW_ONE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: SHOW_ONE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "this client's certificate has expired; renew it",
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: `the handshake failed: ${SHOW_ONE}`,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it speaks no version of TLS that this client speaks',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no version of TLS that this client speaks',
};

/** Codes for an answer that is not TLS. */
const NOT_TLS = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'];

/**
 * @param url address of the daemon, `https://…` or `resps://…`
 * @returns what is wrong and what to do about it, for an error of TLS; undefined for any other error
 */
export function tlsFailure(error: unknown, url: string): string | undefined {
  const code = systemCodeOf(error) ?? '';
  if (NOT_TLS.includes(code))
    return `${NO_TLS} ${url.replace(/^(https|resps):/, (scheme) => `${scheme.slice(0, -2)}:`)}`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = propertyOf(propertyOf(error, 'cert'), 'subjectaltname');
    const whom = typeof names === 'string' ? names : 'nobody';
    return `its certificate is for another host, ${whom}; connect by a name that it has, or let it have this one`;
  }
  const reason = REASONS[code];
  if (reason !== undefined) return reason;
  if (code === 'ECONNRESET' && /before secure TLS connection/.test(messageOf(error))) return BROKE_OFF;
  return /^ERR_(SSL|TLS|OSSL)_/.test(code) ? `TLS failed: ${messageOf(error)}` : undefined;
}
