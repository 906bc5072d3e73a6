/**
 * Records requests over HTTP in the audit log: administrative calls, when their answers have ended,
 * and refused requests.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BedrockError } from '../base/errors.js';
import { type AuditEvent, type AuditLog, DONE, originOf, REFUSALS } from '../security/audit.js';

export class HttpAudit {
  /** Requests that are recorded as administrative calls. */
  readonly #calls = new WeakSet<IncomingMessage>();

  /** @param whoSends says who sends a request, whether it was admitted or not */
  constructor(
    private readonly audit: AuditLog,
    private readonly whoSends: (request: IncomingMessage) => string | undefined,
  ) {}

  /** Records the request when its answer has ended, or its client has gone. */
  watch(request: FastifyRequest, { raw: response }: FastifyReply): void {
    const { raw } = request;
    if (this.#calls.has(raw)) return;
    this.#calls.add(raw);
    const event = this.#eventOf(request);
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
      this.audit.refused({ ...this.#eventOf(request), outcome: code });
  }

  #eventOf({ raw }: FastifyRequest): Omit<AuditEvent, 'outcome'> {
    const [path = ''] = (raw.url ?? '').split('?', 1);
    return {
      door: 'http',
      who: this.whoSends(raw) ?? 'anonymous',
      from: originOf(raw.socket),
      what: `${raw.method ?? ''} ${path}`,
    };
  }
}
