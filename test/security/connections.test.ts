/** What clients may do by their certificate, or as users of this machine, without a token. */
import { execFile } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type BedrockConfig, type Service } from '../../core/index.js';
import { Authority, contentsOf, type KeyPair, openssl } from '../fixtures/certificates.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { closeSecured, Secured } from './secured-daemon.js';

type Auth = Omit<NonNullable<NonNullable<BedrockConfig['bedrock']>['auth']>, 'tokens'>;

afterEach(closeSecured);

async function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'ok',
    (error: unknown) => (error as { code: string }).code,
  );
}

/** Whether somebody may read and write by name in a provider. */
async function rightsOf(service: Service, provider = 'store'): Promise<string[]> {
  const target = service.target(provider);
  return [await outcome(target.put('name', Buffer.from('x'))), await outcome(target.names())];
}

openssl.describe('clients with certificates', () => {
  let authority: Authority;
  let server: KeyPair;
  let ca: Buffer;
  const services = new Set<Service>();
  beforeAll(async () => {
    authority = await Authority.make();
    server = await authority.sign();
    ca = await authority.ca();
  });
  afterEach(async () => {
    await Promise.all([...services].map((service) => service.close()));
    services.clear();
  });
  afterAll(() => authority.remove());

  function start(auth: Auth): Promise<Secured> {
    return Secured.start({
      bedrock: {
        auth: { tokens: 'tokens.json', ...auth },
        tls: { ...server, client_ca: authority.cert, client_certificates: 'optional' },
        resp: { address: '127.0.0.1:0' },
      },
    });
  }

  const urlsOf = ({ url, respUrl }: Secured): string[] => [url, respUrl.replace('resp:', 'resps:')];

  async function open(url: string, pair?: KeyPair, token?: string): Promise<Service> {
    const own = pair === undefined ? {} : await contentsOf(pair);
    const service = await connect(url, { tls: { ca, ...own }, ...(token !== undefined && { token }) });
    services.add(service);
    return service;
  }

  it('may do what their subject or an alternative name is granted, and no more', async () => {
    const daemon = await start({
      certificates: [
        { subject: 'CN=writer', grants: [{ scope: 'write', provider: 'store' }] },
        { san: 'DNS:reader.example', grants: [{ scope: 'read' }] },
      ],
    });
    const writer = await authority.sign({ subject: 'writer' });
    const reader = await authority.sign({ subject: 'x', names: 'DNS:other,DNS:reader.example' });
    for (const url of urlsOf(daemon)) {
      expect(await rightsOf(await open(url, writer))).toEqual(['ok', 'ok']);
      expect((await open(url, writer)).providers.map(({ name }) => name)).toEqual(['store']);
      expect(await rightsOf(await open(url, reader))).toEqual(['PERMISSION_DENIED', 'ok']);
    }
  });

  it('have no rights if nothing names them, or if they show none', async () => {
    const daemon = await start({ certificates: [{ subject: 'CN=app', grants: [{ scope: 'admin' }] }] });
    const strangers = [
      await authority.sign({ subject: 'app2' }),
      await authority.sign({ subject: 'x', names: 'DNS:CN=app' }),
      undefined,
    ];
    for (const url of urlsOf(daemon))
      for (const pair of strangers) expect(await outcome(open(url, pair))).toBe('UNAUTHENTICATED');
  });

  it('are whom their token says, if they present one', async () => {
    const daemon = await start({ certificates: [{ subject: 'CN=app', grants: [{ scope: 'admin' }] }] });
    const app = await authority.sign({ subject: 'app' });
    for (const url of urlsOf(daemon)) {
      expect(await rightsOf(await open(url, app, daemon.tokens.reader))).toEqual(['PERMISSION_DENIED', 'ok']);
      expect(await outcome(open(url, app, `${daemon.tokens.reader?.slice(0, -1) ?? ''}_`))).toBe(
        'UNAUTHENTICATED',
      );
    }
  });

  it('are themselves again after RESET', async () => {
    const daemon = await start({
      certificates: [{ subject: 'CN=app', grants: [{ scope: 'read', provider: 'store' }] }],
    });
    const { cert, key } = await authority.sign({ subject: 'app' });
    const socket = connectTls({
      port: Number(/\d+$/.exec(daemon.respUrl)?.[0]),
      ca,
      cert: await readFile(cert),
      key: await readFile(key),
      servername: 'localhost',
    });
    for (const line of [
      'SET a 1',
      `AUTH ${daemon.tokens.admin ?? ''}`,
      'SET a 1',
      'RESET',
      'SET a 2',
      'GET a',
      'QUIT',
    ]) {
      const words = line.split(' ');
      socket.write(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
    }
    let text = '';
    for await (const piece of socket as AsyncIterable<Buffer>) text += piece.toString();
    const words = text.split('\r\n').map((line) => line.split(' ')[0]);
    expect(words).toEqual(['-NOPERM', '+OK', '+OK', '+RESET', '-NOPERM', '$1', '1', '+OK', '']);
  });
});

describe('users of this machine', () => {
  const peers = (
    grants: NonNullable<Auth['peers']>[number]['grants'],
    uid = process.geteuid?.() ?? 0,
  ): Auth => ({
    peers: [{ uid, grants }],
  });
  async function start(auth: Auth, mode = '0600'): Promise<Secured> {
    return Secured.start({
      bedrock: {
        auth: { tokens: 'tokens.json', ...auth },
        unix: { mode },
        resp: { address: '127.0.0.1:0', unix: 'resp.sock' },
      },
    });
  }
  const socketOf = ({ folder }: Secured): string => path.join(folder, 'resp.sock');

  nativeAddon.it('may do over a unix socket what they are granted, and nothing over TCP', async () => {
    const daemon = await start(peers([{ scope: 'read' }]));
    const service = await connect(`resp+unix:${socketOf(daemon)}`);
    expect(await rightsOf(service)).toEqual(['PERMISSION_DENIED', 'ok']);
    await service.close();
    for (const url of [daemon.url, daemon.respUrl])
      expect(await outcome(connect(url))).toBe('UNAUTHENTICATED');
  });

  nativeAddon.it('have no rights if nothing names them', async () => {
    const daemon = await start(peers([{ scope: 'admin' }], 4_000_000_000));
    expect(await outcome(connect(`resp+unix:${socketOf(daemon)}`))).toBe('UNAUTHENTICATED');
  });

  needs('root and the native addon', process.geteuid?.() === 0 && nativeAddon.isHere).it(
    'are told apart by user and group',
    async () => {
      const daemon = await start(
        { peers: [{ gid: 65_533, grants: [{ scope: 'read', provider: 'store' }] }] },
        '0666',
      );
      await chmod(daemon.folder, 0o755);
      const script = `const s = require('net').connect(${JSON.stringify(socketOf(daemon))}); s.end('GET a\\r\\n'); s.pipe(process.stdout);`;
      const ask = async (gid: number): Promise<string> =>
        (await promisify(execFile)(process.execPath, ['-e', script], { uid: 65_534, gid, cwd: '/' })).stdout;
      expect(await ask(65_533)).toMatch(/^\$-1/);
      expect(await ask(65_534)).toMatch(/^-NOAUTH/);
    },
  );
});

describe('the configuration of rights by connection', () => {
  it.each<[string, Auth]>([
    ['certificates without client_ca', { certificates: [{ subject: 'CN=a', grants: [] }] }],
    ['neither user nor group', { peers: [{ grants: [] }] }],
    ['both', { peers: [{ uid: 1, gid: 1, grants: [] }] }],
    [
      'a prefix of admin',
      { peers: [{ uid: 1, grants: [{ scope: 'admin', provider: 'store', prefix: 'a' }] }] },
    ],
  ])('is refused: %s', async (_what, auth) => {
    await expect(
      Secured.start({ bedrock: { auth: { tokens: 'tokens.json', ...auth } } }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
