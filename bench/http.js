/**
 * HTTP: small reads and writes of a region beside a bare Fastify route and a bare node:http server
 * that move the same bytes, and a large region beside node:http streaming from memory. Small
 * requests are compared by the server's time a request (wall clock, 32 connections, one request in
 * flight on each) and by its CPU time.
 */
import { fileURLToPath } from 'node:url';
import { start } from './child.js';
import { countingMicros } from './metrics.js';
import { drain, hammer } from './raw-client.js';
import { median, row } from './table.js';
import { medianInTurns } from './turns.js';

const SECTION = 'http';
const SMALL_BYTES = 64;
const LARGE_BYTES = 2 ** 30;
const CONNECTIONS = 32;
const SECONDS = 2;

const CONFIG = {
  providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
};

export async function httpSection({ rounds }) {
  const daemon = await start([path('../dist/core/cli/main.js'), 'start', 'http://127.0.0.1:0', '--stdin'], {
    input: JSON.stringify(CONFIG),
    readyWord: 'ready',
  });
  const fastify = await start([path('./servers/fastify.js')]);
  const node = await start([path('./servers/node-http.js'), String(LARGE_BYTES)]);
  try {
    const regions = new URL('/v1/providers/store/regions', daemon.url);
    const small = await createRegion(regions, Buffer.alloc(SMALL_BYTES, 7));
    const large = await createRegion(new URL(`?size=${LARGE_BYTES}`, regions));
    const contenders = {
      ours: { server: daemon, path: `${regions.pathname}/${small}` },
      fastify: { server: fastify, path: '/' },
      node: { server: node, path: '/' },
    };
    const rows = [];
    for (const method of ['GET', 'PUT']) rows.push(...(await compareSmall(method, contenders, rounds)));
    rows.push(await compareLarge(daemon, `${regions.pathname}/${large}`, node, rounds));
    rows.push(compareCounting(rows[0].ours, rounds));
    return rows;
  } finally {
    await Promise.all([daemon.stop(), fastify.stop(), node.stop()]);
  }
}

async function compareSmall(method, contenders, rounds) {
  const { ours, fastify, node } = contenders;
  const all = [ours, fastify, node];
  for (const contender of all) await measureSmall(method, contender);
  const found = await medianInTurns(all, rounds, (contender) => measureSmall(method, contender));
  const name = `${method} ${SMALL_BYTES} B, ${CONNECTIONS} connections`;
  const beside = (title, figure, reference, referenceName) =>
    row(SECTION, title, 'us/request', found.get(ours)[figure], found.get(reference)[figure], referenceName);
  return [
    beside(name, 'micros', fastify, 'bare Fastify route'),
    beside(name, 'micros', node, 'bare node:http'),
    beside(`${name}, server CPU`, 'cpuMicros', fastify, 'bare Fastify route'),
    beside(`${name}, server CPU`, 'cpuMicros', node, 'bare node:http'),
  ];
}

async function measureSmall(method, { server, path: target }) {
  const request = requestOf(
    method,
    target,
    server.url,
    method === 'PUT' ? Buffer.alloc(SMALL_BYTES, 7) : undefined,
  );
  const before = server.cpuSeconds();
  const { answered, seconds } = await hammer(server.url, request, {
    connections: CONNECTIONS,
    seconds: SECONDS,
  });
  const used = server.cpuSeconds() - before;
  return { micros: (seconds / answered) * 1e6, cpuMicros: (used / answered) * 1e6 };
}

async function compareLarge(daemon, target, node, rounds) {
  const paths = new Map([
    [daemon, target],
    [node, '/large'],
  ]);
  const servers = [...paths.keys()];
  const rate = (server) => drain(server.url, requestOf('GET', paths.get(server), server.url), LARGE_BYTES);
  for (const server of servers) await rate(server);
  const found = await medianInTurns(servers, rounds, rate);
  const [ours, reference] = servers.map((server) => found.get(server) / 2 ** 30);
  return row(SECTION, 'GET 1 GiB, one connection', 'GiB/s', ours, reference, 'node:http from memory');
}

/** The counting of an operation for /metrics, beside the whole request. */
function compareCounting(requestMicros, rounds) {
  const counting = Array.from({ length: rounds + 1 }, countingMicros).slice(1);
  return row(SECTION, 'metrics of a request', 'us/request', median(counting), requestMicros, 'the whole GET');
}

function requestOf(method, target, url, body) {
  const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`;
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${url.host}\r\n${length}\r\n`;
  return Buffer.concat([Buffer.from(head), body ?? Buffer.alloc(0)]);
}

async function createRegion(url, body) {
  const response = await fetch(url, { method: 'POST', ...(body !== undefined && { body }) });
  if (response.status !== 201) throw new Error(await response.text());
  return (await response.json()).id;
}

function path(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
