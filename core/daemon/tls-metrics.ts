/**
 * Metrics of TLS: the certificate, and the connections whose handshake failed. docs/metrics.md
 * lists them.
 */
import type { Registry } from 'prom-client';
import type { TlsCertificates } from '../net/tls-certificates.js';
import type { TlsFigures } from '../net/tls-front.js';
import { register } from '../runtime/register-metric.js';

/**
 * Registers the metrics. Their values are read when they are requested.
 * @param figures those of each door that has TLS
 */
export function registerTlsMetrics(
  metrics: Registry,
  certificates: TlsCertificates,
  figures: () => Readonly<Record<string, TlsFigures | undefined>>,
): void {
  const expiry = "End of the certificate's validity, seconds since the epoch.";
  register(metrics, 'gauge', 'bedrock_tls_certificate_not_after_seconds', expiry, () => [
    { labels: {}, value: certificates.notAfter.getTime() / 1000 },
  ]);
  const refused = 'Changed certificates that could not be used.';
  register(metrics, 'counter', 'bedrock_tls_renewal_failures_total', refused, () => [
    { labels: {}, value: certificates.failures },
  ]);
  const doors = (): [door: string, figures: TlsFigures][] =>
    Object.entries(figures()).filter((entry): entry is [string, TlsFigures] => entry[1] !== undefined);
  register(metrics, 'gauge', 'bedrock_tls_handshakes', 'Connections whose handshake is not done.', () =>
    doors().map(([door, { handshakes }]) => ({ labels: { door }, value: handshakes })),
  );
  register(metrics, 'counter', 'bedrock_tls_connections_total', 'Connections that were encrypted.', () =>
    doors().map(([door, { secured }]) => ({ labels: { door }, value: secured })),
  );
  const failed = 'Connections that were closed before they were encrypted.';
  register(metrics, 'counter', 'bedrock_tls_handshake_failures_total', failed, () =>
    doors().flatMap(([door, { failed: counts }]) =>
      Object.entries(counts).map(([reason, value]) => ({ labels: { door, reason }, value })),
    ),
  );
}
