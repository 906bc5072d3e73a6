/** Requests that are operations on a target: what they are about is found, what becomes of them is counted. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';
import type { ErrorCode } from '../errors.js';
import type { Operation } from '../metrics/operation-meter.js';
import type { ExecutionPool } from '../provider/execution-pool.js';
import { targetOf, type ProviderManager } from '../provider/manager.js';
import type { Target } from '../target/index.js';
import { ClientGone, toBedrockError } from './problem.js';
import { naturalNumber } from './query.js';

/** A request and what it is about. */
export interface Exchange<R extends RouteGenericInterface> {
  readonly request: FastifyRequest<R>;
  readonly reply: FastifyReply<R>;
  readonly target: Target;
  /** Admits the calls of the target. */
  readonly pool: ExecutionPool;
  /** Bytes of regions that were moved; the handler sets it. */
  bytes: number;
  /** Why it broke off after the response had begun; the handler sets it instead of throwing. */
  failure?: unknown;
}

interface TargetRoute extends RouteGenericInterface {
  Params: { provider: string };
  Querystring: { target?: string };
}

type RouteHandler<R extends RouteGenericInterface> = (
  request: FastifyRequest<R>,
  reply: FastifyReply<R>,
) => Promise<unknown>;

/** Has the route that a request goes to answer with this error, as if it had met it itself. */
export function presetFailure(request: IncomingMessage, error: unknown): void {
  presetFailures.set(request, { error });
}

const presetFailures = new WeakMap<IncomingMessage, { error: unknown }>();

/** Makes handlers of routes below `/v1/providers/:provider`. An operation takes until its handler ends. */
export function operationsOf(providers: ProviderManager) {
  return <R extends TargetRoute>(
      operation: Operation,
      handle: (exchange: Exchange<R>) => Promise<unknown>,
    ): RouteHandler<R> =>
    async (request, reply) => {
      const begun = performance.now();
      const provider = providers.get((request.params as TargetRoute['Params']).provider);
      const number = (request.query as TargetRoute['Querystring']).target;
      const index = number === undefined ? 0 : naturalNumber('target', number);
      const target = targetOf(provider, index);
      const figures = provider.meters[index]?.[operation];
      const exchange: Exchange<R> = {
        request,
        reply,
        target,
        pool: provider.pool,
        bytes: 0,
        failure: undefined,
      };
      try {
        const preset = presetFailures.get(request.raw);
        if (preset !== undefined) throw preset.error;
        const answer = await handle(exchange);
        if (exchange.failure !== undefined)
          figures?.recordFailure(codeOf(exchange.failure), performance.now() - begun);
        else figures?.record(exchange.bytes, performance.now() - begun);
        return answer;
      } catch (error) {
        figures?.recordFailure(codeOf(error), performance.now() - begun);
        throw error;
      }
    };
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof ClientGone ? 'ABORTED' : toBedrockError(error).code;
}
