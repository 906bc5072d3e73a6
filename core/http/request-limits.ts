/**
 * The limits of `bedrock.limits` at the HTTP door. Each request is counted before anything else
 * looks at it. A request beyond a limit is passed to the routes, which answer it with the error,
 * and neither read its body nor look up what it is for.
 */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { BedrockError } from '../base/errors.js';
import { clientOf, type Limits } from '../security/limits.js';
import type { RequestAccess } from './route-access.js';

export class RequestLimits {
  readonly #refused = new WeakMap<IncomingMessage, BedrockError>();
  /** Bytes of a connection that are already counted. */
  readonly #charged = new WeakMap<Socket, number>();

  constructor(
    private readonly limits: Limits,
    private readonly access: RequestAccess | undefined,
  ) {}

  /** @throws RATE_LIMITED for a request beyond a limit */
  check(request: IncomingMessage): void {
    const refusal = this.#refused.get(request);
    if (refusal !== undefined) throw refusal;
  }

  /** Adds these limits to a check of requests, before everything else. */
  before(guard: (request: IncomingMessage) => void): (request: IncomingMessage) => void {
    return (request) => {
      this.check(request);
      guard(request);
    };
  }

  /** Counts the requests of a listener. */
  counting(listener: RequestListener): RequestListener {
    const { limits } = this;
    return (request, response) => {
      const { socket } = request;
      const client = clientOf(this.access?.whoSends(request), socket);
      if (client !== undefined) {
        const refusal = limits.admit(client);
        if (refusal !== undefined) this.#refused.set(request, refusal);
        response.once('close', () => {
          const moved = socket.bytesRead + socket.bytesWritten;
          limits.charge(client, moved - (this.#charged.get(socket) ?? 0));
          this.#charged.set(socket, moved);
        });
      }
      listener(request, response);
    };
  }
}
