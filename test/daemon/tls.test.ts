/** TLS at both doors, and what a client says of a peer that it must not trust. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { copyFile, readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap, connect, type ConnectOptions, type Daemon } from '../../core/index.js';
import type { BedrockConfig, TlsConfig } from '../../schemas/generated/bedrock.js';
import { Authority, contentsOf, type KeyPair, openssl, selfSigned } from '../fixtures/certificates.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

openssl.describe('a daemon with TLS', () => {
  let authority: Authority;
  let stranger: Authority;
  let pair: KeyPair;
  let ca: Buffer;
  const daemons = new Set<Daemon>();
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    [authority, stranger] = await Promise.all([Authority.make(), Authority.make('somebody else')]);
    pair = await authority.sign();
    ca = await authority.ca();
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await Promise.all([...daemons].map((daemon) => daemon.close()));
    daemons.clear();
  });
  afterAll(() => Promise.all([authority.remove(), stranger.remove()]));

  interface Running {
    daemon: Daemon;
    https: string;
    resps: string;
    ports: readonly [http: number, resp: number];
    log: () => string[];
  }

  async function run(tls: Partial<TlsConfig> | null = {}, more: BedrockConfig = {}): Promise<Running> {
    const { logger, entries } = recordingLogger();
    const daemon = await bootstrap(
      {
        margo: { mercury: { address: 'http://127.0.0.1:0' } },
        bedrock: { ...(tls !== null && { tls: { ...pair, ...tls } }), resp: { address: '127.0.0.1:0' } },
        providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
        ...more,
      },
      { logger },
    );
    daemons.add(daemon);
    const resp = daemon.config.bedrock?.resp?.address ?? '';
    const https = daemon.address ?? '';
    const scheme = tls === null ? 'resp' : 'resps';
    return {
      daemon,
      https,
      resps: `${scheme}://${resp}`,
      ports: [Number(new URL(https).port), Number(/\d+$/.exec(resp)?.[0])],
      log: () => entries.map(({ message }) => message),
    };
  }

  /** Writes and reads a region. */
  async function use(url: string, tls: ConnectOptions['tls'] = { ca }): Promise<void> {
    const service = await connect(url, { tls });
    try {
      const target = service.target('store');
      for (const size of [10, 300_000]) {
        const bytes = Buffer.alloc(size, 'tls');
        const id = await target.createAndWrite(bytes);
        expect(Buffer.compare(await target.read(id, 0, size), bytes)).toBe(0);
      }
    } finally {
      await service.close();
    }
  }

  /** The code and message of what a use fails with. */
  async function failure(url: string, tls: ConnectOptions['tls'] = { ca }): Promise<string> {
    const error = await use(url, tls).then(
      () => ({ code: 'none', message: '' }),
      (found: unknown) => found as { code: string; message: string },
    );
    return `${error.code}: ${error.message}`;
  }

  async function plain(port: number, bytes: string): Promise<string> {
    const socket = connectPlain({ port, host: '127.0.0.1' });
    sockets.add(socket);
    socket.write(bytes);
    const pieces: Buffer[] = [];
    for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }

  async function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connectTls({ port, host: '127.0.0.1', ca, ...options });
    sockets.add(socket);
    await once(socket, 'secureConnect');
    return socket;
  }

  openssl.it('serves both protocols, and says so wherever it names its address', async () => {
    const { https, resps, daemon, log } = await run();
    await use(https);
    await use(resps);
    await use(resps.replace('resps:', 'rediss:').replace('127.0.0.1', 'localhost'));
    expect(https).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(daemon.config.margo?.mercury?.address).toBe(https);
    expect(log()).toEqual(expect.arrayContaining([`listening on ${https}`, `listening on ${resps}`]));
  });

  openssl.it('is refused by who does not trust it, with the cure', async () => {
    const { https, resps } = await run();
    const foreign = { ca: await stranger.ca() };
    for (const url of [https, resps]) {
      expect(await failure(url, {})).toMatch(/^UNREACHABLE: .*--cacert/);
      expect(await failure(url, foreign)).toMatch(/^UNREACHABLE: .*--cacert/);
    }
    const own = await selfSigned(authority.folder);
    const alone = await run(own);
    expect(await failure(alone.https)).toMatch(/^UNREACHABLE: .*--cacert/);
    await use(alone.https, { ca: await readFile(own.cert) });
  });

  openssl.it('is refused under a name that its certificate does not have', async () => {
    const { https, resps } = await run(await authority.sign({ names: 'DNS:store.example' }));
    for (const url of [https, resps])
      expect(await failure(url)).toMatch(/^UNREACHABLE: .*DNS:store\.example.*connect by a name/);
  });

  openssl.it('tells a plain client that TLS is spoken', async () => {
    const { https, resps, ports } = await run();
    expect(await failure(https.replace('https', 'http'))).toBe(
      `UNREACHABLE: ${https.replace('https', 'http')} speaks TLS; connect to ${https}`,
    );
    expect(await failure(resps.replace('resps', 'resp'))).toMatch(/^UNREACHABLE: .*TLS.*resps:\/\//);
    expect(await plain(ports[0], 'GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*https:\/\//s);
    expect(await plain(ports[1], 'PING\r\n')).toMatch(/^-UNREACHABLE .*\r\n$/);
  });

  it('without TLS tells a client of TLS so', async () => {
    const { https, resps } = await run(null);
    expect(await failure(https.replace('http', 'https'))).toMatch(/^UNREACHABLE: .*connect with http:\/\//);
    expect(await failure(resps.replace('resp', 'resps'))).toMatch(/^UNREACHABLE: .*connect with resp:\/\//);
  });

  openssl.it('asks for a certificate of client_ca, and takes no other', async () => {
    const [known, unknown, old] = await Promise.all([
      authority.sign({ subject: 'app' }).then(contentsOf),
      stranger.sign({ subject: 'app' }).then(contentsOf),
      authority.sign({ subject: 'late', days: 0 }).then(contentsOf),
    ]);
    const { https, resps } = await run({ client_ca: authority.cert });
    for (const url of [https, resps]) {
      await use(url, { ca, ...known });
      expect(await failure(url)).toMatch(/^UNREACHABLE: .*--cert and --key/);
      expect(await failure(url, { ca, ...unknown })).toMatch(/^UNREACHABLE: /);
      expect(await failure(url, { ca, ...old })).toMatch(/^UNREACHABLE: /);
    }
  });

  openssl.it('takes clients without a certificate if they may have none, but no bad one', async () => {
    const unknown = await contentsOf(await stranger.sign());
    const { https, resps } = await run({ client_ca: authority.cert, client_certificates: 'optional' });
    for (const url of [https, resps]) {
      await use(url);
      expect(await failure(url, { ca, ...unknown })).toMatch(/^UNREACHABLE: /);
    }
  });

  openssl.it('speaks no version older than it is told to, and none of before TLS 1.2', async () => {
    const { ports } = await run();
    const strict = await run({ min_version: 'TLSv1.3' });
    expect((await shake(ports[0], { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2');
    expect((await shake(strict.ports[1])).getProtocol()).toBe('TLSv1.3');
    for (const port of strict.ports) await expect(shake(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    for (const port of ports) await expect(shake(port, old)).rejects.toThrow();
    for (const ciphers of ['AES128-SHA256', 'ECDHE-ECDSA-AES128-SHA'])
      await expect(shake(ports[0], { maxVersion: 'TLSv1.2', ciphers })).rejects.toThrow();
  });

  openssl.it('does not renegotiate', async () => {
    const { ports } = await run();
    for (const port of ports) {
      const socket = await shake(port, { maxVersion: 'TLSv1.2' });
      const ended = new Promise<Error | null>((resolve) => {
        socket.once('error', resolve);
        socket.once('close', () => resolve(new Error('closed')));
        socket.renegotiate({}, resolve);
      });
      // An Error of Node.js itself is none of the class that tests have.
      expect(await ended).toMatchObject({ message: expect.stringMatching(/./) });
    }
  });

  openssl.it('uses a new certificate from SIGHUP on, and drops no connection', async () => {
    const files = { cert: authority.path('live.pem'), key: authority.path('live-key.pem') };
    await copyFile(pair.cert, files.cert);
    await copyFile(pair.key, files.key);
    const { https, resps, ports, daemon } = await run(files);
    const services = await Promise.all(
      [https, resps].map((url) => connect(url, { tls: { ca }, connections: 1 })),
    );
    const before = await Promise.all(services.map((service) => service.target('store').create(4)));
    const sockets = await Promise.all(ports.map((port) => shake(port)));
    const fresh = await authority.sign();
    await copyFile(fresh.cert, files.cert);
    await copyFile(fresh.key, files.key);
    await daemon.hangUp();
    const serial = async (port: number): Promise<string> =>
      (await shake(port)).getPeerCertificate().serialNumber;
    const [first, second] = ports;
    expect(await serial(first)).toBe(await serial(second));
    expect(await serial(first)).not.toBe(sockets[0]?.getPeerCertificate().serialNumber);
    expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    for (const [index, service] of services.entries()) {
      const id = before[index];
      if (id !== undefined) await service.target('store').write(id, 0, Buffer.from('more'));
      await service.close();
    }
  });

  openssl.it('ends handshakes that stall, and the oldest of too many', async () => {
    const { ports, daemon, https } = await run({ handshake_timeout_ms: 500, max_handshakes: 4 });
    for (const port of ports) {
      const stalled = Array.from({ length: 6 }, () => connectPlain({ port, host: '127.0.0.1' }));
      const ended = stalled.map((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined);
        return new Promise((resolve) => socket.once('close', resolve).resume());
      });
      // Half a handshake each.
      for (const socket of stalled) socket.write(Buffer.from([22, 3, 1, 0, 200, 1]));
      await Promise.all(ended);
    }
    // On a busy machine this client may take too long as well.
    for (let isServed = false; !isServed;)
      isServed = await use(https).then(
        () => true,
        () => false,
      );
    const text = await metricsOf(daemon);
    const count = (door: string, reason: string): number =>
      Number(new RegExp(`failures_total{door="${door}",reason="${reason}"} (\\d+)`).exec(text)?.[1]);
    for (const door of ['http', 'resp']) {
      expect(count(door, 'timeout') + count(door, 'crowded')).toBeGreaterThanOrEqual(6);
      expect(text).toContain(`bedrock_tls_handshakes{door="${door}"} `);
    }
  });

  openssl.it('stops while handshakes are under way', async () => {
    const { ports, daemon } = await run();
    const stalled = ports.map((port) => connectPlain({ port, host: '127.0.0.1' }));
    const ended = stalled.map((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      return once(socket.resume(), 'close');
    });
    await Promise.all(stalled.map((socket) => once(socket, 'connect')));
    await daemon.close();
    await Promise.all(ended);
  });

  openssl.it('shows the end of its certificate in the metrics', async () => {
    const { daemon } = await run();
    const [, seconds] = /bedrock_tls_certificate_not_after_seconds (\d+)/.exec(await metricsOf(daemon)) ?? [];
    expect(Math.round((Number(seconds) - Date.now() / 1000) / 86_400)).toBe(90);
  });

  openssl.it('does not start with a certificate that cannot be used', async () => {
    await expect(run({ key: authority.path('nothing') })).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  openssl.it('is the home of dependencies and the destination of migrations', async () => {
    const app = await authority.sign({ subject: 'daemon' });
    const there = await run({ client_ca: authority.cert });
    const trusting = { remote_tls: { ca: authority.cert, ...app } };
    const store = (config: object): object => ({ name: 'store', type: 'warabi', config });
    const { logger } = recordingLogger();
    const here = await bootstrap(
      {
        margo: { mercury: { address: 'http://127.0.0.1:0' } },
        bedrock: trusting,
        providers: [store({ target: { type: 'memory', config: {} } })],
      } as BedrockConfig,
      { logger },
    );
    daemons.add(here);
    const id = await here.target('store').createAndWrite(Buffer.from('moves'));
    await here.migrate('store', { address: there.https, provider: 'store' });
    expect(Buffer.from(await there.daemon.target('store').read(id, 0, 5)).toString()).toBe('moves');
  });

  async function metricsOf(daemon: Daemon): Promise<string> {
    const socket = await shake(Number(new URL(daemon.address ?? '').port));
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const pieces: Buffer[] = [];
    for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }
});

describe('a configuration with TLS', () => {
  it.each<[string, BedrockConfig]>([
    ['https:// without bedrock.tls', { margo: { mercury: { address: 'https://127.0.0.1:0' } } }],
    [
      'client_certificates without client_ca',
      { bedrock: { tls: { cert: 'a', key: 'b', client_certificates: 'required' } } },
    ],
    ['a certificate without its key', { bedrock: { remote_tls: { cert: 'a' } } }],
  ])('is refused: %s', async (_what, config) => {
    await expect(bootstrap(config)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
