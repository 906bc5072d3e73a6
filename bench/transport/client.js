/**
 * One client of bench/transport.js, bench/peers.js or bench/kv.js, in a process of its own:
 * `client.js KIND JSON`. Reads lines "WHAT OPERATION SIZE …" and answers each with a figure or an
 * object of figures. Operations go round a fixed set of regions of one size, so that those in
 * flight meet different ones.
 */
import { createInterface } from 'node:readline';
import { openBare } from './bare.js';
import { openHttp } from './http.js';
import { closedLoop, closedLoopLatencies, openLoopLatencies } from './load.js';
import { openRedis, openRegions, openStrings } from './resp.js';
import { openTarget } from './target.js';

const KINDS = {
  http: openHttp,
  net: openBare,
  redis: openRedis,
  regions: openRegions,
  strings: openStrings,
  target: openTarget,
};

const [, , kind, options] = process.argv;
const client = await KINDS[kind](JSON.parse(options));

const ANSWERS = {
  rate: (run, depth, milliseconds) => closedLoop(run, depth, milliseconds),
  latencies: (run, milliseconds) => closedLoopLatencies(run, milliseconds),
  latenciesAtRate: (run, rate, milliseconds) => openLoopLatencies(run, rate, milliseconds),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what, operation, size, ...figures] = line.split(' ');
  console.log(JSON.stringify(await answer(what, operation, Number(size), figures.map(Number))));
}
await client.close();

async function answer(what, operation, size, figures) {
  if (what === 'fill') return client.fill(size, Number(operation));
  if (what === 'tidy') return client.tidy();
  const { run, close } = await client[operation](size);
  const found = await ANSWERS[what](run, ...figures);
  close?.();
  return found;
}
