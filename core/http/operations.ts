/** Requests that are operations on a target: finds the provider and target, and counts the results. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';
import type { ErrorCode } from '../base/errors.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { Target } from '../contract/target.js';
import type { HeldSpace } from '../runtime/held-space.js';
import type { Operation } from '../runtime/operation-meter.js';
import { type ProviderManager, servedTarget } from '../runtime/provider-manager.js';
import type { ServingProvider } from '../runtime/served-target.js';
import { ClientGone, toBedrockError } from './problem.js';
import { naturalNumber } from './query.js';

/** A request with its provider and target. */
export interface Exchange<R extends RouteGenericInterface> {
  readonly request: FastifyRequest<R>;
  readonly reply: FastifyReply<R>;
  readonly target: Target;
  /** The provider that has the target. */
  readonly provider: ServingProvider;
  /** Admits the calls of the target. */
  readonly executionPool: ExecutionPool;
  /** Creates regions. */
  readonly space: HeldSpace;
  /** Bytes of region contents transferred; set by the handler. */
  bytes: number;
  /** Why the response broke off after it had begun; the handler sets it instead of throwing. */
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

/** What the fast path tells the route about a request that it passes on. */
interface Handover {
  /** When the request arrived. */
  readonly begun: number;
  /** The error that the route answers with, as if it had occurred there. */
  readonly failure: { readonly error: unknown } | undefined;
}

const handovers = new WeakMap<IncomingMessage, Handover>();

/** Passes on a request that was admitted when it came. Its route serves it, whatever has happened since. */
export function handOver(request: IncomingMessage, begun: number, failure?: Handover['failure']): void {
  handovers.set(request, { begun, failure });
}

export function isHandedOver(request: IncomingMessage): boolean {
  return handovers.has(request);
}

type Handle<R extends TargetRoute> = (exchange: Exchange<R>) => Promise<unknown>;

/** Makes handlers of routes below `/v1/providers/:provider`. An operation lasts until its handler ends. */
export function operationsOf(providers: ProviderManager) {
  return <R extends TargetRoute>(operation: Operation, handle: Handle<R>): RouteHandler<R> => {
    return async (request, reply) => {
      const { begun, failure } = handovers.get(request.raw) ?? {
        begun: performance.now(),
        failure: undefined,
      };
      const provider = providers.get((request.params as TargetRoute['Params']).provider);
      const number = (request.query as TargetRoute['Querystring']).target;
      const served = servedTarget(provider, number === undefined ? 0 : naturalNumber('target', number));
      const exchange: Exchange<R> = {
        request,
        reply,
        target: served.target,
        provider: served.provider,
        executionPool: served.executionPool,
        space: served.space,
        bytes: 0,
        failure: undefined,
      };
      served.requests.enter();
      try {
        if (failure !== undefined) throw failure.error;
        const answer = await handle(exchange);
        if (exchange.failure !== undefined) served.recordFailure(operation, codeOf(exchange.failure), begun);
        else served.record(operation, exchange.bytes, begun);
        return answer;
      } catch (error) {
        served.recordFailure(operation, codeOf(error), begun);
        throw error;
      } finally {
        served.requests.leave();
      }
    };
  };
}

function codeOf(error: unknown): ErrorCode {
  return error instanceof ClientGone ? 'ABORTED' : toBedrockError(error).code;
}
