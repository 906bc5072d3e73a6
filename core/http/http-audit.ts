/**
 * Records requests over HTTP in the audit log: administrative calls, when their answers have ended,
 * and refused requests.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BedrockError } from '../base/errors.js';
import { type AuditLog, DONE, originOf, REFUSALS } from '../security/audit.js';

export class HttpAudit {
  /** Requests that are recorded as administrative calls. */
  readonly #calls = new WeakSet<IncomingMessage>();

  constructor(private readonly audit: AuditLog) {}

  /** Records the request when its answer has ended, or its client has gone. */
  watch(request: FastifyRequest, { raw: response }: FastifyReply): void {
    const { raw } = request;
    if (this.#calls.has(raw)) return;
    this.#calls.add(raw);
    const event = eventOf(request);
    response.once('close', () => {
      const code = response.getHeader('error-code');
      const failed = typeof code === 'string' ? code : String(response.statusCode);
      const done = response.statusCode < 400 ? DONE : failed;
      this.audit.record({ ...event, outcome: response.headersSent ? done : 'ABORTED' });
    });
  }

  /** Records the request if this error refuses it. */
  noteError(request: FastifyRequest, { code }: BedrockError): void {
    if (REFUSALS.has(code) && !this.#calls.has(request.raw))
      this.audit.refused({ ...eventOf(request), outcome: code });
  }
}

function eventOf({ raw, authority }: FastifyRequest): {
  door: string;
  who: string;
  from: string;
  what: string;
} {
  const [path = ''] = (raw.url ?? '').split('?', 1);
  return {
    door: 'http',
    who: authority?.who ?? 'anonymous',
    from: originOf(raw.socket),
    what: `${raw.method ?? ''} ${path}`,
  };
}
