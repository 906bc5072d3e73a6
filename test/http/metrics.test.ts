/** What /metrics says of operations, targets and execution pools. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createOperationMeter, LATENCY_BUCKETS } from '../../core/runtime/operation-meter.js';
import { gates, openGates } from '../fixtures/gated-library.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  type RunningDaemon,
} from './running-daemon.js';

type Labels = Record<string, string>;
interface Sample {
  name: string;
  labels: Labels;
  value: number;
}

/** Reads Prometheus' text format; a line that is none of it fails. */
function parse(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      expect([line, name]).toEqual([line, expect.stringMatching(/./)]);
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text]) => [key, text]);
      return { name, labels: Object.fromEntries(pairs) as Labels, value: Number(value) };
    });
}

async function scrape(daemon: RunningDaemon): Promise<Sample[]> {
  return parse((await daemon.call('GET', '/metrics')).bytes.toString());
}

/** The only sample of that name with those labels among its own. */
function valueOf(samples: Sample[], name: string, labels: Labels = {}): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  expect(found.length).toBeLessThanOrEqual(1);
  return found[0]?.value;
}

afterEach(openGates);
afterAll(closeDaemons);

describe('operations', () => {
  let daemon: RunningDaemon;
  const regions = '/v1/providers/store/regions';
  let region: string;

  beforeAll(async () => {
    daemon = await runDaemon({ providers: [memoryStore('store', 42, { max_bytes: 2 ** 20 })] });
    const { id } = (await daemon.call('POST', regions, { body: 'contents' })).json() as { id: string };
    region = `${regions}/${id}`;
    await daemon.call('GET', region);
    await daemon.call('GET', `${region}?target=0`, { headers: { range: 'bytes=0-2' } });
    await daemon.call('PUT', region, { body: 'CON' });
    await daemon.call('PUT', `${region}?offset=3&target=0`, { body: 'TENTS' });
    await daemon.call('HEAD', region);
    await daemon.call('POST', `${region}/persist`);
    await daemon.call('GET', regions);
  });

  const labels = (operation: string): Labels => ({ provider: 'store', target: '0', operation });

  it('are counted once a request, whichever way it takes through the daemon', async () => {
    const samples = await scrape(daemon);
    const counts = Object.fromEntries(
      ['create', 'read', 'write', 'persist', 'erase', 'stat', 'list'].map((operation) => [
        operation,
        valueOf(samples, 'bedrock_operations_total', labels(operation)),
      ]),
    );
    expect(counts).toEqual({ create: 1, read: 2, write: 2, persist: 1, erase: 0, stat: 1, list: 1 });
  });

  it('have the bytes that were moved', async () => {
    const samples = await scrape(daemon);
    const bytes = ['create', 'read', 'write'].map((operation) =>
      valueOf(samples, 'bedrock_operation_bytes_total', labels(operation)),
    );
    expect(bytes).toEqual([8, 11, 8]);
  });

  it('have a histogram of how long they took, in seconds', async () => {
    const samples = await scrape(daemon);
    const name = 'bedrock_operation_duration_seconds';
    const buckets = samples.filter(
      (sample) => sample.name === `${name}_bucket` && sample.labels.operation === 'read',
    );
    expect(buckets.map((bucket) => bucket.labels.le)).toEqual([...LATENCY_BUCKETS.map(String), '+Inf']);
    const values = buckets.map((bucket) => bucket.value);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(values.at(-1)).toBe(2);
    expect(valueOf(samples, `${name}_count`, labels('read'))).toBe(2);
    const sum = valueOf(samples, `${name}_sum`, labels('read'));
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(30);
  });

  it('that fail are counted by code, with no bytes', async () => {
    const unknown = `${regions}/${'0'.repeat(32)}`;
    const before = await scrape(daemon);
    await daemon.call('GET', unknown);
    await daemon.call('GET', `${unknown}?target=0`);
    await daemon.call('PUT', `${region}?offset=7`, { body: 'xx' });
    await daemon.call('PUT', `${region}?offset=8&target=0`, { body: 'x' });
    await daemon.call('POST', `${regions}?size=${2 ** 21}`);
    const after = await scrape(daemon);
    const errors = after.filter(({ name, value }) => name === 'bedrock_operation_errors_total' && value > 0);
    expect(errors.map((error) => [error.labels.operation, error.labels.code, error.value]).sort()).toEqual([
      ['create', 'OUT_OF_SPACE', 1],
      ['read', 'REGION_NOT_FOUND', 2],
      ['write', 'OUT_OF_RANGE', 2],
    ]);
    const total = (samples: Sample[], name: string): number =>
      samples.filter((sample) => sample.name === name).reduce((sum, { value }) => sum + value, 0);
    expect(total(after, 'bedrock_operations_total') - total(before, 'bedrock_operations_total')).toBe(5);
    expect(total(after, 'bedrock_operation_bytes_total')).toBe(
      total(before, 'bedrock_operation_bytes_total'),
    );
  });

  it('make no label of what a client invents', async () => {
    await daemon.call('GET', '/v1/providers/invented/regions');
    await daemon.call('GET', `${regions}?target=77`);
    const text = (await daemon.call('GET', '/metrics')).bytes.toString();
    expect(text).not.toMatch(/invented|"77"/);
  });
});

describe('targets and execution pools', () => {
  it('say what is in them', async () => {
    const daemon = await runDaemon({
      gated: true,
      providers: [
        gatedStore('store', 42),
        memoryStore('bounded', 43, { max_bytes: 4096 }),
        memoryStore('unbounded', 44),
      ],
      margo: { argobots: { pools: [{ name: '__primary__', max_in_flight: 1, max_queued: 1 }] } },
    });
    const region = await daemon.regionOf(Buffer.from('contents'));
    gates.stat.shut();
    const calls = [daemon.call('GET', region)];

    await gates.stat.arrivals(1);
    calls.push(daemon.call('GET', region));
    const pool = { execution_pool: '__primary__' };
    await eventually(
      async () => valueOf(await scrape(daemon), 'bedrock_execution_pool_queued', pool),
      (queued) => queued === 1,
    );
    expectProblem(await daemon.call('GET', region), 503, 'OVERLOADED');
    const samples = await scrape(daemon);
    expect(valueOf(samples, 'bedrock_execution_pool_in_flight', pool)).toBe(1);
    expect(valueOf(samples, 'bedrock_execution_pool_refused_total', pool)).toBe(1);
    expect(valueOf(samples, 'bedrock_regions', { provider: 'store' })).toBe(1);
    expect(valueOf(samples, 'bedrock_used_bytes', { provider: 'store' })).toBe(8);
    expect(valueOf(samples, 'bedrock_capacity_bytes', { provider: 'bounded' })).toBe(4096);
    expect(valueOf(samples, 'bedrock_capacity_bytes', { provider: 'unbounded' })).toBeUndefined();
    gates.stat.open();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('stand beside the figures of the process and its event loop', async () => {
    const samples = await scrape(await runDaemon());
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p_seconds',
    ]) {
      const found = samples.filter((sample) => sample.name.replace(/_p\d+_/, '_p_') === name);
      expect([name, found.length > 0]).toEqual([name, true]);
    }
  });
});

describe('the latency buckets', () => {
  it('count an operation in the first that it fits', () => {
    const { read } = createOperationMeter();
    read.record(0, 0.01);
    read.record(0, 0.0101);
    read.record(0, 30_000);
    read.record(0, 30_001);
    const counts = [...read.buckets];
    expect([counts[0], counts[1], counts.at(-2), counts.at(-1)]).toEqual([1, 1, 1, 1]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(read.count);
  });
});
