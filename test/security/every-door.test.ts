/**
 * Limits and rights by connection at each door that there is: both protocols, plain, over TLS, and
 * over a unix socket.
 */
import { execFile } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BedrockConfig } from '../../core/index.js';
import { Authority, contentsOf, type KeyPair, openssl, selfSigned } from '../fixtures/certificates.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { encode } from '../resp/raw-client.js';
import { closeSecured, Secured } from './secured-daemon.js';

type Bedrock = NonNullable<BedrockConfig['bedrock']>;

const DOORS = ['HTTP', 'HTTPS', 'HTTP over unix', 'RESP', 'RESPS', 'RESP over unix'] as const;
type Door = (typeof DOORS)[number];
const isHttp = (door: Door): boolean => door.startsWith('HTTP');
const isUnix = (door: Door): boolean => door.endsWith('unix');
const isTls = (door: Door): boolean => door.endsWith('S');

let authority: Authority;
let server: KeyPair;
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await closeSecured();
});

/** The daemon that has a door. */
function start(door: Door, bedrock: Bedrock = {}): Promise<Secured> {
  const tls = { ...server, client_ca: authority.cert, client_certificates: 'optional' } as const;
  return Secured.start({
    isUnix: door === 'HTTP over unix',
    bedrock: {
      audit: { file: 'audit.jsonl' },
      auth: { tokens: 'tokens.json' },
      resp: isUnix(door) ? { unix: 'resp.sock' } : { address: '127.0.0.1:0' },
      ...(isTls(door) && { tls }),
      ...bedrock,
    },
  });
}

function pathOf(daemon: Secured, door: Door): string {
  return path.join(daemon.folder, isHttp(door) ? 'http.sock' : 'resp.sock');
}

async function open(daemon: Secured, door: Door, pair?: KeyPair): Promise<Socket> {
  const port = Number(/\d+$/.exec(isHttp(door) ? daemon.url : daemon.respUrl)?.[0]);
  const to = isUnix(door) ? { path: pathOf(daemon, door) } : { port, host: '127.0.0.1' };
  const own = pair === undefined ? {} : await contentsOf(pair);
  const socket = isTls(door)
    ? connectTls({ port, host: '127.0.0.1', ca: await authority.ca(), ...own })
    : connectPlain(to);
  socket.on('error', () => undefined);
  sockets.add(socket);
  return socket;
}

/** A request for what has a name. */
function request(door: Door, token?: string, name = 'app/small'): string {
  // No inline commands: an error would end the connection.
  if (!isHttp(door))
    return `${token === undefined ? '' : encode('AUTH', token).toString()}${encode('GET', name).toString()}`;
  const who = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  return `GET /v1/providers/store/names/${name} HTTP/1.1\r\nHost: localhost\r\n${who}\r\n`;
}

/** The first word of the first error, under its name in HTTP; `ok` if there is none. */
function outcomeOf(text: string): string {
  if (text === '') return 'no answer';
  const code = /^(?:error-code: |-)([A-Z_]+)/im.exec(text)?.[1] ?? /"code":"(\w+)"/.exec(text)?.[1] ?? 'ok';
  return (
    { NOAUTH: 'UNAUTHENTICATED', WRONGPASS: 'UNAUTHENTICATED', NOPERM: 'PERMISSION_DENIED' }[code] ?? code
  );
}

/** Sends requests over one connection, and reads until it ends. */
async function ask(daemon: Secured, door: Door, requests: string[], pair?: KeyPair): Promise<string> {
  const socket = await open(daemon, door, pair);
  // The end of the input, after which HTTP would answer nothing.
  if (!isHttp(door)) socket.end(requests.join(''));
  else socket.write(requests.join('').replace(/\r\n\r\n$/, '\r\nConnection: close\r\n\r\n'));
  const pieces: Buffer[] = [];
  // A reset after the answer is an end like any other.
  await new Promise((resolve) => socket.on('data', (piece) => pieces.push(piece)).once('close', resolve));
  return Buffer.concat(pieces).toString('latin1');
}

interface Line {
  event: string;
  door?: string;
  who?: string;
  from?: string;
  what?: string;
  outcome?: string;
}

/** The refusals in the audit log, when there are so many. */
async function refusals(daemon: Secured, least = 1): Promise<Line[]> {
  for (;;) {
    const text = await readFile(path.join(daemon.folder, 'audit.jsonl'), 'utf8');
    const all = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
    const found = all.filter(({ event }) => event === 'refusal');
    if (found.length >= least) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function fill(daemon: Secured): Promise<void> {
  const store = daemon.daemon.target('store');
  await store.put('app/small', Buffer.from('small'));
  await store.put('app/large', Buffer.alloc(100_000, 'x'));
}

beforeAll(async () => {
  if (!openssl.isHere) return;
  authority = await Authority.make();
  server = await authority.sign();
});
afterAll(() => (openssl.isHere ? authority.remove() : undefined));

describe.each(DOORS)('over %s', (door) => {
  const here = isTls(door) ? openssl : { it };
  const name = isHttp(door) ? 'http' : 'resp';

  here.it('connections of an address are limited, and refused ones are on record', async () => {
    const daemon = await start(door, { limits: { connections_per_address: 2 } });
    const outcomes: string[] = [];
    for (let count = 0; count < 4; count++) {
      const socket = await open(daemon, door);
      if (isHttp(door)) socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
      else socket.write(encode('PING'));
      const [piece] = await new Promise<Buffer[]>((resolve) =>
        socket.once('data', (...args) => resolve(args)),
      );
      outcomes.push(outcomeOf(piece?.toString() ?? ''));
    }
    const first = isHttp(door) ? 'ok' : 'UNAUTHENTICATED';
    const further = isUnix(door) ? first : 'RATE_LIMITED';
    expect(outcomes).toEqual([first, first, further, further]);
    if (isUnix(door)) return;
    const found = (await refusals(daemon)).filter(({ outcome }) => outcome === 'RATE_LIMITED');
    expect(found[0]).toMatchObject({ door: name, who: 'anonymous', what: 'connection' });
    expect(found[0]?.from).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  here.it('requests and bytes of a token are limited', async () => {
    for (const limits of [{ requests_per_second: 3 }, { bytes_per_second: 1000 }]) {
      const daemon = await start(door, { limits });
      await fill(daemon);
      const { reader: token = '', writer = '' } = daemon.tokens;
      // Of a connection over the Redis protocol the first request says who it is.
      const again = isHttp(door) ? token : undefined;
      const more = Array.from({ length: 5 }, () => request(door, again, 'app/large'));
      const text = await ask(daemon, door, [request(door, token, 'app/large'), ...more]);
      // What had not begun to leave when the last request came is counted at the end of the connection.
      const after = await ask(daemon, door, [request(door, token)]);
      expect([limits, outcomeOf(`${text}\r\n${after}`)]).toEqual([limits, 'RATE_LIMITED']);
      // Nobody else pays for that.
      const other = await ask(daemon, door, [request(door, writer)]);
      expect([limits, outcomeOf(other)]).toEqual([limits, 'ok']);
      expect((await refusals(daemon)).some(({ who }) => who === 'token reader')).toBe(true);
      await closeSecured();
    }
  });

  here.it('requests of those who are not known are limited by address', async () => {
    const daemon = await start(door, { limits: { requests_per_second: 1 } });
    const all = Array.from({ length: 6 }, () => request(door));
    const text = await ask(daemon, door, all);
    expect(text.includes('RATE_LIMITED')).toBe(!isUnix(door));
  });

  here.it('guesses are limited by address', async () => {
    const daemon = await start(door, { limits: { failed_auth_per_minute: 2 } });
    const { reader = '' } = daemon.tokens;
    const outcomes: string[] = [];
    for (const token of ['a', 'b', 'c', reader])
      outcomes.push(outcomeOf(await ask(daemon, door, [request(door, token)])));
    const wrong = 'UNAUTHENTICATED';
    if (!isUnix(door)) expect(outcomes).toEqual([wrong, wrong, 'RATE_LIMITED', 'RATE_LIMITED']);
    else if (isHttp(door)) expect(outcomes).toEqual([wrong, wrong, wrong, 'REGION_NOT_FOUND']);
    else expect(outcomes).toEqual([wrong, wrong, wrong, 'ok']);
  });

  here.it(
    'a certificate grants rights by subject and by alternative name, where one can be shown',
    async () => {
      const grants = [{ scope: 'read', provider: 'store' }] as const;
      const daemon = await start(door, {
        ...(isTls(door) && {
          auth: {
            tokens: 'tokens.json',
            certificates: [
              { subject: 'CN=by-subject', grants: [...grants] },
              { san: 'URI:urn:by-name', grants: [...grants] },
            ],
          },
        }),
      });
      await fill(daemon);
      const shown = isTls(door)
        ? [
            await authority.sign({ subject: 'by-subject' }),
            await authority.sign({ subject: 'x', names: 'DNS:a,URI:urn:by-name' }),
            await authority.sign({ subject: 'by-name', names: 'DNS:CN=by-subject' }),
          ]
        : [];
      const outcomes: string[] = [];
      for (const pair of [...shown, undefined])
        outcomes.push(outcomeOf(await ask(daemon, door, [request(door)], pair)));
      const none = 'UNAUTHENTICATED';
      expect(outcomes).toEqual(isTls(door) ? ['ok', 'ok', none, none] : [none]);
    },
  );

  if (isTls(door))
    openssl.it('handshakes that fail are on record, each with what was wrong', async () => {
      const daemon = await start(door, {
        tls: { ...server, client_ca: authority.cert },
      });
      const self = await contentsOf(await selfSigned(authority.folder));
      const old = await contentsOf(await authority.sign({ subject: 'old', days: 0 }));
      const port = Number(/\d+$/.exec(isHttp(door) ? daemon.url : daemon.respUrl)?.[0]);
      const ca = await authority.ca();
      const ended = async (socket: Socket, bytes?: string | Buffer): Promise<void> => {
        socket.on('error', () => undefined);
        sockets.add(socket);
        if (bytes !== undefined) socket.write(bytes);
        await new Promise((resolve) => socket.resume().once('close', resolve));
      };
      const to = { port, host: '127.0.0.1' };
      await ended(connectPlain({ ...to }), isHttp(door) ? 'GET / HTTP/1.1\r\n\r\n' : 'PING\r\n');
      await ended(
        connectTls({ ...to, ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }),
      );
      await ended(connectTls({ ...to, ca }));
      await ended(connectTls({ ...to, ca, ...self }));
      await ended(connectTls({ ...to, ca, ...old }));
      // A client that does not trust the daemon.
      await ended(connectTls({ ...to }));
      // One that only looks whether somebody listens is none.
      await ended(connectPlain({ ...to }).end());
      const found = await refusals(daemon, 6);
      expect(found.map(({ what, outcome }) => [what, outcome])).toEqual([
        ['TLS handshake', 'INVALID_ARGUMENT'],
        ['TLS handshake: ERR_SSL_UNSUPPORTED_PROTOCOL', 'INVALID_ARGUMENT'],
        ['TLS handshake: ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'UNAUTHENTICATED'],
        ['TLS handshake: DEPTH_ZERO_SELF_SIGNED_CERT', 'UNAUTHENTICATED'],
        ['TLS handshake: CERT_HAS_EXPIRED', 'UNAUTHENTICATED'],
        ['TLS handshake', 'ABORTED'],
      ]);
      expect(new Set(found.map((line) => line.door))).toEqual(new Set([name]));
      for (const { from } of found) expect(from).toMatch(/^127\.0\.0\.1:\d+$/);
    });

  const asOthers = needs('root and the native addon', process.geteuid?.() === 0 && nativeAddon.isHere);
  if (isUnix(door))
    asOthers.it('users and groups are let in, and others are on record', async () => {
      const daemon = await start(door, {
        unix: { mode: '0666', allow_uids: [65_532], allow_gids: [65_533] },
      });
      await chmod(daemon.folder, 0o755);
      const line = request(door).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
      const script = `const s = require('net').connect(${JSON.stringify(pathOf(daemon, door))}); s.write(${JSON.stringify(`${line}${isHttp(door) ? '' : 'QUIT\r\n'}`)}); s.on('error', () => 0).pipe(process.stdout);`;
      const as = async (uid: number, gid: number): Promise<string> => {
        const run = promisify(execFile)(process.execPath, ['-e', script], { uid, gid, cwd: '/' });
        return outcomeOf((await run).stdout);
      };
      const known = 'UNAUTHENTICATED';
      const outcomes = [await as(65_532, 65_534), await as(65_534, 65_533), await as(65_534, 65_534)];
      expect(outcomes).toEqual([known, known, 'FORBIDDEN']);
      const found = (await refusals(daemon, 3)).filter(({ outcome }) => outcome === 'FORBIDDEN');
      expect(found).toEqual([
        expect.objectContaining({
          door: name,
          who: 'uid 65534 gid 65534',
          from: 'unix',
          what: 'connection',
        }),
      ]);
    });

  if (isUnix(door))
    nativeAddon.it('users have what they are granted, and count as users', async () => {
      const uid = process.geteuid?.() ?? 0;
      const daemon = await start(door, {
        auth: { tokens: 'tokens.json', peers: [{ uid, grants: [{ scope: 'read' }] }] },
        limits: { requests_per_second: 3 },
      });
      await fill(daemon);
      expect(outcomeOf(await ask(daemon, door, [request(door)]))).toBe('ok');
      const many = Array.from({ length: 6 }, () => request(door));
      expect(outcomeOf(await ask(daemon, door, many))).toBe('RATE_LIMITED');
      expect((await refusals(daemon)).at(-1)).toMatchObject({ who: `uid ${uid}`, outcome: 'RATE_LIMITED' });
    });
});
