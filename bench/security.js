/**
 * What it costs to ask who sends a request: small reads of a daemon that knows tokens, by a client that has sent one, beside those of
 * a daemon that asks nobody. Compared by the server's CPU time for a read, since the client's part is the same.
 */
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RespConnection } from '../dist/core/client/resp/resp-connection.js';
import { changeTokenFile } from '../dist/core/security/token-file.js';
import { newToken } from '../dist/core/security/token.js';
import { start } from './child.js';
import { makeFolder, removeFolder } from './leftovers.js';
import { hammer } from './raw-client.js';
import { row } from './table.js';
import { medianInTurns } from './turns.js';

const SECTION = 'security';
const SIZE = 64;
const DEPTH = 32;
const CONNECTIONS = 32;
const SECONDS = 1.5;
const MAIN = fileURLToPath(new URL('../dist/core/cli/main.js', import.meta.url));

export async function securitySection({ rounds }) {
  const folder = makeFolder(tmpdir());
  const tokens = path.join(folder, 'tokens.json');
  const { text: token, stored } = newToken('bench');
  await changeTokenFile(tokens, () => [
    { id: 'bench', ...stored, grants: [{ scope: 'write' }], createdAt: 0 },
  ]);
  const open = await startReader({}, undefined);
  const asking = await startReader({ auth: { tokens } }, token);
  try {
    const rows = [];
    for (const [name, measure] of [
      [`RESP, read ${SIZE} B, depth ${DEPTH}`, measureResp],
      [`HTTP, GET ${SIZE} B, ${CONNECTIONS} connections`, measureHttp],
    ]) {
      for (const reader of [open, asking]) await measure(reader);
      const found = await medianInTurns([open, asking], rounds, measure);
      const title = `${name}, with a token, server CPU`;
      rows.push(row(SECTION, title, 'us/op', found.get(asking), found.get(open), 'nobody is asked'));
    }
    return rows;
  } finally {
    for (const { connection, daemon } of [open, asking]) {
      connection.close();
      await daemon.stop();
    }
    removeFolder(folder);
  }
}

/** A daemon with a region, and a connection that may read it. */
async function startReader(bedrock, token) {
  const config = {
    margo: { mercury: { address: 'http://127.0.0.1:0' } },
    bedrock: { resp: { address: '127.0.0.1:0' }, ...bedrock },
    providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
  };
  const daemon = await start([MAIN, 'start', '--stdin'], {
    input: JSON.stringify(config),
    readyWord: 'ready',
  });
  const { hostname, port } = daemon.urls.find(({ protocol }) => protocol === 'resp:');
  const connection = await RespConnection.open({ host: hostname, port: Number(port) });
  if (token !== undefined) await connection.send(['AUTH', token]);
  const id = String(await connection.send(['BLOB.CREATE', SIZE]));
  return { daemon, connection, token, id };
}

async function measureResp({ daemon, connection, id }) {
  const into = Array.from({ length: DEPTH }, () => Buffer.alloc(SIZE));
  const end = performance.now() + SECONDS * 1000;
  const before = daemon.cpuSeconds();
  let reads = 0;
  const reader = async (buffer) => {
    for (; performance.now() < end; reads++) await connection.send(['BLOB.READ', id, 0, SIZE], buffer);
  };
  await Promise.all(into.map(reader));
  return ((daemon.cpuSeconds() - before) / reads) * 1e6;
}

async function measureHttp({ daemon, token, id }) {
  const who = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  const head = `GET /v1/providers/store/regions/${id} HTTP/1.1\r\nHost: ${daemon.url.host}\r\n${who}\r\n`;
  const before = daemon.cpuSeconds();
  const { answered } = await hammer(daemon.url, Buffer.from(head), {
    connections: CONNECTIONS,
    seconds: SECONDS,
  });
  return ((daemon.cpuSeconds() - before) / answered) * 1e6;
}
