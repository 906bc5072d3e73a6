/** The doors with TLS as other people's tools see them, and under many clients that stall. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectPlain, type Socket } from 'node:net';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { bootstrap, connect, type Daemon } from '../../core/index.js';
import { Authority, type KeyPair, openssl } from '../fixtures/certificates.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

const curl = needs('curl', hasCommand('curl'));
const redis = needs('redis-cli', hasCommand('redis-cli'));

interface Output {
  status: number | null;
  text: string;
}

/** Runs a command to its end; its output is that of both streams. */
async function run(command: string, args: readonly string[], input = ''): Promise<Output> {
  const child: ChildProcess = spawn(command, args, { stdio: 'pipe' });
  const pieces: Buffer[] = [];
  child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
  child.stderr?.on('data', (piece: Buffer) => pieces.push(piece));
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, text: Buffer.concat(pieces).toString() };
}

openssl.describe('a daemon with TLS', () => {
  let authority: Authority;
  let app: KeyPair;
  let open: Daemon;
  let mutual: Daemon;

  const portsOf = (daemon: Daemon): { http: number; resp: number } => ({
    http: Number(new URL(daemon.address ?? '').port),
    resp: Number(/\d+$/.exec(daemon.config.bedrock?.resp?.address ?? '')?.[0]),
  });

  beforeAll(async () => {
    authority = await Authority.make();
    const [pair, client] = await Promise.all([authority.sign(), authority.sign({ subject: 'app' })]);
    app = client;
    const start = (more: object): Promise<Daemon> =>
      bootstrap(
        {
          margo: { mercury: { address: 'https://127.0.0.1:0' } },
          bedrock: { tls: { ...pair, ...more }, resp: { address: '127.0.0.1:0' } },
          providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
        },
        { logger: recordingLogger().logger },
      );
    [open, mutual] = await Promise.all([
      start({ handshake_timeout_ms: 2000, max_handshakes: 64 }),
      start({ client_ca: authority.cert }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([open.close(), mutual.close()]);
    await authority.remove();
  });

  const client = (port: number, ...more: string[]): Promise<Output> =>
    run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.cert, ...more]);

  openssl.it('is verified by openssl s_client, under its names only', async () => {
    for (const port of Object.values(portsOf(open))) {
      const right = await client(port, '-verify_return_error', '-verify_ip', '127.0.0.1');
      expect(right.text).toContain('Verify return code: 0 (ok)');
      const wrong = await client(port, '-verify_return_error', '-verify_hostname', 'evil.example');
      expect(wrong.text).not.toContain('Verify return code: 0 (ok)');
    }
  });

  openssl.it('cannot be talked down to an old protocol or a weak cipher', async () => {
    for (const port of Object.values(portsOf(open))) {
      for (const version of ['-tls1', '-tls1_1']) {
        const { text } = await client(port, version, '-cipher', 'ALL:@SECLEVEL=0');
        expect(text).toMatch(/Cipher is \(NONE\)|unknown option|no protocols available/i);
      }
      for (const cipher of ['AES128-SHA', 'AES256-GCM-SHA384', 'ECDHE-RSA-AES256-SHA', 'NULL', 'aNULL'])
        expect((await client(port, '-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`)).text).not.toMatch(
          /Cipher is (?!\(NONE\))/,
        );
    }
  });

  openssl.it('refuses renegotiation by a client', async () => {
    for (const port of Object.values(portsOf(open))) {
      const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2'], {
        stdio: 'pipe',
      });
      let text = '';
      const grown = async (pattern: RegExp): Promise<void> => {
        while (!pattern.test(text))
          await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')]);
      };
      child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
      child.stderr.on('data', (piece: Buffer) => (text += piece.toString()));
      child.stdin.on('error', () => undefined);
      await grown(/Verify return code/);
      child.stdin.write('R\n');
      await grown(/no renegotiation|RENEGOTIATING[\s\S]*(error|errno|closed)/i);
      child.kill();
      await once(child, 'close');
    }
  });

  curl.it('serves curl, which refuses it without the authority', async () => {
    const url = `${open.address ?? ''}/healthz`;
    expect((await run('curl', ['-sS', '--cacert', authority.cert, url])).status).toBe(0);
    expect((await run('curl', ['-sS', url])).status).toBe(60);
    const other = url.replace('127.0.0.1', 'evil.example');
    const wrong = [
      '-sS',
      '--cacert',
      authority.cert,
      '--resolve',
      `evil.example:${portsOf(open).http}:127.0.0.1`,
    ];
    expect((await run('curl', [...wrong, other])).status).toBe(60);
    const plain = await run('curl', ['-sS', url.replace('https', 'http')]);
    expect(plain.text).toContain('https://');
  });

  curl.it('asks curl for a certificate', async () => {
    const url = `${mutual.address ?? ''}/healthz`;
    const trusting = ['-sS', '--cacert', authority.cert];
    expect((await run('curl', [...trusting, url])).status).not.toBe(0);
    const shown = await run('curl', [...trusting, '--cert', app.cert, '--key', app.key, url]);
    expect(shown.status).toBe(0);
  });

  redis.it('serves redis-cli --tls', async () => {
    const ask = (daemon: Daemon, ...more: string[]): Promise<Output> =>
      run('redis-cli', ['-p', String(portsOf(daemon).resp), ...more, 'PING']);
    const tls = ['--tls', '--cacert', authority.cert];
    expect((await ask(open, ...tls)).text).toBe('PONG\n');
    expect((await ask(open)).text).toContain('resps://');
    expect((await ask(mutual, ...tls)).text).not.toContain('PONG');
    expect((await ask(mutual, ...tls, '--cert', app.cert, '--key', app.key)).text).toBe('PONG\n');
  });

  openssl.it('serves others while thousands of handshakes stall or trickle', async () => {
    const ca = await readFile(authority.cert);
    const { http, resp } = portsOf(open);
    const stalled = new Set<Socket>();
    const timer = setInterval(() => {
      for (const socket of stalled) if (socket.writable) socket.write(Buffer.of(0));
    }, 20);
    let ended = 0;
    for (let round = 0; round < 20; round++) {
      for (let index = 0; index < 100; index++) {
        const socket = connectPlain({ port: index % 2 === 0 ? http : resp, host: '127.0.0.1' });
        stalled.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => {
          ended++;
          stalled.delete(socket);
        });
        socket.resume().write(Buffer.from([22, 3, 1, 2, 0, 1]));
      }
      for (const url of [open.address ?? '', `resps://127.0.0.1:${resp}`]) {
        const service = await connect(url, { tls: { ca } });
        await service.target('store').create(8);
        await service.close();
      }
    }
    // The clients leave none: the daemon ends them all.
    while (stalled.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    clearInterval(timer);
    expect(ended).toBe(2000);
  });
});
