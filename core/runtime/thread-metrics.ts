/**
 * Metrics of the event loop and of the thread pool, beside the delays that prom-client measures.
 * docs/metrics.md lists them.
 *
 * Node.js does not tell how long jobs wait for a thread. So a small one is sent there when metrics
 * are requested: the time until its result is that of a flush or a read that comes now, less its
 * own work.
 */
import { randomFill } from 'node:crypto';
import type { Registry } from 'prom-client';
import { register } from './register-metric.js';

/** As libuv reads it at the first job: 4 by default, at most 1024. */
const THREADS = Math.min(1024, Math.max(1, Math.trunc(Number(process.env.UV_THREADPOOL_SIZE ?? 4)) || 1));

/** Registers the metrics. Their values are read when they are requested. */
export function registerThreadMetrics(metrics: Registry): void {
  const active =
    'Time that the event loop was not idle: its rate is the load of the only thread for JavaScript.';
  register(metrics, 'counter', 'bedrock_event_loop_active_seconds_total', active, () => [
    { labels: {}, value: performance.eventLoopUtilization().active / 1000 },
  ]);
  const size = 'Threads for disks, names and compression.';
  register(metrics, 'gauge', 'bedrock_thread_pool_threads', size, () => [{ labels: {}, value: THREADS }]);
  const delay = 'How long a small job took in the thread pool just now, seconds.';
  register(metrics, 'gauge', 'bedrock_thread_pool_delay_seconds', delay, async () => [
    { labels: {}, value: await delayOfPool() },
  ]);
}

function delayOfPool(): Promise<number> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    randomFill(Buffer.alloc(1), (error) => {
      if (error === null) resolve((performance.now() - begun) / 1000);
      else reject(error);
    });
  });
}
