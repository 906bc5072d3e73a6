/** Names over HTTP: contents under a name, whatever it is, replaced as a whole, and read from one region. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Target } from '../../core/index.js';
import { head, RawConnection } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  memoryStore,
  runDaemon,
  type Answer,
  type CallOptions,
  type RunningDaemon,
} from './running-daemon.js';

const STORE = '/v1/providers/store';
const NAMES = `${STORE}/names`;
const JSON_HEADERS = { 'content-type': 'application/json' };

let daemon: RunningDaemon;
let target: Target;

beforeAll(async () => {
  daemon = await runDaemon({ providers: [memoryStore('store', 42, { max_bytes: 2 ** 22 })] });
  target = daemon.daemon.target('store');
});
beforeEach(async () => {
  for (const { id } of (await target.list()).regions) await target.erase(id);
});
afterAll(closeDaemons);

const call = (method: string, path: string, options?: CallOptions): Promise<Answer> =>
  daemon.call(method, `${STORE}${path}`, options);
const put = (name: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> =>
  call('PUT', `/names/${name}`, { body, headers });
const rename = (path: string, name: unknown, headers = {}): Promise<Answer> =>
  call('PATCH', path, { headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify({ name }) });
const textOf = async (name: string): Promise<string> => String((await call('GET', `/names/${name}`)).bytes);
async function namesIn(query = ''): Promise<string[]> {
  const { names } = (await call('GET', `/names${query}`)).json() as { names: { name: string }[] };
  return names.map(({ name }) => name);
}
/** As a client that changes nothing in its paths. */
async function sendRaw(method: string, path: string, body?: string): Promise<Answer> {
  const connection = await RawConnection.open(daemon.port);
  const lines = body === undefined ? [] : [`Content-Length: ${body.length}`];
  connection.send(head(`${method} ${path}`, ...lines) + (body ?? ''));
  const answer = await connection.answer(method !== 'HEAD');
  connection.destroy();
  return answer;
}

describe('PUT', () => {
  it('makes a name with 201, and replaces it with 204; the tag is the ID, the place the name', async () => {
    const made = await put('run/17', 'step 1');
    expect([made.status, made.headers.location]).toEqual([201, `${NAMES}/run/17`]);
    const first = await target.find('run/17');
    expect(made.headers.etag).toBe(`"${first.id.toString()}"`);
    const replaced = await put('run/17', 'step two');
    expect([replaced.status, replaced.headers.location]).toEqual([204, `${NAMES}/run/17`]);
    expect(replaced.headers.etag).not.toBe(made.headers.etag);
    expect(await textOf('run/17')).toBe('step two');
    await expect(target.stat(first.id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect((await target.stats()).regions).toBe(1);
  });

  it('takes contents of any length, with the length announced or in the query', async () => {
    const large = Buffer.alloc(700_000, 'x');
    expect((await put('large', large)).status).toBe(201);
    expect((await call('GET', '/names/large')).bytes.equals(large)).toBe(true);
    expect((await put('empty', '')).status).toBe(201);
    expect((await target.find('empty')).size).toBe(0);
    const chunks = (async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('in ');
      await Promise.resolve();
      yield Buffer.from('chunks');
    })();
    expect((await call('PUT', '/names/chunked?size=9', { body: chunks as never })).status).toBe(201);
    expect(await textOf('chunked')).toBe('in chunks');
  });

  it('leaves the name as it was where the body is not what was announced, or too large', async () => {
    await put('kept', 'old');
    expectProblem(await call('PUT', '/names/kept?size=5', { body: 'new' }), 400, 'INVALID_ARGUMENT');
    expectProblem(await put('kept', 'x', { 'content-range': 'bytes 0-0/3' }), 400, 'INVALID_ARGUMENT');
    expectProblem(await put('kept', 'x', { 'content-encoding': 'gzip' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    expectProblem(await sendRaw('PUT', `${NAMES}/kept`), 411, 'LENGTH_REQUIRED');
    const { usedBytes } = await target.stats();
    for (const name of ['kept', 'new'])
      expectProblem(await put(name, Buffer.alloc(2 ** 22)), 507, 'OUT_OF_SPACE');
    const broken = await RawConnection.open(daemon.port);
    broken.send(`${head(`PUT ${NAMES}/kept`, 'Content-Length: 100')}half of it`);
    broken.destroy();
    expect(await textOf('kept')).toBe('old');
    expect(await namesIn()).toEqual(['kept']);
    expect((await target.stats()).usedBytes).toBe(usedBytes);
  });

  it('knows no ?persist=: it is durable in any case', async () => {
    expectProblem(await call('PUT', '/names/a?persist=true', { body: 'x' }), 400, 'INVALID_ARGUMENT');
  });
});

describe('a name', () => {
  it.each<[string, string]>([
    ['a', 'a'],
    ['a/b', 'a/b'],
    ['a%2Fb', 'a/b'],
    ['/', '/'],
    ['a//b/', 'a//b/'],
    ['%2E%2E', '..'],
    ['..', '..'],
    ['a/../b', 'a/../b'],
    ['a%2F..%2Fb', 'a/../b'],
    ['.', '.'],
    ['a.b', 'a.b'],
    ['%25', '%'],
    ['%252F', '%2F'],
    ['%00', '\0'],
    ['a%0Ab', 'a\nb'],
    ['a%20b', 'a b'],
    ['a+b', 'a+b'],
    ['a;b=c', 'a;b=c'],
    ['%3Fx%23y', '?x#y'],
    ['*', '*'],
    [':id', ':id'],
    ['caf%C3%A9', 'caf\u00e9'],
    ['cafe%CC%81', 'cafe\u0301'],
    ['%F0%90%80%80', '\u{10000}'],
    ['__proto__', '__proto__'],
    ['persist', 'persist'],
    ['0'.repeat(31), '0'.repeat(31)],
    ['x'.repeat(1024), 'x'.repeat(1024)],
    ['%C3%A9'.repeat(512), 'é'.repeat(512)],
  ])('is the bytes of its path: %s', async (path, name) => {
    expect((await sendRaw('PUT', `${NAMES}/${path}`, 'contents')).status).toBe(201);
    expect((await target.find(name)).size).toBe(8);
    expect(await namesIn()).toEqual([name]);
    expect((await sendRaw('HEAD', `${NAMES}/${path}`)).status).toBe(200);
    expect((await sendRaw('DELETE', `${NAMES}/${path}`)).status).toBe(204);
    expect(await namesIn()).toEqual([]);
  });

  it.each([
    ['', 'empty'],
    ['x'.repeat(1025), 'too long'],
    [`${'%C3%A9'.repeat(512)}x`, 'too long in bytes'],
    ['0123456789abcdef0123456789ABCDEF', 'an ID'],
    ['%FF', 'not UTF-8'],
    ['%C0%AF', 'overlong'],
    ['%ED%A0%80', 'half of a pair'],
    ['a%', 'badly encoded'],
    ['a%zz', 'badly encoded'],
    ['caf\xc3\xa9', 'not encoded'],
  ])('is refused with INVALID_ARGUMENT: %s (%s)', async (path) => {
    for (const method of ['PUT', 'GET', 'DELETE']) {
      const answer = await sendRaw(method, `${NAMES}/${path}`, method === 'PUT' ? 'contents' : undefined);
      expect(answer.status).toBe(400);
    }
    expect(await namesIn()).toEqual([]);
  });

  it.each(['', 'x'.repeat(1025), '0'.repeat(32), '%FF', '%ED%A0%80', 'caf\xc3\xa9'])(
    'is refused in the query: %s',
    async (name) => {
      expect((await sendRaw('POST', `${STORE}/regions?name=${name}`, 'contents')).status).toBe(400);
      if (name !== '' && name.length < 1000 && !/^0+$/.test(name))
        for (const parameter of ['prefix', 'after', 'delimiter'])
          expect((await sendRaw('GET', `${NAMES}?${parameter}=${name}`)).status).toBe(400);
      expect((await target.stats()).regions).toBe(0);
    },
  );

  it.each(['', 'x'.repeat(1025), '0'.repeat(32), '\ud800', 5, ['a'], undefined])(
    'is refused in the body: %j',
    async (name) => {
      await put('old', 'contents');
      expectProblem(await rename('/names/old', name), 400, 'INVALID_ARGUMENT');
      expect(await namesIn()).toEqual(['old']);
    },
  );

  it('stands wherever a path has an ID, as one step', async () => {
    const id = await target.createAndWrite(Buffer.from('contents'), { name: 'run/17' });
    const place = '/regions/run%2F17';
    expect((await call('PUT', `${place}?offset=3&persist=true`, { body: 'TENTS' })).status).toBe(204);
    const answer = await call('GET', place);
    expect([String(answer.bytes), answer.headers.etag]).toEqual(['conTENTS', undefined]);
    expect(answer.headers['region-name']).toBe('run%2F17');
    expect((await call('GET', place, { headers: { range: 'bytes=3-' } })).status).toBe(206);
    expect((await call('HEAD', place)).headers['content-length']).toBe('8');
    expect((await call('POST', `${place}/persist`)).status).toBe(204);
    const large = Buffer.alloc(500_000, 'y');
    await target.put('large', Buffer.alloc(500_000));
    expect((await call('PUT', '/regions/large', { body: large })).status).toBe(204);
    expect((await call('GET', '/regions/large')).bytes.equals(large)).toBe(true);
    expectProblem(await call('PUT', place, { body: 'far too much for it' }), 416, 'OUT_OF_RANGE');
    expectProblem(await call('GET', '/regions/nobody'), 404, 'REGION_NOT_FOUND');
    const headers = { 'if-match': `"${id.toString()}"` };
    expect((await call('PUT', place, { body: 'CON', headers })).status).toBe(204);
    expect((await call('DELETE', place, { headers })).status).toBe(204);
    expect(await namesIn()).toEqual(['large']);
  });

  it('is told of a region by its HEAD, and in the list', async () => {
    const made = await call('POST', '/regions?size=5&name=cr%C3%A9%2Fated');
    expect(made.status).toBe(201);
    const withBody = await call('POST', '/regions?name=with+body&persist=true', { body: 'body' });
    expect(withBody.status).toBe(201);
    await target.create(3);
    const { regions } = (await call('GET', '/regions')).json() as { regions: { name?: string }[] };
    expect(regions.map(({ name }) => name).sort()).toEqual(['cr\u00e9/ated', 'with body', undefined]);
    const { headers } = await daemon.call('HEAD', String(made.headers.location));
    expect(decodeURIComponent(String(headers['region-name']))).toBe('cr\u00e9/ated');
    expectProblem(await call('POST', '/regions?size=5&name=with+body'), 409, 'NAME_TAKEN');
    expectProblem(await call('POST', '/regions?name=with+body', { body: 'x' }), 409, 'NAME_TAKEN');
    expect((await target.stats()).regions).toBe(3);
  });
});

describe('GET and HEAD', () => {
  it('answer with the contents, or a part, and the tag', async () => {
    const id = await target.put('name', Buffer.from('0123456789'));
    const etag = `"${id.toString()}"`;
    const whole = await call('GET', '/names/name');
    expect([whole.status, String(whole.bytes), whole.headers.etag]).toEqual([200, '0123456789', etag]);
    const part = await call('GET', '/names/name', { headers: { range: 'bytes=-3' } });
    expect([part.status, String(part.bytes), part.headers['content-range'], part.headers.etag]).toEqual([
      206,
      '789',
      'bytes 7-9/10',
      etag,
    ]);
    const { status, headers, bytes } = await call('HEAD', '/names/name');
    expect([status, headers['content-length'], headers.etag, bytes.length]).toEqual([200, '10', etag, 0]);
    expect(headers['accept-ranges']).toBe('bytes');
    expectProblem(await call('GET', '/names/name', { headers: { range: 'bytes=10-' } }), 416, 'OUT_OF_RANGE');
    expectProblem(await call('GET', '/names/nobody'), 404, 'REGION_NOT_FOUND');
    expect((await call('HEAD', '/names/nobody')).headers['error-code']).toBe('REGION_NOT_FOUND');
  });

  it('go by If-Match, If-None-Match and If-Range', async () => {
    const id = await target.put('name', Buffer.from('0123456789'));
    const [etag, other] = [`"${id.toString()}"`, `"${'1'.repeat(32)}"`];
    const ask = (method: string, headers: Record<string, string>): Promise<Answer> =>
      call(method, '/names/name', { headers });
    for (const method of ['GET', 'HEAD']) {
      for (const tags of [etag, `${other}, ${etag}`, `W/${etag}`, '*', etag.toUpperCase()]) {
        const known = await ask(method, { 'if-none-match': tags });
        expect([known.status, known.headers.etag, known.bytes.length]).toEqual([304, etag, 0]);
      }
      expect((await ask(method, { 'if-none-match': other })).status).toBe(200);
      expect((await ask(method, { 'if-match': etag })).status).toBe(200);
      for (const tags of [other, `W/${etag}`])
        expect((await ask(method, { 'if-match': tags })).status).toBe(412);
      expect((await ask(method, { 'if-match': 'no tag' })).status).toBe(400);
    }
    const range = 'bytes=2-3';
    expect((await ask('GET', { range, 'if-range': etag })).status).toBe(206);
    for (const validator of [other, `W/${etag}`, 'Fri, 27 Nov 2026 00:00:00 GMT'])
      expect((await ask('GET', { range, 'if-range': validator })).status).toBe(200);
  });

  it('answer from one region only, whatever becomes of the name', async () => {
    const contents = (letter: string): Buffer => Buffer.alloc(100_000, letter);
    await target.put('name', contents('a'));
    const state = { isOver: false };
    const writer = (async (): Promise<void> => {
      for (let round = 0; !state.isOver; round++) {
        await target.put('name', contents('abc'[round % 3] ?? ''));
        await turn();
      }
    })();
    for (let round = 0; round < 30; round++) {
      const { status, bytes } = await call('GET', '/names/name');
      expect([status, bytes.length, new Set(bytes).size]).toEqual([200, 100_000, 1]);
      expect((await call('HEAD', '/names/name')).status).toBe(200);
    }
    state.isOver = true;
    await writer;
  });
});

describe('a large answer that its client has not taken', () => {
  const LARGE = 24 * 2 ** 20;
  let roomy: RunningDaemon;
  let store: Target;

  beforeAll(async () => {
    roomy = await runDaemon({ providers: [memoryStore('store', 42, { max_bytes: 2.5 * LARGE })] });
    store = roomy.daemon.target('store');
  });

  it.each(['names', 'regions'])(
    'goes on to its end where the region is replaced and changed: %s',
    async (by) => {
      await store.put('name', Buffer.alloc(LARGE, 'a'));
      const connection = await RawConnection.open(roomy.port);
      connection.socket.pause();
      connection.send(head(`GET ${STORE}/${by}/name`));
      // It has begun, and waits for its client.
      const buffered = async (): Promise<boolean> =>
        !/^bedrock_http_buffered_bytes 0$/m.test(String((await roomy.call('GET', '/metrics')).bytes));
      while (!(await buffered())) await turn();
      await store.transact([{ type: 'write', ref: 'name', offset: LARGE - 1, bytes: Buffer.from('z') }]);
      await store.put('name', Buffer.from('new'));
      connection.socket.resume();
      const { status, bytes } = await connection.answer();
      expect([status, bytes.length, bytes[0], bytes[LARGE - 1]]).toEqual([200, LARGE, 97, 122]);
      connection.destroy();
      await eventually(
        () => roomy.stats(),
        ({ usedBytes }) => usedBytes === 3,
      );
    },
  );
});

describe('conditional changes', () => {
  const NONE = { 'if-none-match': '*' };

  it('with If-None-Match: * make a name only if nobody has it', async () => {
    expect((await put('name', 'first', NONE)).status).toBe(201);
    expectProblem(await put('name', 'second', NONE), 412, 'PRECONDITION_FAILED');
    expectProblem(await put('name', Buffer.alloc(500_000), NONE), 412, 'PRECONDITION_FAILED');
    expect(await textOf('name')).toBe('first');
  });

  it('with If-Match go by the region that has the name', async () => {
    const first = String((await put('name', 'first')).headers.etag);
    const second = String((await put('name', 'second', { 'if-match': first })).headers.etag);
    const stale = { 'if-match': first };
    expectProblem(await put('name', 'third', stale), 412, 'PRECONDITION_FAILED');
    expectProblem(await put('other', 'third', stale), 412, 'PRECONDITION_FAILED');
    expectProblem(await put('other', 'third', { 'if-match': '*' }), 412, 'PRECONDITION_FAILED');
    expectProblem(await put('name', 'third', { 'if-match': 'no tag' }), 400, 'INVALID_ARGUMENT');
    expectProblem(await rename('/names/name', 'other', stale), 412, 'PRECONDITION_FAILED');
    expectProblem(await call('DELETE', '/names/name', { headers: stale }), 412, 'PRECONDITION_FAILED');
    expect([await textOf('name'), await namesIn()]).toEqual(['second', ['name']]);
    expect((await put('name', 'third', { 'if-match': '*' })).status).toBe(204);
    const third = String((await call('HEAD', '/names/name')).headers.etag);
    expect(third).not.toBe(second);
    expect((await rename('/names/name', 'moved', { 'if-match': third })).status).toBe(204);
    expect((await call('DELETE', '/names/moved', { headers: { 'if-match': third } })).status).toBe(204);
    expectProblem(
      await call('DELETE', '/names/moved', { headers: { 'if-match': third } }),
      404,
      'REGION_NOT_FOUND',
    );
  });

  it.each(['made', 'replaced', 'erased'])(
    'fail with 412 if the name was %s while the body came, and change nothing',
    async (what) => {
      const before = what === 'made' ? undefined : await target.put('name', Buffer.from('old'));
      const condition = before === undefined ? 'If-None-Match: *' : `If-Match: "${before.toString()}"`;
      const connection = await RawConnection.open(daemon.port);
      connection.send(`${head(`PUT ${NAMES}/name`, 'Content-Length: 10', condition)}12345`);
      // It has looked, and reads its body: its region is there, and has no name.
      while ((await target.stats()).usedBytes < 10) await turn();
      if (what === 'erased') await target.erase('name');
      else await target.put('name', Buffer.from('their'));
      const answer = await connection.send('67890').answer();
      connection.destroy();
      expectProblem(answer, 412, 'PRECONDITION_FAILED');
      if (what === 'erased') expect(await namesIn()).toEqual([]);
      else expect(await textOf('name')).toBe('their');
      expect((await target.stats()).regions).toBe(what === 'erased' ? 0 : 1);
    },
  );
});

describe('PATCH', () => {
  it('gives a region a name, another one, or none; its ID and contents stay', async () => {
    const id = await target.createAndWrite(Buffer.from('contents'));
    const named = await rename(`/regions/${id.toString()}`, 'a/é');
    expect([named.status, named.headers.location]).toEqual([204, `${NAMES}/a/%C3%A9`]);
    expect((await rename('/names/a/%C3%A9', 'b')).status).toBe(204);
    expect((await rename('/regions/b', 'c')).status).toBe(204);
    expect((await target.find('c')).id.equals(id)).toBe(true);
    const unnamed = await rename('/names/c', null);
    expect([unnamed.status, unnamed.headers.location]).toEqual([204, undefined]);
    expect(await namesIn()).toEqual([]);
    expect(await target.stat(id)).not.toHaveProperty('name');
    expectProblem(await rename('/names/c', 'd'), 404, 'REGION_NOT_FOUND');
    expectProblem(await rename(`/regions/${'1'.repeat(32)}`, 'd'), 404, 'REGION_NOT_FOUND');
  });

  it('replaces what has the new name only with ?replace=true', async () => {
    await put('old', 'old');
    await put('new', 'new');
    expectProblem(await rename('/names/new', 'old'), 409, 'NAME_TAKEN');
    expectProblem(await rename('/names/new?replace=false', 'old'), 409, 'NAME_TAKEN');
    const etag = String((await call('HEAD', '/names/new')).headers.etag);
    expectProblem(await rename('/names/new', 'old', { 'if-match': etag }), 409, 'NAME_TAKEN');
    expectProblem(await rename('/names/new?replace=yes', 'old'), 400, 'INVALID_ARGUMENT');
    expect(await namesIn()).toEqual(['new', 'old']);
    expect((await rename('/names/new?replace=true', 'old')).status).toBe(204);
    expect([await textOf('old'), await namesIn()]).toEqual(['new', ['old']]);
  });

  it.each([undefined, '{}', '[]', '{"name":"x","replace":true}', '{"name"'])(
    'refuses the body %s',
    async (body) => {
      await put('old', 'contents');
      const answer = await call('PATCH', '/names/old', {
        headers: JSON_HEADERS,
        ...(body !== undefined && { body }),
      });
      expectProblem(answer, 400, 'INVALID_ARGUMENT');
      expect(await namesIn()).toEqual(['old']);
    },
  );

  it('takes JSON alone', async () => {
    await put('old', 'contents');
    const answer = await call('PATCH', '/names/old', {
      headers: { 'content-type': 'text/plain' },
      body: 'new',
    });
    expectProblem(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
  });
});

describe('the list of names', () => {
  it('has those of a prefix, page by page, with common prefixes', async () => {
    const all = ['a', 'run/1/x', 'run/1/y', 'run/2', 'é/1', '\u{10000}', '\uffff'];
    for (const name of all) await target.put(name, Buffer.from(name));
    const inBytes = all.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    expect(await namesIn()).toEqual(inBytes);
    expect(await namesIn('?prefix=run/')).toEqual(['run/1/x', 'run/1/y', 'run/2']);
    expect(await namesIn('?prefix=%C3%A9%2F&limit=5')).toEqual(['é/1']);
    expect(await namesIn('?after=run%2F1%2Fy')).toEqual(inBytes.slice(3));
    const grouped = (await call('GET', '/names?delimiter=/&limit=2')).json() as object;
    expect(grouped).toMatchObject({ names: [{ name: 'a', size: 1 }], prefixes: ['run/'], next: 'run/' });
    const rest = (await call('GET', '/names?delimiter=/&after=run/')).json() as object;
    expect(rest).toEqual({ names: expect.any(Array), prefixes: ['é/'] });
    const found: string[] = [];
    for (let after = ''; ;) {
      const query = `?limit=2&after=${encodeURIComponent(after)}`;
      const page = (await call('GET', `/names${query}`)).json() as {
        names: { name: string }[];
        next?: string;
      };
      found.push(...page.names.map(({ name }) => name));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(found).toEqual(inBytes);
  });

  it('has more than a piece of them in one page, with what each is', async () => {
    for (let at = 0; at < 1100; at++)
      await target.create(at, { name: `name ${String(at).padStart(4, '0')}` });
    const page = (await call('GET', '/names?limit=1050')).json() as {
      names: { name: string; id: string; size: number; createdAt: number }[];
      next: string;
    };
    expect([page.names.length, page.next]).toEqual([1050, 'name 1049']);
    const { id, createdAt } = await target.find('name 0700');
    expect(page.names[700]).toEqual({ name: 'name 0700', id: id.toString(), size: 700, createdAt });
    expect(await namesIn(`?after=${encodeURIComponent(page.next)}`)).toHaveLength(50);
  });

  it.each(['?limit=0', '?limit=10001', '?limit=x', '?delimiter=', '?nosuch=1', '?prefix=a&prefix=b'])(
    'refuses %s',
    async (query) => {
      expectProblem(await call('GET', `/names${query}`), 400, 'INVALID_ARGUMENT');
    },
  );
});

it('operations on names are counted under their own names', async () => {
  await put('name', 'contents');
  await rename('/names/name', 'other');
  await call('HEAD', '/names/other');
  await call('GET', '/names/other');
  await call('GET', '/names');
  await call('GET', '/names/nobody');
  await call('DELETE', '/names/other');
  const metrics = String((await daemon.call('GET', '/metrics')).bytes);
  for (const operation of ['put', 'rename', 'find', 'read', 'names', 'erase'])
    expect(metrics).toMatch(
      new RegExp(
        `^bedrock_operations_total\\{provider="store",target="0",operation="${operation}"\\} [1-9]`,
        'm',
      ),
    );
  expect(metrics).toMatch(
    /^bedrock_operation_bytes_total\{provider="store",target="0",operation="put"\} [1-9]/m,
  );
});
