/** Routes of the daemon as a whole. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeDaemons, memoryStore, runDaemon, type RunningDaemon } from './running-daemon.js';
import { MEMORY_CAPABILITIES } from '../../backends/memory/memory-target.js';

describe('the routes of the daemon', () => {
  let daemon: RunningDaemon;

  beforeAll(async () => {
    daemon = await runDaemon({
      providers: [
        { ...memoryStore('store', 42, { max_bytes: 1000 }), tags: ['volatile'] },
        {
          name: 'pair',
          type: 'warabi',
          provider_id: 7,
          config: { targets: [{ type: 'memory' }, { type: 'memory' }] },
        },
      ],
    });
  });
  afterAll(closeDaemons);

  it('say that the process lives', async () => {
    const answer = await daemon.call('GET', '/healthz');
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ status: 'ok' });
  });

  it('say that all providers are up', async () => {
    const answer = await daemon.call('GET', '/readyz');
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ status: 'ready' });
  });

  it('give metrics in the text format of Prometheus, those of the targets among them', async () => {
    await daemon.regionOf(Buffer.alloc(10));
    const answer = await daemon.call('GET', '/metrics');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    const text = answer.bytes.toString();
    expect(text).toMatch(/^bedrock_regions\{provider="store",target="0"\} 1$/m);
    expect(text).toMatch(/^bedrock_used_bytes\{provider="store",target="0"\} 10$/m);
    expect(text).toMatch(/^bedrock_regions\{provider="pair",target="1"\} 0$/m);
    expect(text).toMatch(/^process_cpu_seconds_total /m);
  });

  it('show the running configuration, with the real port, in a form that is a configuration again', async () => {
    const answer = await daemon.call('GET', '/v1/config');
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual(daemon.daemon.config);
    expect(answer.json()).toMatchObject({ margo: { mercury: { address: daemon.url } } });
  });

  it('list the providers in the order of the configuration', async () => {
    const answer = await daemon.call('GET', '/v1/providers');
    expect(answer.status).toBe(200);
    const memory = { type: 'memory', state: 'open', capabilities: MEMORY_CAPABILITIES };
    expect(answer.json()).toEqual({
      providers: [
        {
          name: 'store',
          type: 'warabi',
          provider_id: 42,
          tags: ['volatile'],
          state: 'running',
          targets: [memory],
        },
        {
          name: 'pair',
          type: 'warabi',
          provider_id: 7,
          tags: [],
          state: 'running',
          targets: [memory, memory],
        },
      ],
    });
  });

  it('give the figures of a target', async () => {
    const { usedBytes } = await daemon.stats();
    await daemon.regionOf(Buffer.alloc(90));
    const answer = await daemon.call('GET', '/v1/providers/store/stats');
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({
      type: 'memory',
      mode: 'volatile',
      state: 'open',
      regions: expect.any(Number),
      capacityBytes: 1000,
      usedBytes: usedBytes + 90,
      freeBytes: 1000 - usedBytes - 90,
      largestFreeBytes: 1000 - usedBytes - 90,
      pendingBytes: 0,
      failedGiveBacks: 0,
      fragmentation: 0,
      recovery: { regions: 0, bytes: 0, quarantined: 0, durationMs: 0 },
    });
  });

  it('give null for the capacity of a target without a limit', async () => {
    const answer = await daemon.call('GET', '/v1/providers/pair/stats?target=1');
    expect(answer.json()).toMatchObject({ capacityBytes: null, freeBytes: expect.any(Number) as unknown });
  });

  it.each([
    '/healthz',
    '/readyz',
    '/metrics',
    '/openapi.json',
    '/v1/config',
    '/v1/operations',
    '/v1/providers',
    '/v1/providers/store/stats',
  ])('answer HEAD like GET, without the body: %s', async (path) => {
    const answer = await daemon.call('HEAD', path);
    expect(answer.status).toBe(200);
    expect(answer.bytes).toHaveLength(0);
    expect(answer.headers['content-type']).toBe((await daemon.call('GET', path)).headers['content-type']);
  });
});

describe('POST /v1/shutdown', () => {
  afterAll(closeDaemons);

  it('answers 202, then stops the daemon', async () => {
    const daemon = await runDaemon();
    const answer = await daemon.call('POST', '/v1/shutdown');
    expect(answer.status).toBe(202);
    expect(answer.json()).toEqual({ status: 'stopping' });
    await daemon.daemon.closed;
    expect(daemon.daemon.providers.map(({ state }) => state)).toEqual(['stopped']);
    await expect(daemon.call('GET', '/healthz')).rejects.toThrow();
  });
});
