/** Small requests take a way of their own through the daemon: every answer must be what the routes would have given. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BedrockError } from '../../core/index.js';
import { faults, gates } from '../fixtures/gated-library.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  type Answer,
  type RunningDaemon,
} from './running-daemon.js';

afterAll(closeDaemons);

/** Takes a request the way through the routes, as they alone know the parameter; it means the same target. */
function byRoute(path: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}target=0`;
}

function comparable({ status, headers, bytes }: Answer): unknown {
  return { status, headers: { ...headers, date: '' }, body: bytes.toString() };
}

describe('an answer on the short way', () => {
  let daemon: RunningDaemon;
  let region: string;
  beforeAll(async () => {
    daemon = await runDaemon({ providers: [memoryStore('store', 42), memoryStore('other', 43)] });
    region = await daemon.regionOf(Buffer.from('contents'));
  });

  it.each([
    ['GET', {}],
    ['GET', { headers: { range: 'bytes=2-4' } }],
    ['GET', { headers: { range: 'bytes=-3' } }],
    ['GET', { headers: { range: 'bytes=5-99' } }],
    ['GET', { headers: { range: 'bytes=0-1,3-4' } }],
    ['GET', { headers: { range: 'lines=1-2' } }],
    ['GET', { headers: { range: 'bytes=8-9' } }],
    ['GET', { headers: { range: 'bytes=2-4', 'if-range': '"x"' } }],
    ['GET', { headers: { origin: 'http://elsewhere.example' } }],
    ['PUT', { body: 'contents' }],
    ['PUT', { body: '' }],
    ['PUT', { body: 'too long by far' }],
    ['PUT', { body: 'con', headers: { 'content-type': 'no type at all' } }],
    ['PUT', { body: 'con', headers: { 'content-range': 'bytes 0-2/8' } }],
    ['PUT', { body: 'con', headers: { 'content-encoding': 'gzip' } }],
  ])('%s %j is that of the routes', async (method, options) => {
    const short = await daemon.call(method, region, options);
    const long = await daemon.call(method, byRoute(region), options);
    expect(comparable(short)).toEqual(comparable(long));
    expect((await daemon.call('GET', region)).bytes.toString()).toBe('contents');
  });

  describe('to a name', () => {
    const name = '/v1/providers/store/names/a/name-with.dots~1';
    beforeAll(() => daemon.call('PUT', name, { body: 'contents' }));

    it.each([
      [name, 'GET', {}],
      [name, 'GET', { headers: { range: 'bytes=2-4' } }],
      [name, 'GET', { headers: { range: 'bytes=8-9' } }],
      [name, 'GET', { headers: { 'if-none-match': '*' } }],
      [name, 'PUT', { body: '', headers: { 'content-range': 'bytes 0-2/8' } }],
      [`${name}-missing`, 'GET', {}],
      [`/v1/providers/store/names/${'0'.repeat(32)}`, 'GET', {}],
      [`/v1/providers/store/names/${'0'.repeat(32)}`, 'PUT', { body: 'value' }],
      [`/v1/providers/store/names/${'x'.repeat(1025)}`, 'PUT', { body: 'value' }],
      [name.replace('store', 'nobody'), 'PUT', { body: 'value' }],
    ])('%s %s %j is that of the routes', async (path, method, options) => {
      const short = await daemon.call(method, path, options);
      const long = await daemon.call(method, byRoute(path), options);
      expect(comparable(short)).toEqual(comparable(long));
    });

    it.each(['new', 'there'])(
      'PUT of a name that is %s differs from that of the routes by its ID alone',
      async (what) => {
        const put = async (path: string, way: (path: string) => string): Promise<unknown> => {
          if (what === 'there') await daemon.call('PUT', path, { body: 'before' });
          const answer = await daemon.call('PUT', way(path), { body: 'value' });
          const { headers } = await daemon.call('HEAD', path);
          expect(answer.headers.etag).toBe(headers.etag);
          expect((await daemon.call('GET', path)).bytes.toString()).toBe('value');
          const { status, headers: own } = answer;
          const location = String(own.location).replace(/\?.*$/, '').replace(/-\w+$/, '');
          return { status, headers: { ...own, date: '', etag: '', location }, body: answer.bytes.toString() };
        };
        const short = await put(`${name}-${what}-a`, (path) => path);
        const long = await put(`${name}-${what}-b`, byRoute);
        expect(short).toEqual(long);
      },
    );
  });

  it.each([
    '?offset=0',
    '?offset=5',
    '?offset=9007199254740993',
    '?offset=x',
    '?offset=3&persist=true',
    '?persist=no',
  ])('PUT %s is that of the routes', async (query) => {
    const short = await daemon.call('PUT', region + query, { body: 'abc' });
    const after = (await daemon.call('GET', region)).bytes.toString();
    await daemon.call('PUT', region, { body: 'contents' });
    const long = await daemon.call('PUT', byRoute(region + query), { body: 'abc' });
    expect(comparable(short)).toEqual(comparable(long));
    expect((await daemon.call('GET', byRoute(region))).bytes.toString()).toBe(after);
    await daemon.call('PUT', region, { body: 'contents' });
  });

  it.each([
    ['a region that is not there', (path: string) => path.replace(/[0-9a-f]{32}/, '0'.repeat(32))],
    ["another provider's region", (path: string) => path.replace('/store/', '/other/')],
    ['an unknown provider', (path: string) => path.replace('/store/', '/nobody/')],
    ["the provider's number", (path: string) => path.replace('/store/', '/42/')],
    ['an ID in capitals', (path: string) => path.replace(/[0-9a-f]{32}/, (id) => id.toUpperCase())],
    ['an ID too short', (path: string) => path.slice(0, -1)],
  ])('for %s is that of the routes', async (_, change) => {
    const path = change(region);
    for (const method of ['GET', 'PUT']) {
      const options = method === 'PUT' ? { body: 'contents' } : {};
      const short = await daemon.call(method, path, options);
      expect(comparable(short)).toEqual(comparable(await daemon.call(method, byRoute(path), options)));
    }
  });

  it('comes for a body that follows its head later, or byte by byte', async () => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`PUT ${region}`, 'Content-Length: 8'));
    for (const byte of 'CONTENTS') {
      await new Promise(setImmediate);
      connection.send(byte);
    }
    expect((await connection.answer()).status).toBe(204);
    expect((await connection.send(head(`GET ${region}`)).answer()).bytes.toString()).toBe('CONTENTS');
    connection.destroy();
    await daemon.call('PUT', region, { body: 'contents' });
  });

  it.each(['with its head', 'after it'])(
    'comes for a body that was to be asked for and is sent %s',
    async (when) => {
      const connection = await RawConnection.open(daemon.port);
      const request = head(`PUT ${region}`, 'Expect: 100-continue', 'Content-Length: 8');
      if (when === 'after it') {
        expect((await connection.send(request).answer(false)).status).toBe(100);
        connection.send('CONTENTS');
      } else {
        expect((await connection.send(`${request}CONTENTS`).answer(false)).status).toBe(100);
      }
      const answer = await connection.answer();
      expect([answer.status, answer.headers.connection]).toEqual([204, 'keep-alive']);
      expect((await connection.send(head(`GET ${region}`)).answer()).bytes.toString()).toBe('CONTENTS');
      connection.destroy();
      await daemon.call('PUT', region, { body: 'contents' });
    },
  );

  it('comes for each of many requests that are sent at once on one connection', async () => {
    const connection = await RawConnection.open(daemon.port);
    let sent = '';
    for (let number = 0; number < 50; number++) {
      sent += `${head(`PUT ${region}`, 'Content-Length: 8')}number${String(number).padStart(2, '0')}`;
      sent += head(`GET ${region}`);
    }
    connection.send(sent);
    for (let number = 0; number < 50; number++) {
      expect((await connection.answer()).status).toBe(204);
      expect((await connection.answer()).bytes.toString()).toBe(`number${String(number).padStart(2, '0')}`);
    }
    connection.destroy();
    await daemon.call('PUT', region, { body: 'contents' });
  });
});

describe('a target that fails on the short way', () => {
  it('is asked once, and its failure is logged, counted and answered by the route', async () => {
    const { logger, entries } = recordingLogger();
    const daemon = await runDaemon({ gated: true, providers: [gatedStore('store', 42)], logger });
    const region = await daemon.regionOf(Buffer.from('contents'));
    faults.read = { error: new Error('worn out'), from: 0 };
    expectProblem(await daemon.call('GET', region), 500, 'INTERNAL');
    expect(entries.filter(({ level }) => level === 'error')).toHaveLength(1);
    const metrics = (await daemon.call('GET', '/metrics')).bytes.toString();
    expect(metrics).toMatch(/^bedrock_operations_total\{.*operation="read"\} 1$/m);
    expect(metrics).toMatch(/^bedrock_operation_errors_total\{.*operation="read",code="INTERNAL"\} 1$/m);
  });

  it('has its say, and its time counted, also when the daemon is stopping by then', async () => {
    const daemon = await runDaemon({ gated: true, providers: [gatedStore('store', 42)] });
    const region = await daemon.regionOf(Buffer.from('contents'));
    gates.read.shut();
    faults.read = { error: new BedrockError('OUT_OF_SPACE', 'as the target says'), from: 0 };
    const failing = daemon.call('GET', region);
    await gates.read.arrivals(1);
    const closing = daemon.daemon.close();
    gates.read.open();
    expectProblem(await failing, 507, 'OUT_OF_SPACE');
    await closing;
  });

  it('leaves no place of the execution pool taken', async () => {
    const daemon = await runDaemon({
      gated: true,
      providers: [gatedStore('store', 42)],
      margo: { argobots: { pools: [{ name: '__primary__', max_in_flight: 1, max_queued: 1 }] } },
    });
    const region = await daemon.regionOf(Buffer.from('contents'));
    for (let attempt = 0; attempt < 3; attempt++) {
      faults.read = { error: new Error('worn out'), from: 0 };
      await daemon.call('GET', region);
      await daemon.call('PUT', `${region}?offset=7`, { body: 'xx' });
    }
    gates.read.shut();
    const calls = [daemon.call('GET', region), daemon.call('GET', region)];
    await gates.read.arrivals(1);
    gates.read.open();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
  });
});
