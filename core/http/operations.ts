/** Requests that are operations on a target: what they are about is found, what becomes of them is counted. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';
import type { ErrorCode } from '../base/errors.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { Target } from '../contract/target.js';
import type { Operation } from '../runtime/operation-meter.js';
import { type ProviderManager, targetOf } from '../runtime/provider-manager.js';
import { checkedTarget } from '../targets/checked-target.js';
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

/** What the fast path knows of a request that it passes on to its route. */
interface Handover {
  /** When it arrived. */
  readonly begun: number;
  /** What the route answers with, as if it had met it itself. */
  readonly failure: { readonly error: unknown } | undefined;
}

const handovers = new WeakMap<IncomingMessage, Handover>();

/** Passes a request on that was admitted when it came; its route serves it whatever has happened since. */
export function handOver(request: IncomingMessage, begun: number, failure?: Handover['failure']): void {
  handovers.set(request, { begun, failure });
}

export function isHandedOver(request: IncomingMessage): boolean {
  return handovers.has(request);
}

type Handle<R extends TargetRoute> = (exchange: Exchange<R>) => Promise<unknown>;

/** Makes handlers of routes below `/v1/providers/:provider`. An operation takes until its handler ends. */
export function operationsOf(providers: ProviderManager) {
  return <R extends TargetRoute>(operation: Operation, handle: Handle<R>): RouteHandler<R> => {
    return async (request, reply) => {
      const { begun, failure } = handovers.get(request.raw) ?? {
        begun: performance.now(),
        failure: undefined,
      };
      const provider = providers.get((request.params as TargetRoute['Params']).provider);
      const number = (request.query as TargetRoute['Querystring']).target;
      const index = number === undefined ? 0 : naturalNumber('target', number);
      const target = checkedTarget(targetOf(provider, index));
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
        if (failure !== undefined) throw failure.error;
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
  };
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof ClientGone ? 'ABORTED' : toBedrockError(error).code;
}
