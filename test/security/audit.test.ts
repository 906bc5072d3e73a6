import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLogger } from '../../core/base/logging.js';
import { AuditLog, originOf, withoutTokens } from '../../core/security/audit.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection } from '../http/raw-connection.js';
import { RawClient } from '../resp/raw-client.js';
import { closeSecured, Secured, wordOf } from './secured-daemon.js';

interface Line {
  time: string;
  event: string;
  door?: string;
  who?: string;
  from?: string;
  what?: string;
  outcome?: string;
  count?: number;
}

let daemon: Secured;
let file: string;

/** The lines since the last call. They are there when their answer is, or soon after. */
let seen = 0;
async function lines(least: number): Promise<Line[]> {
  for (;;) {
    const text = await readFile(file, 'utf8');
    const all = text.split('\n').filter((line) => line !== '');
    if (all.length >= seen + least) {
      const fresh = all.slice(seen).map((line) => JSON.parse(line) as Line);
      seen = all.length;
      return fresh;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const brief = ({ event, door, who, what, outcome }: Line): unknown[] => [event, door, who, what, outcome];

const PROVIDER = { name: 'third', type: 'warabi', config: { target: { type: 'memory', config: {} } } };

beforeAll(async () => {
  daemon = await Secured.start({
    bedrock: { audit: { file: 'audit.jsonl' }, resp: { address: '127.0.0.1:0', unix: 'resp.sock' } },
  });
  file = path.join(daemon.folder, 'audit.jsonl');
});
afterAll(closeSecured);

describe('the audit log', () => {
  it('has administrative calls over HTTP, with who, from where, what and the outcome', async () => {
    const json = JSON.stringify(PROVIDER);
    expect(await daemon.asked('admin', 'POST', '/v1/providers', json)).toBe('201');
    expect(await daemon.asked('admin', 'POST', '/v1/providers', json)).toMatch(/^4/);
    expect(await daemon.asked('admin', 'DELETE', '/v1/operations/none')).toBe('404 NOT_FOUND');
    const found = await lines(3);
    expect(found.map(brief)).toEqual([
      ['call', 'http', 'token admin', 'POST /v1/providers', 'ok'],
      ['call', 'http', 'token admin', 'POST /v1/providers', 'CONFIG_INVALID'],
      ['call', 'http', 'token admin', 'DELETE /v1/operations/none', 'NOT_FOUND'],
    ]);
    expect(found[0]?.from).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(new Date(found[0]?.time ?? '').toISOString()).toBe(found[0]?.time);
  });

  it('has refusals over HTTP, and nothing of what is allowed', async () => {
    await daemon.asked('writer', 'PUT', '/v1/providers/store/names/mine', 'x');
    await daemon.asked('reader', 'GET', '/v1/providers/store/names/mine');
    await daemon.asked(undefined, 'GET', '/healthz');
    await daemon.asked('reader', 'PUT', '/v1/providers/store/names/mine', 'x');
    await daemon.asked(undefined, 'POST', '/v1/shutdown');
    const guessed = await daemon.fetch(undefined, 'GET', '/v1/config', {
      headers: { authorization: 'Bearer x' },
    });
    expect(guessed.status).toBe(401);
    const foreign = await daemon.fetch('admin', 'GET', '/v1/config', {
      headers: { origin: 'http://evil.example' },
    });
    expect(foreign.status).toBe(403);
    expect((await lines(4)).map(brief)).toEqual([
      ['refusal', 'http', 'token reader', 'PUT /v1/providers/store/names/mine', 'PERMISSION_DENIED'],
      ['refusal', 'http', 'anonymous', 'POST /v1/shutdown', 'UNAUTHENTICATED'],
      ['refusal', 'http', 'anonymous', 'GET /v1/config', 'UNAUTHENTICATED'],
      ['refusal', 'http', 'token admin', 'GET /v1/config', 'FORBIDDEN'],
    ]);
  });

  it('has administrative commands and refusals of the Redis protocol', async () => {
    const admin = await daemon.client('admin');
    expect(await admin.call('BEDROCK.PROVIDER', 'RM', 'third')).toBe('OK');
    expect(wordOf(await admin.call('BEDROCK.PROVIDER', 'RM', 'third'))).toBe('PROVIDER_NOT_FOUND');
    expect(typeof (await admin.call('BEDROCK.CONFIG'))).toBe('string');
    expect(wordOf(await admin.call('BEDROCK.SNAPSHOT', 'nothing', '{}'))).toBe('PROVIDER_NOT_FOUND');
    const reader = await daemon.client('reader');
    expect(await reader.call('GET', 'mine')).toBe('x');
    expect(wordOf(await reader.call('SET', 'mine', 'secret contents'))).toBe('NOPERM');
    expect(wordOf(await reader.call('BEDROCK.SHUTDOWN'))).toBe('NOPERM');
    const nobody = await daemon.client();
    expect(wordOf(await nobody.call('GET', 'mine'))).toBe('NOAUTH');
    expect(wordOf(await nobody.call('AUTH', 'x'))).toBe('WRONGPASS');
    expect((await lines(8)).map(brief)).toEqual([
      ['call', 'resp', 'token admin', 'bedrock.provider RM third', 'ok'],
      ['call', 'resp', 'token admin', 'bedrock.provider RM third', 'PROVIDER_NOT_FOUND'],
      ['call', 'resp', 'token admin', 'bedrock.config', 'ok'],
      ['call', 'resp', 'token admin', 'bedrock.snapshot nothing', 'PROVIDER_NOT_FOUND'],
      ['refusal', 'resp', 'token reader', 'set', 'PERMISSION_DENIED'],
      ['refusal', 'resp', 'token reader', 'bedrock.shutdown', 'PERMISSION_DENIED'],
      ['refusal', 'resp', 'anonymous', 'get', 'UNAUTHENTICATED'],
      ['refusal', 'resp', 'anonymous', 'auth', 'UNAUTHENTICATED'],
    ]);
  });

  it('names who has reset the connection, and unix sockets', async () => {
    const port = Number(new URL(daemon.url).port);
    const http = await RawConnection.open(port);
    const [local] = [http.socket.localPort];
    http.socket.write('POST /v1/shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n', () =>
      http.socket.resetAndDestroy(),
    );
    const resp = await daemon.client();
    const other = resp.socket.localPort;
    resp.socket.write('*1\r\n$16\r\nBEDROCK.SHUTDOWN\r\n', () => resp.socket.resetAndDestroy());
    const unix = await RawClient.connect({ path: path.join(daemon.folder, 'resp.sock') });
    expect(wordOf(await unix.call('GET', 'mine'))).toBe('NOAUTH');
    unix.close();
    const found = await lines(1);
    expect(found.map(({ from }) => from)).toContain('unix');
    for (const { from } of found)
      expect([`127.0.0.1:${local}`, `127.0.0.1:${other}`, 'unix']).toContain(from);
  });

  it('holds no secret, wherever a client puts one', async () => {
    const token = daemon.tokens.admin ?? '';
    const secret = token.slice('bedrock_admin_'.length);
    await daemon.asked(undefined, 'GET', `/v1/config?access_token=${token}`);
    await daemon.asked(undefined, 'GET', `/v1/${token}`);
    await daemon.asked(undefined, 'GET', `/v1/${token.replaceAll('_', '%5F')}/x`);
    const client = await daemon.client();
    await client.call('AUTH', `${token}x`);
    await client.call('HELLO', 3, 'AUTH', 'reader', secret);
    await client.call(token);
    await client.call('AUTH', token);
    await client.call('BEDROCK.PROVIDER', 'ADD', JSON.stringify({ token }));
    await client.call('BEDROCK.PROVIDER', token);
    await lines(8);
    const text = await readFile(file, 'utf8');
    expect(text).not.toContain(secret);
    expect(text).toContain('GET /v1/bedrock_admin_…');
  });

  it('continues in a new file on SIGHUP, and lets only its owner read it', async () => {
    await rename(file, `${file}.1`);
    await daemon.daemon.hangUp();
    seen = 0;
    expect(await daemon.asked('reader', 'POST', '/v1/shutdown')).toBe('403 PERMISSION_DENIED');
    expect((await lines(1)).map(({ event }) => event)).toEqual(['refusal']);
    const { mode } = await stat(file);
    expect(mode & 0o777).toBe(0o600);
  });

  it('counts what is more than a flood of refusals may write', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => daemon.client()));
    for (const client of clients) for (let count = 0; count < 200; count++) client.send('GET', 'mine');
    for (const client of clients)
      for (let count = 0; count < 200; count++) expect(wordOf(await client.reply())).toBe('NOAUTH');
    const found: Line[] = [];
    const total = (): number =>
      found.reduce((sum, { event, count = 0 }) => sum + (event === 'refusal' ? 1 : count), 0);
    while (total() < 800) found.push(...(await lines(1)));
    expect(total()).toBe(800);
    expect(found.length).toBeLessThan(800);
    const metrics = await (await daemon.fetch('admin', 'GET', '/metrics')).text();
    const left = Number(/^bedrock_audit_refusals_unrecorded_total (\d+)$/m.exec(metrics)?.[1]);
    expect(left).toBe(found.reduce((sum, { count = 0 }) => sum + count, 0));
    expect(metrics).toMatch(/^bedrock_audit_lines_lost_total 0$/m);
  });
});

describe('a file that cannot be written', () => {
  const logger = createLogger({ level: 'off', format: 'text' });
  const clock = { now: () => 0 };

  it('stops the start with START_FAILED', async () => {
    await expect(
      Secured.start({ bedrock: { audit: { file: 'no-such-folder/audit.jsonl' } } }),
    ).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  it('loses lines, holds up nobody, and says how many are lost', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-audit-'));
    const where = path.join(folder, 'audit.jsonl');
    const audit = await AuditLog.open({ file: where, clock, logger });
    const event = { door: 'http', who: 'token x', from: 'unix', what: 'y'.repeat(2000), outcome: 'ok' };
    // More than waits for the disk, in one turn: it gets no chance to take anything.
    for (let count = 0; count < 10_000; count++) audit.record(event);
    await audit.reopen();
    await audit.close();
    const all = (await readFile(where, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    const kept = all.filter(({ event: kind }) => kind === 'call').length;
    expect(audit.lost).toBeGreaterThan(0);
    expect(kept + audit.lost).toBe(10_000);
    expect(all.every(({ what = '' }) => what.length <= 512)).toBe(true);
    await rm(folder, { recursive: true });
  });
});

describe('a file that takes nothing for a while', () => {
  let folder: string;
  let pipe: string;
  let reader: FileHandle;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-audit-'));
    pipe = path.join(folder, 'audit.pipe');
    execFileSync('mkfifo', [pipe]);
    reader = await open(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  });
  afterEach(async () => {
    await reader.close();
    await rm(folder, { recursive: true });
  });

  /** Reads until a line has this text. */
  async function drain(until: string): Promise<string[]> {
    const pieces: Buffer[] = [];
    const room = Buffer.alloc(2 ** 20);
    for (let text = ''; !text.includes(until);) {
      const { bytesRead } = await reader.read(room, 0, room.length, null).catch(() => ({ bytesRead: 0 }));
      if (bytesRead === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      pieces.push(Buffer.from(room.subarray(0, bytesRead)));
      text = Buffer.concat(pieces.slice(-2)).toString();
    }
    return Buffer.concat(pieces).toString().trimEnd().split('\n');
  }

  it('loses lines, says so at once and how many afterwards, and cuts none', async () => {
    const { logger, entries } = recordingLogger();
    const audit = await AuditLog.open({ file: pipe, clock: { now: () => 0 }, logger });
    const event = { door: 'http', who: 'token x', from: 'unix', what: 'y'.repeat(512), outcome: 'ok' };
    for (let count = 0; count < 10_000; count++) audit.record(event);
    const lostAtOnce = audit.lost;
    expect(lostAtOnce).toBeGreaterThan(0);
    expect(entries.map(({ level, message }) => [level, message])).toEqual([
      ['warning', expect.stringContaining('losing lines')],
    ]);
    const lines = (await drain('"lost"')).map((line) => JSON.parse(line) as Line & { lines?: number });
    const kept = lines.filter(({ event: kind }) => kind === 'call').length;
    expect([kept + lostAtOnce, audit.lost, lines.at(-1)?.lines]).toEqual([10_000, lostAtOnce, lostAtOnce]);
    expect(entries.at(-1)?.message).toContain(`${lostAtOnce} lines of the audit log were lost`);
    await audit.close();
  });

  it('holds up no request', async () => {
    const stalled = await Secured.start({
      bedrock: { audit: { file: pipe }, auth: { tokens: 'tokens.json' } },
    });
    const connection = await RawConnection.open(Number(new URL(stalled.url).port));
    const who = `Authorization: Bearer ${stalled.tokens.admin ?? ''}`;
    // More than a pipe holds, 64 KiB.
    const count = 300;
    const request = `DELETE /v1/operations/${'x'.repeat(500)} HTTP/1.1\r\nHost: localhost\r\n${who}\r\n\r\n`;
    connection.send(request.repeat(count));
    for (let left = count; left > 0; left--) expect((await connection.answer()).status).toBe(404);
    expect(await stalled.asked('admin', 'GET', '/v1/config')).toBe('200');
    const lines = await drain('GET /v1/config');
    expect(lines.filter((line) => line.includes('DELETE'))).toHaveLength(count);
    connection.destroy();
  });
});

describe('the parts of a line', () => {
  it('name an address as it is written elsewhere', () => {
    expect(originOf({ remoteAddress: undefined, remotePort: undefined })).toBe('unknown');
    expect(originOf({ remoteAddress: '::ffff:10.0.0.1', remotePort: 5 })).toBe('10.0.0.1:5');
    expect(originOf({ remoteAddress: 'fe80::1', remotePort: 5 })).toBe('[fe80::1]:5');
  });

  it('leave the id of a token, and no part of its secret', () => {
    expect(withoutTokens('GET /a/bedrock_app_Sec-ret_1/b')).toBe('GET /a/bedrock_app_…/b');
    expect(withoutTokens('GET /%62edrock_app_Secret')).toBe('GET /bedrock_app_…');
    expect(withoutTokens('GET /%zz')).toBe('GET /%zz');
  });
});
