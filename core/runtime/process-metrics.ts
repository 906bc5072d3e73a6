/**
 * prom-client's metrics of the process: memory, CPU, event loop, garbage collection. Its collectors
 * observe the process as long as it lives. So there is one set of them, even if a program starts
 * and closes several daemons.
 *
 * Two daemons of a process report the same figures. The delays of the event loop are those since
 * either daemon was last asked.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';

let ofThisProcess: Registry | undefined;

/** Adds them to a daemon's registry. */
export function registerProcessMetrics(metrics: Registry): void {
  if (ofThisProcess === undefined) {
    ofThisProcess = new Registry();
    collectDefaultMetrics({ register: ofThisProcess });
  }
  for (const { name } of ofThisProcess.getMetricsAsArray()) {
    const metric = ofThisProcess.getSingleMetric(name);
    if (metric !== undefined) metrics.registerMetric(metric);
  }
}
