/**
 * Ways to break in that the other files here do not have: JSON that means a prototype, time that
 * tells, hosts and forms that mislead.
 */
import { text } from 'node:stream/consumers';
import { connect as open } from 'node:net';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { COMMANDS } from '../../core/resp/commands.js';
import { addressOf, Limits } from '../../core/security/limits.js';
import { Access } from '../../core/security/access.js';
import { newToken, SecretCheck } from '../../core/security/token.js';
import { changeTokenFile, readTokenFile } from '../../core/security/token-file.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection } from '../http/raw-connection.js';
import { closeSecured, Secured, wordOf } from './secured-daemon.js';

let daemon: Secured;
beforeAll(async () => {
  daemon = await Secured.start();
  await daemon.asked('writer', 'PUT', '/v1/providers/store/names/secret', 'others');
});
afterAll(closeSecured);
afterEach(() => {
  jest.restoreAllMocks();
});

const STORE = '/v1/providers/store';

describe('a prototype in JSON', () => {
  const MEMBERS = '"__proto__":{"polluted":15,"everywhere":15},"constructor":{"prototype":{"polluted":15}}';
  const BODIES = [
    `{${MEMBERS}}`,
    `[{${MEMBERS}}]`,
    `{"config":{${MEMBERS}},"changes":[{${MEMBERS}}],"ranges":[{${MEMBERS}}],"dependencies":{${MEMBERS}}}`,
  ];
  const isPolluted = (): boolean =>
    ({}) instanceof Object && ('polluted' in {} || 'polluted' in [] || 'polluted' in (() => 0));

  it('changes nothing by any route that takes JSON', async () => {
    const document = (await (await daemon.fetch('admin', 'GET', '/openapi.json')).json()) as {
      paths: Record<string, Record<string, { requestBody?: { content?: Record<string, unknown> } }>>;
    };
    const asked: string[] = [];
    for (const [template, methods] of Object.entries(document.paths))
      for (const [method, { requestBody }] of Object.entries(methods)) {
        if (requestBody?.content?.['application/json'] === undefined) continue;
        const place = template.replaceAll(/\{([^}]+)\}/g, (_, key: string) =>
          key === 'provider' ? 'store' : 'x',
        );
        for (const body of BODIES) {
          const answer = await daemon.asked('admin', method.toUpperCase(), place, body);
          expect([template, method, answer.slice(0, 1), isPolluted()]).toEqual([
            template,
            method,
            '4',
            false,
          ]);
        }
        asked.push(`${method} ${template}`);
      }
    expect(asked.length).toBeGreaterThan(10);
    expect(await daemon.asked('reader', 'POST', '/v1/shutdown')).toBe('403 PERMISSION_DENIED');
  });

  it('changes nothing by any command of the daemon', async () => {
    const client = await daemon.client('admin');
    const own = COMMANDS.filter(({ name }) => name.startsWith('bedrock.') && name !== 'bedrock.shutdown');
    for (const { name, arity } of own)
      for (const body of BODIES) {
        const count = Math.max(1, Math.min(arity[0], 4) - 1);
        for (let at = 0; at < count; at++) {
          const words = Array.from({ length: count }, (_, index) => (index === at ? body : 'store'));
          await client.call(name, ...words);
          expect([name, isPolluted()]).toEqual([name, false]);
        }
      }
    expect(own.length).toBeGreaterThan(8);
    expect(wordOf(await (await daemon.client('reader')).call('BEDROCK.SHUTDOWN'))).toBe('NOPERM');
  });

  it('grants nothing in the file of the tokens', async () => {
    const file = path.join(daemon.folder, 'polluted.json');
    const { stored } = newToken('a');
    const entry = JSON.stringify({ id: 'a', ...stored, grants: [], created: '2026-01-01' });
    for (const more of [
      `${entry.slice(0, -1)},${MEMBERS}}`,
      entry.replace('[]', `[{"scope":"read",${MEMBERS}}]`),
    ]) {
      await writeFile(file, `{"tokens":[${more}]}`, { mode: 0o600 });
      const found = await readTokenFile(file).catch(() => ({ tokens: [] }));
      for (const { grants } of found.tokens) expect(grants.every(({ scope }) => scope === 'read')).toBe(true);
      expect(isPolluted()).toBe(false);
    }
  });
});

describe('the time that a comparison takes', () => {
  it('is that of one comparison, whatever was sent and whether the id is known', async () => {
    const file = path.join(daemon.folder, 'tokens.json');
    const access = await Access.open({ tokens: file, clock: Date, logger: recordingLogger().logger });
    const matches = jest.spyOn(SecretCheck.prototype, 'matches');
    const { reader = '' } = daemon.tokens;
    const secret = reader.slice('bedrock_reader_'.length);
    const secrets = [
      '',
      'x',
      secret.slice(0, -1),
      `${secret}x`,
      'x'.repeat(43),
      'é'.repeat(43),
      'x'.repeat(10_000),
    ];
    for (const id of ['reader', 'nobody-of-this-id', '__proto__', ''])
      for (const each of secrets) {
        matches.mockClear();
        expect(access.ofSecret(id, each)).toBeUndefined();
        expect([id, each.length, matches.mock.calls.length]).toEqual([id, each.length, 1]);
      }
    matches.mockClear();
    expect(access.ofSecret('reader', secret)?.who).toBe('token reader');
    expect(matches).toHaveBeenCalledTimes(1);
    access.close();
  });

  it('compares digests, whose length tells nothing', () => {
    const { text, stored } = newToken('app');
    const check = new SecretCheck(stored);
    const secret = text.slice('bedrock_app_'.length);
    for (let length = 0; length < 100; length++) expect(check.matches('x'.repeat(length))).toBe(false);
    expect(check.matches(secret)).toBe(true);
  });
});

describe('a request that misleads', () => {
  const bearer = (who: string): string => `Authorization: Bearer ${daemon.tokens[who] ?? ''}`;

  it.each<[string, string, string, number]>([
    ['a foreign name that leads here', `GET /v1/config`, 'Host: rebound.example', 403],
    ['an absolute form with a foreign name', 'GET http://rebound.example/v1/config', 'Host: localhost', 403],
    [
      'user and password in an absolute form',
      'GET http://x:TOKEN@localhost/v1/config',
      'Host: localhost',
      403,
    ],
    ['a page of another origin', 'POST /v1/shutdown', 'Host: localhost\r\nOrigin: http://evil.example', 403],
    ['a page without an origin of its own', 'POST /v1/shutdown', 'Host: localhost\r\nOrigin: null', 403],
  ])('is refused with a valid token too: %s', async (_what, line, headers, status) => {
    const connection = await RawConnection.open(Number(new URL(daemon.url).port));
    const real = line.replace('TOKEN', daemon.tokens.admin ?? '');
    connection.send(`${real} HTTP/1.1\r\n${headers}\r\n${bearer('admin')}\r\n\r\n`);
    expect((await connection.answer()).status).toBe(status);
    connection.destroy();
    expect(await daemon.asked(undefined, 'GET', '/healthz')).toBe('200');
  });

  it('has in the absolute form the rights that it has otherwise', async () => {
    const connection = await RawConnection.open(Number(new URL(daemon.url).port));
    const ask = async (who: string | undefined): Promise<number> => {
      const token = who === undefined ? '' : `${bearer(who)}\r\n`;
      connection.send(
        `GET http://localhost${STORE}/names/secret HTTP/1.1\r\nHost: localhost\r\n${token}\r\n`,
      );
      return (await connection.answer()).status;
    };
    expect([await ask(undefined), await ask('other'), await ask('prefix'), await ask('reader')]).toEqual([
      401, 403, 403, 200,
    ]);
    connection.destroy();
  });

  it('cannot put a header into an answer', async () => {
    const name = encodeURIComponent('a\r\nSet-Cookie: x=y');
    for (const place of [`${STORE}/names/${name}`, `/v1/providers/${name}/stats`, `/v1/${name}`]) {
      const answer = await daemon.fetch('admin', 'GET', place);
      expect([place, answer.status >= 400, answer.headers.get('set-cookie')]).toEqual([place, true, null]);
      await answer.arrayBuffer();
    }
  });

  it('behind another token is that of the second one', async () => {
    const connection = await RawConnection.open(Number(new URL(daemon.url).port));
    const ask = async (header: string): Promise<number> => {
      connection.send(`GET /v1/config HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`);
      return (await connection.answer()).status;
    };
    expect([await ask(bearer('admin')), await ask(bearer('reader')), await ask('X-A: b')]).toEqual([
      200, 403, 401,
    ]);
    // Of two in one request the first one counts.
    expect(await ask(`${bearer('reader')}\r\n${bearer('admin')}`)).toBe(403);
    connection.destroy();
  });

  it.each([
    ['a body', `PUT ${STORE}/names/secret`, 'Content-Length: 5\r\nTransfer-Encoding: identity, chunked'],
    ['a coding in capitals', `PUT ${STORE}/names/secret`, 'Content-Length: 5\r\nTransfer-Encoding: CHUNKED'],
    [
      'a coding behind a space',
      `PUT ${STORE}/names/secret`,
      'Content-Length: 5\r\nTransfer-Encoding : chunked',
    ],
    ['a length with a sign', `PUT ${STORE}/names/secret`, 'Content-Length: +5'],
  ])('has none behind it that is carried out: %s', async (_what, line, headers) => {
    const socket = open(Number(new URL(daemon.url).port), '127.0.0.1');
    const hidden = `DELETE ${STORE}/names/secret HTTP/1.1\r\nHost: localhost\r\n${bearer('writer')}\r\n\r\n`;
    socket.end(
      `${line} HTTP/1.1\r\nHost: localhost\r\n${bearer('writer')}\r\n${headers}\r\n\r\n0\r\n\r\n${hidden}`,
    );
    expect(await text(socket)).not.toMatch(/^HTTP\/1.1 2/m);
    expect(await (await daemon.fetch('reader', 'GET', `${STORE}/names/secret`)).text()).toBe('others');
  });
});

describe('a token that is revoked within a request', () => {
  it('is good for the request that has begun over HTTP, and for no other', async () => {
    const own = await Secured.start();
    const connection = await RawConnection.open(Number(new URL(own.url).port));
    const head = (line: string): string =>
      `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${own.tokens.writer ?? ''}\r\n`;
    connection.send(`${head(`PUT ${STORE}/names/slow`)}Content-Length: 200000\r\n\r\n${'a'.repeat(100_000)}`);
    // The first half is there, as a region that has no name yet.
    while ((await own.daemon.target('store').stats()).usedBytes < 200_000) await new Promise(setImmediate);
    await own.revoke('writer');
    connection.send('b'.repeat(100_000));
    expect((await connection.answer()).status).toBe(201);
    connection.send(`${head(`GET ${STORE}/names/slow`)}\r\n`);
    expect((await connection.answer()).status).toBe(401);
    connection.destroy();
  });
});

describe('files of tokens that are damaged', () => {
  it('give tokens as they were written, or CONFIG_INVALID', async () => {
    const file = path.join(daemon.folder, 'damaged.json');
    const { stored } = newToken('app');
    await changeTokenFile(file, () => [
      {
        id: 'app',
        ...stored,
        grants: [{ scope: 'read', provider: 'store', prefix: 'a/' }],
        createdAt: 0,
        expiresAt: 1e12,
      },
    ]);
    const { tokens } = await readTokenFile(file);
    const whole = JSON.stringify({
      tokens: [{ ...tokens[0], created: '1970-01-01T00:00:00Z', expires: '2001-09-09' }],
    })
      .replace(/"createdAt":\d+,/, '')
      .replace(/"expiresAt":\d+,/, '');
    let [seed, refused] = [7, 0];
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let count = 0; count < 200; count++) {
      const at = random(whole.length);
      const cut = [whole.slice(0, at), whole.slice(0, at) + whole.slice(at + 1 + random(8))];
      const other = whole.slice(0, at) + String.fromCharCode(32 + random(96)) + whole.slice(at + 1);
      await writeFile(file, [...cut, other][count % 3] ?? '', { mode: 0o600 });
      const found = await readTokenFile(file).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
        refused++;
        return undefined;
      });
      // What is still a grant is for no more than one provider, and no more than reads.
      for (const { grants } of found?.tokens ?? [])
        for (const { scope, provider } of grants)
          expect([scope, typeof provider]).toEqual(['read', 'string']);
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe('limits at their edges', () => {
  const settings = {
    connections_per_address: 0,
    requests_per_second: 0,
    bytes_per_second: 0,
    failed_auth_per_minute: 0,
  };

  it('of 0 limit nothing, and of 1 let one through', () => {
    const none = new Limits(settings, () => 0);
    const peer = { remoteAddress: '10.0.0.1' };
    for (let count = 0; count < 10; count++) {
      expect(none.connect(peer)).toBeInstanceOf(Function);
      none.charge('a', 1e9);
      expect(none.admit('a')).toBeUndefined();
      expect(none.attempt(peer, () => undefined)).toBeUndefined();
    }
    expect(none.tracked).toBe(0);
    const one = new Limits(
      { connections_per_address: 1, requests_per_second: 1, bytes_per_second: 1, failed_auth_per_minute: 1 },
      () => 0,
    );
    expect(one.connect(peer)).toBeInstanceOf(Function);
    expect(one.connect({ remoteAddress: '::ffff:10.0.0.1' })).toMatchObject({ code: 'RATE_LIMITED' });
    expect(one.admit('a')).toBeUndefined();
    expect(one.admit('a')).toMatchObject({ code: 'RATE_LIMITED', details: { limit: 'requests' } });
    // Success costs nothing.
    for (let count = 0; count < 3; count++) expect(one.attempt(peer, () => 'me')).toBe('me');
    expect(one.attempt(peer, () => undefined)).toBeUndefined();
    expect(() => one.attempt({ remoteAddress: '::FFFF:10.0.0.1' }, () => 'me')).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED' }),
    );
  });

  it.each([
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1%eth0', '10.0.0.1'],
  ])('count %s as %s', (remoteAddress, expected) => {
    expect(addressOf({ remoteAddress })).toBe(expected);
  });
});
