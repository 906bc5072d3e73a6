/** Spans of operations: with a tracer provider of the process each door makes them, and other daemons continue them. */
import { afterEach, expect, it } from '@jest/globals';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { fileURLToPath } from 'node:url';
import { tracing } from '../../core/base/tracing.js';
import { closeDaemons, memoryStore, runDaemon } from '../http/running-daemon.js';
import { closeDoors, RunningDoor } from '../resp/running-door.js';

const PARENT = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const traceparent = `00-${PARENT.traceId}-${PARENT.spanId}-01`;

let exporter: InMemorySpanExporter;
function register(): void {
  exporter = new InMemorySpanExporter();
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
}

/** The spans since the last call. */
function spans(): ReadableSpan[] {
  const found = exporter.getFinishedSpans();
  exporter.reset();
  return found;
}

afterEach(async () => {
  trace.disable();
  await closeDaemons();
  await closeDoors();
});

it('are made for each operation over HTTP, in the trace of the request', async () => {
  register();
  const daemon = await runDaemon({ providers: [memoryStore('store', 42)] });
  const regions = '/v1/providers/store/regions';
  const { id } = (await daemon.call('POST', regions, { body: 'contents' })).json() as { id: string };
  const region = `${regions}/${id}`;
  await daemon.call('GET', '/readyz');
  expect(spans().map(({ name }) => name)).toEqual(['bedrock create']);
  const headers = { traceparent, tracestate: 'vendor=value' };
  for (const path of [region, `${region}?target=0`]) {
    await daemon.call('GET', path, { headers });
    const [span, ...others] = spans();
    expect(others).toEqual([]);
    expect(span).toMatchObject({
      name: 'bedrock read',
      kind: SpanKind.SERVER,
      parentSpanContext: PARENT,
      attributes: {
        'bedrock.door': 'http',
        'bedrock.provider': 'store',
        'bedrock.target': 0,
        'bedrock.operation': 'read',
        'bedrock.bytes': 8,
      },
      status: { code: SpanStatusCode.UNSET },
    });
    expect(span?.spanContext().traceId).toBe(PARENT.traceId);
    expect(span?.spanContext().traceState?.serialize()).toBe('vendor=value');
  }
  const gone = `${regions}/${'0'.repeat(32)}`;
  await daemon.call('GET', gone, { headers: { traceparent: `00-${'0'.repeat(32)}-${PARENT.spanId}-01` } });
  const [failed] = spans();
  expect(failed).toMatchObject({
    attributes: { 'error.type': 'REGION_NOT_FOUND', 'bedrock.bytes': 0 },
    status: { code: SpanStatusCode.ERROR },
  });
  expect(failed?.parentSpanContext).toBeUndefined();
});

it('are made for each operation over the Redis protocol', async () => {
  register();
  const door = await RunningDoor.start();
  const client = await door.client();
  await client.call('SET', 'name', 'contents');
  await client.call('GET', 'name');
  await client.call('GETRANGE', '0'.repeat(32), 0, 1);
  const found = spans();
  expect(found.map(({ attributes }) => attributes['bedrock.operation'])).toEqual(['put', 'read', 'read']);
  expect(found.map(({ attributes }) => attributes['bedrock.door'])).toEqual(['resp', 'resp', 'resp']);
  expect(found.map(({ attributes }) => attributes['error.type'])).toEqual([
    undefined,
    undefined,
    'REGION_NOT_FOUND',
  ]);
  for (const { duration, startTime } of found) {
    expect(duration[0]).toBeLessThan(60);
    expect(Math.abs(startTime[0] - Date.now() / 1000)).toBeLessThan(3600);
  }
});

it('continue at the daemon that a provider depends on', async () => {
  register();
  const far = await runDaemon({ providers: [memoryStore('far', 1)] });
  const near = await runDaemon({
    libraries: [fileURLToPath(new URL('../../examples/backend-tiered/index.js', import.meta.url))],
    providers: [
      memoryStore('cache', 1),
      {
        name: 'near',
        type: 'warabi',
        dependencies: { cache: 'cache', store: `far@${far.url}` },
        config: { target: { type: 'tiered' } },
      },
    ],
  });
  spans();
  const answer = await near.call('PUT', '/v1/providers/near/names/a', {
    body: 'contents',
    headers: { traceparent },
  });
  expect(answer.status).toBe(201);
  const found = spans();
  const own = found.find(({ attributes }) => attributes['bedrock.provider'] === 'near');
  const other = found.filter(({ attributes }) => attributes['bedrock.provider'] === 'far');
  expect(own?.parentSpanContext).toMatchObject(PARENT);
  expect(other.length).toBeGreaterThan(0);
  for (const span of other)
    expect(span.parentSpanContext).toMatchObject({
      traceId: PARENT.traceId,
      spanId: own?.spanContext().spanId,
    });
});

it('belong to the first one where a request has several', async () => {
  register();
  await runDaemon({});
  const ended = { provider: 'store', target: 0, bytes: 8, begun: performance.now() };
  tracing?.during('http', { traceparent }, () => {
    for (const operation of ['list', 'read', 'erase']) tracing?.operation({ ...ended, operation });
  });
  const [first, ...others] = spans();
  expect(first).toMatchObject({ name: 'bedrock list', parentSpanContext: PARENT });
  expect(others.map(({ name }) => name)).toEqual(['bedrock read', 'bedrock erase']);
  for (const { attributes, parentSpanContext } of others) {
    expect(attributes['bedrock.door']).toBe('http');
    expect(parentSpanContext).toMatchObject({
      traceId: PARENT.traceId,
      spanId: first?.spanContext().spanId,
    });
  }
});

it('are not there without a tracer provider', async () => {
  const daemon = await runDaemon({ providers: [memoryStore('store', 42)] });
  await daemon.regionOf(Buffer.from('contents'));
  expect(tracing).toBeUndefined();
});
