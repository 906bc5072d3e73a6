import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect as open } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect } from '../../core/index.js';
import { closeSecured, Secured } from './secured-daemon.js';

let daemon: Secured;
let id: string;

beforeAll(async () => {
  daemon = await Secured.start();
  const made = await daemon.fetch('writer', 'POST', '/v1/providers/store/regions?size=8');
  ({ id } = (await made.json()) as { id: string });
  await daemon.asked('writer', 'PUT', '/v1/providers/store/names/app/1', 'mine');
  await daemon.asked('writer', 'PUT', '/v1/providers/store/names/secret', 'others');
});
afterAll(closeSecured);

const STORE = '/v1/providers/store';

describe('the HTTP door', () => {
  it('answers nothing without a token but whether it lives', async () => {
    expect(await daemon.asked(undefined, 'GET', '/healthz')).toBe('200');
    expect(await daemon.asked(undefined, 'GET', '/readyz')).toBe('200');
    for (const path of [
      '/metrics',
      '/openapi.json',
      '/v1/config',
      '/v1/providers',
      '/v1/nothing',
      `${STORE}/regions/${id}`,
      `${STORE}/names/secret`,
      `${STORE}/stats`,
      '/v1/operations',
    ])
      expect([path, await daemon.asked(undefined, 'GET', path)]).toEqual([path, '401 UNAUTHENTICATED']);
    expect(await daemon.asked(undefined, 'POST', '/v1/shutdown')).toBe('401 UNAUTHENTICATED');
    expect(await daemon.asked(undefined, 'PUT', `${STORE}/regions/${id}`, 'x')).toBe('401 UNAUTHENTICATED');
  });

  it('asks for a token on every route, and for more than a reader has on every route that changes something', async () => {
    const document = (await (await daemon.fetch('admin', 'GET', '/openapi.json')).json()) as {
      paths: Record<string, Record<string, { security?: object[] }>>;
    };
    const values: Record<string, string> = { provider: 'store', id, name: 'secret', '*': 'secret' };
    const open: string[] = [];
    const changed: string[] = [];
    for (const [template, methods] of Object.entries(document.paths))
      for (const [method, { security }] of Object.entries(methods)) {
        const path = template.replaceAll(/\{([^}]+)\}/g, (_, key: string) => values[key] ?? 'x');
        const call = `${method.toUpperCase()} ${template}`;
        if (security?.length === 0) {
          open.push(call);
          continue;
        }
        const verb = method.toUpperCase();
        expect([call, (await daemon.fetch(undefined, verb, path)).status]).toEqual([call, 401]);
        if (verb === 'GET' || verb === 'HEAD') continue;
        // The provider of an operation decides who may cancel it, and there is none.
        const refused = template === '/v1/operations/{id}' ? 404 : 403;
        expect([call, (await daemon.fetch('reader', verb, path)).status]).toEqual([call, refused]);
        changed.push(call);
      }
    expect(open.toSorted()).toEqual(['GET /healthz', 'GET /readyz']);
    expect(changed.length).toBeGreaterThan(20);
  });

  it('describes in its OpenAPI document that requests need a token', async () => {
    const document = (await (await daemon.fetch('reader', 'GET', '/openapi.json')).json()) as {
      components: { securitySchemes: Record<string, object> };
      security: object[];
      paths: Record<string, Record<string, { security?: object[] }>>;
    };
    expect(document.components.securitySchemes).toMatchObject({ token: { type: 'http', scheme: 'bearer' } });
    expect(document.security).toEqual([{ token: [] }]);
    expect(document.paths['/healthz']?.get?.security).toEqual([]);
    expect(document.paths['/v1/providers']?.get?.security).toBeUndefined();
  });

  it('ends a stream of events when its token is revoked, and no other one', async () => {
    const other = await Secured.start();
    const follow = (who: string): Promise<Response> => other.fetch(who, 'GET', '/v1/status/events');
    const [revoked, valid] = await Promise.all([follow('reader'), follow('admin')]);
    await other.revoke('reader');
    expect(await revoked.text()).toMatch(/^(data: .*\n\n)*$/);
    const events = (valid.body as ReadableStream<Uint8Array>).getReader();
    expect((await events.read()).done).toBe(false);
    expect((await events.read()).done).toBe(false);
    await events.cancel();
  });

  it('says how to say who one is', async () => {
    const none = await daemon.fetch(undefined, 'GET', '/v1/providers');
    expect(none.headers.get('www-authenticate')).toBe('Bearer realm="bedrock"');
    const wrong = await daemon.fetch(undefined, 'GET', '/v1/providers', {
      headers: { authorization: 'Bearer x' },
    });
    expect(wrong.headers.get('www-authenticate')).toBe('Bearer realm="bedrock", error="invalid_token"');
  });

  it.each([
    ['in the query', (token: string) => [`/v1/providers?access_token=${token}`, {}]],
    [
      'as user and password',
      (token: string) => ['/v1/providers', { authorization: `Basic ${btoa(`x:${token}`)}` }],
    ],
    ['in a cookie', (token: string) => ['/v1/providers', { cookie: `token=${token}` }]],
    ['with more behind it', (token: string) => ['/v1/providers', { authorization: `Bearer ${token} x` }]],
    ['cut', (token: string) => ['/v1/providers', { authorization: `Bearer ${token.slice(0, -1)}` }]],
  ] as [string, (token: string) => [string, Record<string, string>]][])(
    'takes no token %s',
    async (_where, request) => {
      const [path, headers] = request(daemon.tokens.admin ?? '');
      const { status } = await daemon.fetch(undefined, 'GET', path, { headers });
      expect(status).toBe(401);
    },
  );

  it('lets a reader read, and change nothing', async () => {
    expect(await daemon.asked('reader', 'GET', `${STORE}/regions/${id}`)).toBe('200');
    expect(await daemon.asked('reader', 'GET', `${STORE}/names/secret`)).toBe('200');
    expect(await daemon.asked('reader', 'GET', `${STORE}/names`)).toBe('200');
    expect(await daemon.asked('reader', 'GET', '/metrics')).toBe('200');
    for (const [method, path, body] of [
      ['PUT', `${STORE}/regions/${id}`, 'x'],
      ['PUT', `${STORE}/names/app/1`, 'x'],
      ['POST', `${STORE}/regions?size=1`],
      ['DELETE', `${STORE}/regions/${id}`],
      ['DELETE', `${STORE}/names/secret`],
      ['PATCH', `${STORE}/names/secret`, '{"name":"x"}'],
      ['POST', `${STORE}/transactions`, '{"changes":[]}'],
      ['POST', `${STORE}/regions/${id}/persist`],
      ['POST', `${STORE}/snapshot`, '{"path":"x"}'],
      ['GET', '/v1/config'],
      ['POST', '/v1/query', '{"expression":"1"}'],
      ['POST', '/v1/shutdown'],
    ])
      expect([method, path, await daemon.asked('reader', method ?? '', path ?? '', body)]).toEqual([
        method,
        path,
        '403 PERMISSION_DENIED',
      ]);
  });

  it('lets a writer write, and administer nothing', async () => {
    expect(await daemon.asked('writer', 'PUT', `${STORE}/regions/${id}`, 'x')).toBe('204');
    for (const path of [
      '/v1/shutdown',
      '/v1/reload',
      '/v1/config/save',
      `${STORE}/snapshot`,
      `${STORE}/migrate`,
    ])
      expect(await daemon.asked('writer', 'POST', path)).toBe('403 PERMISSION_DENIED');
    expect(
      await daemon.asked(
        'writer',
        'POST',
        `${STORE}/migration/plan`,
        '{"address":"http://x","provider":"y"}',
      ),
    ).toBe('403 PERMISSION_DENIED');
    expect(await daemon.asked('writer', 'DELETE', STORE)).toBe('403 PERMISSION_DENIED');
  });

  it('keeps the owner of another provider out, whatever the path looks like', async () => {
    for (const path of [
      `${STORE}/regions/${id}`,
      `/v1/providers/1/regions/${id}`,
      `${STORE}/names/secret`,
      `${STORE}/stats`,
      `/v1/providers/%73tore/regions/${id}`,
      `${STORE}/migration/list`,
      '/v1/providers/nothing/stats',
    ])
      expect([path, await daemon.asked('other', 'GET', path)]).toEqual([path, '403 PERMISSION_DENIED']);
    for (const path of [
      `/v1/providers/other/../store/regions/${id}`,
      `/v1/providers/other/..%2fstore/regions/${id}`,
      `/v1/providers/other%2f../store/regions/${id}`,
    ])
      expect((await daemon.fetch('other', 'GET', path)).status).toBeGreaterThanOrEqual(400);
    expect(await daemon.asked('other', 'GET', '/v1/providers/other/stats')).toBe('200');
    expect(await daemon.asked('other', 'GET', '/v1/providers/2/stats')).toBe('200');
    const { providers } = (await (await daemon.fetch('other', 'GET', '/v1/providers')).json()) as {
      providers: { name: string }[];
    };
    expect(providers.map(({ name }) => name)).toEqual(['other']);
    expect(await daemon.asked('other', 'GET', '/v1/config')).toBe('403 PERMISSION_DENIED');
    expect(await daemon.asked('other', 'GET', '/metrics')).toBe('403 PERMISSION_DENIED');
  });

  it('keeps the owner of a prefix below it', async () => {
    expect(await daemon.asked('prefix', 'GET', `${STORE}/names/app/1`)).toBe('200');
    expect(await daemon.asked('prefix', 'PUT', `${STORE}/names/app/2`, 'x')).toBe('201');
    expect(await daemon.asked('prefix', 'PATCH', `${STORE}/names/app/2`, '{"name":"app/3"}')).toBe('204');
    expect(await daemon.asked('prefix', 'POST', `${STORE}/regions?size=1&name=app/4`)).toBe('201');
    const { names } = (await (await daemon.fetch('prefix', 'GET', `${STORE}/names`)).json()) as {
      names: { name: string }[];
    };
    expect(names.map(({ name }) => name)).toEqual(['app/1', 'app/3', 'app/4']);
    const put = (name: string) => `{"changes":[{"type":"put","name":"${name}","contents":""}]}`;
    expect(await daemon.asked('prefix', 'POST', `${STORE}/transactions`, put('app/5'))).toBe('200');
    for (const [method, path, body] of [
      ['GET', `${STORE}/names/secret`],
      ['GET', `${STORE}/names/app`],
      ['GET', `${STORE}/names?prefix=s`],
      ['GET', `${STORE}/names/app%2f..%2fsecret`.replace('app%2f', 'x%2fapp%2f')],
      ['GET', `${STORE}/regions`],
      ['GET', `${STORE}/regions/${id}`],
      ['GET', `${STORE}/regions/secret`],
      ['GET', `${STORE}/stats`],
      ['POST', `${STORE}/regions?size=1`],
      ['POST', `${STORE}/regions?size=1&name=other`],
      ['PATCH', `${STORE}/names/app/1`, '{"name":"other"}'],
      ['POST', `${STORE}/transactions`, put('secret')],
      ['POST', `${STORE}/transactions`, `{"changes":[{"type":"erase","id":"${id}"}]}`],
      ['POST', `${STORE}/transactions`, '{"changes":[{"type":"rename","name":"app/1","to":"secret"}]}'],
    ]) {
      const answer = await daemon.asked('prefix', method ?? '', path ?? '', body);
      expect([method, path, body, answer]).toEqual([method, path, body, '403 PERMISSION_DENIED']);
    }
  });

  it('lets nobody in by a revoked token, on open connections neither', async () => {
    const own = await Secured.start();
    expect(await own.asked('reader', 'GET', '/v1/providers')).toBe('200');
    await own.revoke('reader');
    expect(await own.asked('reader', 'GET', '/v1/providers')).toBe('401 UNAUTHENTICATED');
    expect(await own.asked('writer', 'GET', '/v1/providers')).toBe('200');
  });

  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 60'],
    ['a length and a coding', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
    ['a folded header', 'X-A: b\r\n Authorization: x'],
    ['a bare line feed in a header', 'X-A: b\nAuthorization: x'],
  ])('serves no request that is hidden behind %s', async (_what, headers) => {
    const { port } = new URL(daemon.url);
    const socket = open(Number(port), '127.0.0.1');
    const hidden = `DELETE ${STORE}/names/secret HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    socket.end(
      `PUT ${STORE}/regions/${id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${daemon.tokens.writer ?? ''}\r\n${headers}\r\n\r\n0\r\n\r\n${hidden}`,
    );
    const answers = await text(socket);
    expect(answers).not.toMatch(/^HTTP\/1.1 2/m);
    expect(await daemon.asked('reader', 'GET', `${STORE}/names/secret`)).toBe('200');
  });

  it.each([
    ['{"__proto__":{"authority":{"everywhere":15}},"changes":[]}'],
    ['{"constructor":{"prototype":{"everywhere":15}},"changes":[]}'],
  ])('takes no prototype from a body: %s', async (body) => {
    const answer = await daemon.asked('writer', 'POST', `${STORE}/transactions`, body);
    expect(answer).toMatch(/^400 /);
    expect(({} as Record<string, unknown>).everywhere).toBeUndefined();
    expect(await daemon.asked('reader', 'POST', '/v1/shutdown')).toBe('403 PERMISSION_DENIED');
  });

  it('tells its client in its own words', async () => {
    await expect(connect(daemon.url)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(connect(daemon.url, { token: 'x' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const service = await connect(daemon.url, { token: daemon.tokens.prefix ?? '' });
    expect(service.config).toEqual({});
    expect(Buffer.from(await service.target('store').read('app/1', 0, 4)).toString()).toBe('mine');
    await expect(service.target('store').find('secret')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await service.close();
    const admin = await connect(daemon.url, { token: `${daemon.tokens.admin ?? ''}\n` });
    expect(JSON.stringify(admin.config)).not.toContain(daemon.tokens.admin);
    expect(admin.config.bedrock?.auth?.tokens).toMatch(/tokens\.json$/);
    await admin.close();
  });
});
