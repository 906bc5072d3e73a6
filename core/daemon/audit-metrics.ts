/** Metrics of the audit log. docs/metrics.md lists them. */
import type { Registry } from 'prom-client';
import { register } from '../runtime/register-metric.js';
import type { AuditLog } from '../security/audit.js';

/** Registers the metrics. Their values are read when they are requested. */
export function registerAuditMetrics(metrics: Registry, audit: AuditLog): void {
  register(metrics, 'counter', 'bedrock_audit_lines_total', 'Lines of the audit log.', () => [
    { labels: {}, value: audit.lines },
  ]);
  const lost = 'Lines of the audit log that could not be written.';
  register(metrics, 'counter', 'bedrock_audit_lines_lost_total', lost, () => [
    { labels: {}, value: audit.lost },
  ]);
  const left = 'Refusals that were counted only, since there were too many in a second.';
  register(metrics, 'counter', 'bedrock_audit_refusals_unrecorded_total', left, () => [
    { labels: {}, value: audit.unrecorded },
  ]);
}
