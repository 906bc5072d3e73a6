/**
 * The servers that take part, each a process of its own that listens on TCP and on a unix socket:
 * the daemon with a store in memory and one on persistent memory, which /dev/shm passes for; the
 * daemon with a store in a file on a disk; redis-server that keeps nothing; redis-server that makes
 * every write durable in a folder of the same /dev/shm, or of the same disk; and bare sockets of
 * Node's.
 */
import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { start, startProgram } from '../child.js';
import { makeFolder, removeFolder } from '../leftovers.js';
import { isCommand } from '../../scripts/run.js';

const SHM = '/dev/shm';
const POOL_BYTES = 2 ** 30;

/**
 * Starts servers by name.
 * @returns `stop`, and `servers`: a map of {url, urls, addresses: {tcp, unix}, cpuSeconds,
 *   residentBytes, stop}; redis-server is left out where it is not installed
 */
export async function startServers(names) {
  const folders = [];
  const servers = new Map();
  const stop = async () => {
    await Promise.all([...servers.values()].map((server) => server.stop()));
    for (const folder of folders) removeFolder(folder);
  };
  try {
    for (const name of names) {
      const folder = makeFolder(name.endsWith(ON_A_DISK) ? tmpdir() : SHM);
      folders.push(folder);
      const server = await STARTS[name](path.join(folder, 'server'));
      if (server !== undefined) servers.set(name, server);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, stop };
}

const ON_A_DISK = ' on a disk';
const ALWAYS = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];

const STARTS = {
  daemon: (base) =>
    startDaemon(base, [
      provider('memory', { type: 'memory', config: {} }),
      provider('pmem', { type: 'pmem', config: poolAt(base) }),
    ]),
  [`daemon${ON_A_DISK}`]: (base) =>
    startDaemon(base, [provider('file', { type: 'file', config: poolAt(base) })]),
  redis: (base) => startRedis(base, ['--save', '', '--appendonly', 'no']),
  'redis always': (base) => startRedis(base, ALWAYS),
  [`redis always${ON_A_DISK}`]: (base) => startRedis(base, ALWAYS),
  'node:http': () => start([here('../servers/node-http.js')]),
  net: startBare,
};

function poolAt(base) {
  return { path: `${base}.pool`, create_if_missing_with_size: POOL_BYTES };
}

async function startDaemon(base, providers) {
  const unix = `${base}.sock`;
  const config = {
    margo: { mercury: { address: 'http://127.0.0.1:0' } },
    bedrock: { resp: { address: '127.0.0.1:0', unix } },
    providers,
  };
  const daemon = await start([here('../../dist/core/cli/main.js'), 'start', '--stdin'], {
    input: JSON.stringify(config),
    env: { ...process.env, PMEM_IS_PMEM_FORCE: '1' },
    readyWord: 'ready',
  });
  const tcp = daemon.urls.find(({ protocol }) => protocol === 'resp:');
  return {
    ...daemon,
    addresses: { tcp: { host: tcp.hostname, port: Number(tcp.port) }, unix: { path: unix } },
  };
}

function provider(name, target) {
  return { name, type: 'warabi', config: { target } };
}

async function startRedis(base, options) {
  if (!isCommand('redis-server')) return undefined;
  mkdirSync(base);
  const tcp = { host: '127.0.0.1', port: await freePort() };
  const unix = { path: `${base}/redis.sock` };
  const where = ['--bind', tcp.host, '--port', String(tcp.port), '--unixsocket', unix.path, '--dir', base];
  // A log that is rewritten while it is measured would be unfair, so `forgetLog` has it rewritten in between.
  const redis = await startProgram(
    'redis-server',
    [...where, ...options, '--auto-aof-rewrite-percentage', '0'],
    {
      readyWord: 'Ready to accept',
    },
  );
  return { ...redis, addresses: { tcp, unix } };
}

async function startBare(base) {
  const unix = { path: `${base}.sock` };
  const bare = await start([here('bare-server.js'), unix.path]);
  return { ...bare, addresses: { tcp: { host: bare.url.hostname, port: Number(bare.url.port) }, unix } };
}

/** For redis-server, which cannot choose one by itself. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function here(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
