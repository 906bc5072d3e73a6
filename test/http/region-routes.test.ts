/** Routes of regions: what they answer when all is well. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeDaemons, memoryStore, runDaemon, type RunningDaemon, type Stats } from './running-daemon.js';

interface Page {
  regions: { id: string; size: number; createdAt: number }[];
  next?: string;
}

const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({
    providers: [
      memoryStore('store', 42),
      {
        name: 'pair',
        type: 'warabi',
        provider_id: 7,
        config: { targets: [{ type: 'memory' }, { type: 'memory' }] },
      },
      memoryStore('listed', 8),
    ],
  });
});
afterAll(closeDaemons);

describe('POST regions', () => {
  it('makes a region of zeros, and says where it is', async () => {
    const answer = await daemon.call('POST', `${REGIONS}?size=10`);
    expect(answer.status).toBe(201);
    const { id, size } = answer.json() as { id: string; size: number };
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(size).toBe(10);
    expect(answer.headers.location).toBe(`${REGIONS}/${id}`);
    const followed = await daemon.call('GET', String(answer.headers.location));
    expect(followed.bytes).toEqual(Buffer.alloc(10));
  });

  it.each(['', '?persist=true', '?persist=false', '?size=5', '?size=5&persist=true'])(
    'makes a region of its body: %s',
    async (query) => {
      const answer = await daemon.call('POST', `${REGIONS}${query}`, { body: 'hello' });
      expect(answer.status).toBe(201);
      expect(answer.json()).toMatchObject({ size: 5 });
      const followed = await daemon.call('GET', String(answer.headers.location));
      expect(followed.bytes.toString()).toBe('hello');
    },
  );

  it('makes a region of zeros also if an empty body comes with ?size=', async () => {
    const answer = await daemon.call('POST', `${REGIONS}?size=3`, { body: '' });
    expect(answer.status).toBe(201);
    expect((await daemon.call('GET', String(answer.headers.location))).bytes).toEqual(Buffer.alloc(3));
  });

  it('makes an empty region', async () => {
    for (const answer of [
      await daemon.call('POST', `${REGIONS}?size=0`),
      await daemon.call('POST', REGIONS, { headers: { 'content-length': '0' } }),
    ]) {
      expect(answer.status).toBe(201);
      expect(answer.json()).toMatchObject({ size: 0 });
    }
  });

  it('takes a body of any content type, and stores it as it comes', async () => {
    for (const type of ['application/json', 'text/plain; charset=utf-16', 'multipart/form-data', 'x']) {
      const answer = await daemon.call('POST', REGIONS, {
        headers: { 'content-type': type },
        body: '{ not json',
      });
      expect(answer.status).toBe(201);
      expect((await daemon.call('GET', String(answer.headers.location))).bytes.toString()).toBe('{ not json');
    }
  });

  it('finds the provider by its id, too', async () => {
    const answer = await daemon.call('POST', '/v1/providers/42/regions', { body: 'by id' });
    expect(answer.headers.location).toMatch(/^\/v1\/providers\/42\/regions\//);
    const id = String(answer.headers.location).split('/').pop() ?? '';
    expect((await daemon.call('GET', `${REGIONS}/${id}`)).bytes.toString()).toBe('by id');
  });
});

describe('HEAD of a region', () => {
  it('tells size and time of creation', async () => {
    const before = Date.now();
    const place = await daemon.regionOf(Buffer.alloc(1234));
    const answer = await daemon.call('HEAD', place);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe('1234');
    expect(answer.headers['accept-ranges']).toBe('bytes');
    const createdAt = Number(answer.headers['region-created-at']);
    expect(Number.isInteger(createdAt)).toBe(true);
    expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(createdAt).toBeLessThanOrEqual(Date.now());
  });
});

describe('GET of a region', () => {
  it('gives all its bytes, with the headers of HEAD', async () => {
    const place = await daemon.regionOf(Buffer.from('contents'));
    const answer = await daemon.call('GET', place);
    expect(answer.status).toBe(200);
    expect(answer.bytes.toString()).toBe('contents');
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '8',
      'accept-ranges': 'bytes',
    });
    expect(answer.headers['content-range']).toBeUndefined();
    const { headers } = await daemon.call('HEAD', place);
    for (const name of ['content-type', 'content-length', 'accept-ranges', 'region-created-at']) {
      expect([name, headers[name]]).toEqual([name, answer.headers[name]]);
    }
  });
});

describe('PUT of a region', () => {
  it.each([
    ['', '01234', '01234fghij'],
    ['?offset=0', '01234', '01234fghij'],
    ['?offset=5', '01234', 'abcde01234'],
    ['?offset=3&persist=true', '#', 'abc#efghij'],
    ['?offset=3&persist=false&size=2', '##', 'abc##fghij'],
    ['?offset=10', '', 'abcdefghij'],
    ['?persist=true', '', 'abcdefghij'],
  ])('overwrites from the offset on, and nothing else: %s with "%s"', async (query, body, result) => {
    const place = await daemon.regionOf(Buffer.from('abcdefghij'));
    const answer = await daemon.call('PUT', `${place}${query}`, {
      body,
      headers: { 'content-length': String(body.length) },
    });
    expect(answer.status).toBe(204);
    expect(answer.bytes).toHaveLength(0);
    expect((await daemon.call('GET', place)).bytes.toString()).toBe(result);
  });
});

describe('POST persist', () => {
  it('takes JSON that is announced and not sent for the whole region', async () => {
    const place = await daemon.regionOf(Buffer.from('abc'));
    const headers = { 'content-type': 'application/json', 'content-length': '0' };
    expect((await daemon.call('POST', `${place}/persist`, { headers })).status).toBe(204);
  });

  it.each([
    ['without a body', undefined],
    ['with an empty object', {}],
    ['with null', null],
    [
      'with ranges',
      {
        ranges: [
          { offset: 0, size: 3 },
          { offset: 3, size: 0 },
          { offset: 2, size: 1 },
        ],
      },
    ],
    ['with no ranges', { ranges: [] }],
  ])('answers 204 %s', async (_how, body) => {
    const place = await daemon.regionOf(Buffer.from('abc'));
    const answer = await daemon.call(
      'POST',
      `${place}/persist`,
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json; charset=utf-8' } },
    );
    expect(answer.status).toBe(204);
    expect(answer.bytes).toHaveLength(0);
  });
});

describe('DELETE of a region', () => {
  it('erases it, for good', async () => {
    const place = await daemon.regionOf(Buffer.from('gone'));
    const answer = await daemon.call('DELETE', place);
    expect(answer.status).toBe(204);
    expect(answer.bytes).toHaveLength(0);
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect((await daemon.call(method, place)).status).toBe(404);
    }
    expect((await daemon.call('PUT', place, { body: 'x' })).status).toBe(404);
  });
});

describe('?target=', () => {
  const PAIR = '/v1/providers/pair/regions';

  it('leads to the target of that number, and Location repeats it', async () => {
    const answer = await daemon.call('POST', `${PAIR}?target=1`, { body: 'in the second' });
    const place = String(answer.headers.location);
    expect(place).toMatch(/\?target=1$/);
    expect((await daemon.call('GET', place)).bytes.toString()).toBe('in the second');
    expect((await daemon.call('GET', place.replace('target=1', 'target=0'))).status).toBe(404);
    const counts = await Promise.all(
      [0, 1].map(async (target) => {
        const stats = await daemon.call('GET', `/v1/providers/pair/stats?target=${target}`);
        const list = await daemon.call('GET', `${PAIR}?target=${target}`);
        return [(stats.json() as Stats).regions, (list.json() as Page).regions.length];
      }),
    );
    expect(counts).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect((await daemon.call('PUT', `${place}&offset=3`, { body: 'THE' })).status).toBe(204);
    expect((await daemon.call('POST', place.replace('?', '/persist?'))).status).toBe(204);
    expect((await daemon.call('GET', place)).bytes.toString()).toBe('in THE second');
    expect((await daemon.call('DELETE', place)).status).toBe(204);
  });

  it('is 0 unless given', async () => {
    const place = String((await daemon.call('POST', `${PAIR}?size=1`)).headers.location);
    expect((await daemon.call('HEAD', `${place}?target=0`)).status).toBe(200);
    expect((await daemon.call('HEAD', `${place}?target=1`)).status).toBe(404);
  });
});

describe('GET regions', () => {
  const LISTED = '/v1/providers/listed/regions';
  const page = async (query: string): Promise<Page> =>
    (await daemon.call('GET', `${LISTED}${query}`)).json() as Page;
  const makeListed = async (size: number): Promise<string> =>
    ((await daemon.call('POST', `${LISTED}?size=${size}`)).json() as { id: string }).id;
  const ids: string[] = [];
  let before: number;

  beforeAll(async () => {
    before = Date.now();
    for (let size = 0; size < 7; size++) {
      ids.push(await makeListed(size));
    }
  });

  it('lists all regions with size and time', async () => {
    const { regions, next } = await page('');
    expect(regions.map(({ id, size }) => [id, size])).toEqual(ids.map((id, size) => [id, size]));
    for (const { createdAt } of regions) expect(createdAt).toBeGreaterThanOrEqual(before);
    expect(next).toBeUndefined();
  });

  it.each([1, 2, 3, 6, 7, 8, 10_000])('gives each region once in pages of %i', async (limit) => {
    const seen: string[] = [];
    let query = `?limit=${limit}`;
    for (let count = 1; ; count++) {
      const { regions, next } = await page(query);
      expect(regions.length).toBeLessThanOrEqual(limit);
      seen.push(...regions.map(({ id }) => id));
      if (next === undefined) {
        expect(count).toBe(Math.ceil(7 / limit));
        break;
      }
      query = `?limit=${limit}&after=${next}`;
    }
    expect(seen).toEqual(ids);
  });

  it('goes on after a region that was erased meanwhile', async () => {
    const id = await makeListed(1);
    const { next = '' } = await page('?limit=3');
    await daemon.call('DELETE', `${LISTED}/${next}`);
    const { regions } = await page(`?after=${next}`);
    expect(regions.map((region) => region.id)).toEqual([...ids.slice(3), id]);
  });
});
