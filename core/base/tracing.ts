/**
 * Spans of operations, through the API of OpenTelemetry. They exist in a process that has the
 * package @opentelemetry/api and has registered a tracer provider before its first daemon starts.
 * Otherwise `tracing` is undefined, and the code that would report something makes only this check.
 *
 * A request that may wait has its span from the start (`during`), so that its requests to other
 * daemons belong to it. A request that is done at once gets its span afterwards. A span is exported
 * only if it becomes an operation (`operation`): health checks leave none.
 *
 * The headers are those of W3C Trace Context, read and written here: they need no propagator.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type * as Api from '@opentelemetry/api';
import type { Context, Span, Tracer } from '@opentelemetry/api';

/** Headers of a request, in lower case. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** An operation that has ended. */
export interface TracedOperation {
  readonly provider: string;
  readonly target: number;
  readonly operation: string;
  /** Bytes of regions that it moved. */
  readonly bytes: number;
  /** When its request came, by performance.now(). */
  readonly begun: number;
  /** Code of its error. */
  readonly code?: string;
}

interface Request {
  readonly span: Span;
  readonly door: string;
  hasEnded: boolean;
}

/**
 * The request that is being carried out. There is one context for all daemons of the process, since
 * they call each other.
 */
const requests = new AsyncLocalStorage<Request>();

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export class Tracing {
  readonly #tracer: Tracer;

  constructor(
    private readonly api: typeof Api,
    version: string,
  ) {
    this.#tracer = api.trace.getTracer('bedrock-node', version);
  }

  /** Carries out a request. @param headers the headers of the request */
  during<T>(door: string, headers: Headers, run: () => T): T {
    const { SpanKind } = this.api;
    const span = this.#tracer.startSpan('bedrock', { kind: SpanKind.SERVER }, this.#parentOf(headers));
    return requests.run({ span, door, hasEnded: false }, run);
  }

  /**
   * Reports an operation that has ended. The first one becomes the span of the request, and others
   * of the same request belong to it.
   */
  operation({ provider, target, operation, bytes, begun, code }: TracedOperation): void {
    const { SpanKind, SpanStatusCode, ROOT_CONTEXT, trace } = this.api;
    const request = requests.getStore();
    // Outside a request: one of the Redis protocol, which was done at once.
    const door = request?.door ?? 'resp';
    let span = request?.span;
    if (request === undefined || span === undefined || request.hasEnded) {
      const parent = span === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, span);
      const startTime = performance.timeOrigin + begun;
      span = this.#tracer.startSpan('bedrock', { kind: SpanKind.SERVER, startTime }, parent);
    } else request.hasEnded = true;
    span.updateName(`bedrock ${operation}`);
    span.setAttributes({
      'bedrock.door': door,
      'bedrock.provider': provider,
      'bedrock.target': target,
      'bedrock.operation': operation,
      'bedrock.bytes': bytes,
    });
    if (code !== undefined) {
      span.setAttribute('error.type', code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    }
    span.end();
  }

  /** Headers that tell another daemon from which request a call comes. */
  headers(): Record<string, string> | undefined {
    const context = requests.getStore()?.span.spanContext();
    if (context === undefined || !this.api.isSpanContextValid(context)) return undefined;
    const { traceId, spanId, traceFlags, traceState } = context;
    const flags = traceFlags.toString(16).padStart(2, '0');
    const state = traceState?.serialize() ?? '';
    return { traceparent: `00-${traceId}-${spanId}-${flags}`, ...(state !== '' && { tracestate: state }) };
  }

  #parentOf({ traceparent, tracestate }: Headers): Context {
    const { ROOT_CONTEXT, createTraceState, isSpanContextValid, trace } = this.api;
    const [, traceId, spanId, flags] =
      (typeof traceparent === 'string' && TRACEPARENT.exec(traceparent)) || [];
    if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
    const context = {
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
      ...(typeof tracestate === 'string' && { traceState: createTraceState(tracestate) }),
    };
    return isSpanContextValid(context) ? trace.setSpanContext(ROOT_CONTEXT, context) : ROOT_CONTEXT;
  }
}

/** Undefined if there is no tracer provider. */
export let tracing: Tracing | undefined;

/** Looks for a tracer provider; it serves all daemons of the process. */
export async function findTracing(version: string): Promise<void> {
  let api: typeof Api;
  try {
    api = await import('@opentelemetry/api');
  } catch {
    tracing = undefined;
    return;
  }
  // Without a provider, the API makes spans without an identity. This span is never ended, so it is
  // not exported.
  const probe = api.trace.getTracer('bedrock-node', version).startSpan('bedrock');
  const isThere = api.isSpanContextValid(probe.spanContext());
  tracing = isThere ? new Tracing(api, version) : undefined;
}
