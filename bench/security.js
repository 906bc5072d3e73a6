/**
 * What it costs to ask who sends a request, and to encrypt it: small reads of a daemon that knows
 * tokens, by a client that has sent one, and of a daemon with TLS, beside those of a daemon that
 * asks nobody. Compared by the server's CPU time for a read, since the client's part is the same.
 * Two processes of one program differ by more than a token costs, so each kind of daemon is started
 * several times.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RespConnection } from '../dist/core/client/resp/resp-connection.js';
import { changeTokenFile } from '../dist/core/security/token-file.js';
import { newToken } from '../dist/core/security/token.js';
import { isCommand } from '../scripts/run.js';
import { start } from './child.js';
import { makeFolder, removeFolder } from './leftovers.js';
import { hammer } from './raw-client.js';
import { median, row } from './table.js';
import { medianInTurns } from './turns.js';

const SECTION = 'security';
const SIZE = 64;
const DEPTH = 32;
const CONNECTIONS = 32;
const SECONDS = 1;
/** How often each kind of daemon is started. */
const STARTS = 5;
const MAIN = fileURLToPath(new URL('../dist/core/cli/main.js', import.meta.url));

const MEASURES = [
  [`RESP, read ${SIZE} B, depth ${DEPTH}`, measureResp],
  [`HTTP, GET ${SIZE} B, ${CONNECTIONS} connections`, measureHttp],
];

export async function securitySection({ rounds }) {
  const folder = makeFolder(tmpdir());
  try {
    const kinds = [{ name: 'nobody' }, await withToken(folder), ...withTls(folder)];
    const found = new Map(MEASURES.map(([name]) => [name, new Map(kinds.map((kind) => [kind, []]))]));
    for (let turn = 0; turn < STARTS; turn++) {
      for (const [name, figures] of await measureAll(kinds, rounds))
        for (const [kind, figure] of figures) found.get(name).get(kind).push(figure);
    }
    const [nobody, ...others] = kinds;
    return others.flatMap((kind) =>
      MEASURES.map(([name]) => {
        const figures = found.get(name);
        const title = `${name}, ${kind.name}, server CPU`;
        const [ours, reference] = [kind, nobody].map((each) => median(figures.get(each)));
        return row(SECTION, title, 'us/op', ours, reference, 'nobody is asked');
      }),
    );
  } finally {
    removeFolder(folder);
  }
}

async function withToken(folder) {
  const tokens = path.join(folder, 'tokens.json');
  const { text: token, stored } = newToken('bench');
  await changeTokenFile(tokens, () => [
    { id: 'bench', ...stored, grants: [{ scope: 'write' }], createdAt: 0 },
  ]);
  return { name: 'with a token', bedrock: { auth: { tokens } }, token };
}

/** Nothing without openssl, which makes the certificate. */
function withTls(folder) {
  if (!isCommand('openssl')) return [];
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return [{ name: 'with TLS', bedrock: { tls: { cert, key } }, ca: readFileSync(cert) }];
}

/** Starts a daemon of each kind. @returns by the name of a measure, the median of each kind */
async function measureAll(kinds, rounds) {
  const readers = [];
  try {
    for (const kind of kinds) readers.push(await startReader(kind));
    const found = [];
    for (const [name, measure] of MEASURES) {
      for (const reader of readers) await measure(reader);
      const medians = await medianInTurns(readers, rounds, measure);
      found.push([name, new Map(readers.map((reader) => [reader.kind, medians.get(reader)]))]);
    }
    return found;
  } finally {
    for (const { connection, daemon } of readers) {
      connection.close();
      await daemon.stop();
    }
  }
}

/** A daemon with a region, and a connection that may read it. */
async function startReader(kind) {
  const { bedrock, token, ca } = kind;
  const config = {
    margo: { mercury: { address: 'http://127.0.0.1:0' } },
    bedrock: { resp: { address: '127.0.0.1:0' }, ...bedrock },
    providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
  };
  const daemon = await start([MAIN, 'start', '--stdin'], {
    input: JSON.stringify(config),
    readyWord: 'ready',
  });
  const { hostname, port } = daemon.urls.find(({ protocol }) => protocol.startsWith('resp'));
  const endpoint = { host: hostname, port: Number(port), isSecure: ca !== undefined };
  const connection = await RespConnection.open(endpoint, ca === undefined ? {} : { tls: { ca } });
  if (token !== undefined) await connection.send(['AUTH', token]);
  const id = String(await connection.send(['BLOB.CREATE', SIZE]));
  return { kind, daemon, connection, id };
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

async function measureHttp({ kind: { token, ca }, daemon, id }) {
  const who = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  const head = `GET /v1/providers/store/regions/${id} HTTP/1.1\r\nHost: ${daemon.url.host}\r\n${who}\r\n`;
  const before = daemon.cpuSeconds();
  const { answered } = await hammer(daemon.url, Buffer.from(head), {
    connections: CONNECTIONS,
    seconds: SECONDS,
    ca,
  });
  return ((daemon.cpuSeconds() - before) / answered) * 1e6;
}
