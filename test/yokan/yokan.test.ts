/** The provider type `yokan`: Yokan's operations over names, by its routes and by the client of them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type Daemon, type Service } from '../../core/index.js';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { YokanClient } from '../../providers/yokan/client.js';

const MAX_VALUE_BYTES = 4096;
const CONFIG = { database: { type: 'map', config: {} }, max_value_bytes: MAX_VALUE_BYTES };

let daemon: Daemon;
let service: Service;
let pairs: YokanClient;

beforeAll(async () => {
  daemon = await bootstrap(
    {
      providers: [
        { name: 'kv', type: 'yokan', config: CONFIG },
        { name: 'store', type: 'warabi', config: { target: { type: 'memory' } } },
      ],
    },
    { address: 'http://127.0.0.1:0', logLevel: 'off' },
  );
  service = await connect(daemon.address as string);
  pairs = new YokanClient(service.provider('kv'));
});

afterAll(async () => {
  await service.close();
  await daemon.close();
});

const bytes = (text: string): Buffer => Buffer.from(text);

describe('a yokan provider', () => {
  beforeEach(async () => {
    await pairs.eraseMany((await pairs.listKeys()).keys);
  });

  it('stores, replaces, returns and removes values', async () => {
    await pairs.put('key', bytes('value'));
    expect(await pairs.get('key')).toEqual(bytes('value'));
    await pairs.put('key', bytes('a longer value'));
    expect(await pairs.get('key')).toEqual(bytes('a longer value'));
    expect([await pairs.exists('key'), await pairs.length('key'), await pairs.count()]).toEqual([
      true,
      14,
      1,
    ]);
    await pairs.erase('key');
    expect([await pairs.exists('key'), await pairs.length('key'), await pairs.count()]).toEqual([
      false,
      undefined,
      0,
    ]);
    await pairs.erase('key');
    await expect(pairs.get('key')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each(['A', 'AA', 'AAA', 'AAAAA', 'AA=', 'A=='])(
    'refuses the value %s, which is no base64',
    async (value) => {
      const json = { pairs: [{ key: 'key', value }] };
      const putting = service.provider('kv').request({ method: 'POST', path: '/put', json });
      await expect(putting).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(await pairs.exists('key')).toBe(false);
    },
  );

  it('takes keys of all characters, and empty values', async () => {
    const keys = [
      'a/b',
      '..',
      '%2F',
      '?',
      '#',
      ' ',
      'caf\u0065\u0301',
      'caf\u00e9',
      '\u{10000}',
      '\0',
      'x'.repeat(1024),
    ];
    for (const [at, key] of keys.entries()) await pairs.put(key, Buffer.alloc(at, at));
    for (const [at, key] of keys.entries()) expect(await pairs.get(key)).toEqual(Buffer.alloc(at, at));
    expect(await pairs.count()).toBe(keys.length);
  });

  it.each(['0123456789abcdef0123456789abcdef', 'x'.repeat(1025), '\ud800'])(
    'refuses the key %j',
    async (key) => {
      const refused = { code: 'INVALID_ARGUMENT' };
      await expect(pairs.put(key, bytes('x'))).rejects.toMatchObject(refused);
      await expect(pairs.get(key)).rejects.toMatchObject(refused);
      await expect(pairs.erase(key)).rejects.toMatchObject(refused);
    },
  );

  it('stores only new keys, or only keys that exist, as it is told', async () => {
    const oldOnly = { mode: 'exist_only' } as const;
    await expect(pairs.put('key', bytes('1'), oldOnly)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await pairs.put('key', bytes('2'), { mode: 'new_only' });
    await expect(pairs.put('key', bytes('3'), { mode: 'new_only' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await pairs.put('key', bytes('4'), oldOnly);
    expect(await pairs.get('key')).toEqual(bytes('4'));
    const mode = 'sometimes' as never;
    await expect(pairs.put('key', bytes('5'), { mode })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('lets one of many puts of a new key win', async () => {
    const puts = Array.from({ length: 8 }, (_, at) =>
      pairs.put('key', bytes(String(at)), { mode: 'new_only' }),
    );
    const ended = await Promise.allSettled(puts);
    const won = ended.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []));
    expect(won).toHaveLength(1);
    expect(await pairs.get('key')).toEqual(bytes(String(won[0])));
  });

  it('does all of it for many keys at once', async () => {
    await pairs.putMany([
      ['a', bytes('1')],
      ['b', bytes('')],
      ['a', bytes('22')],
    ]);
    const keys = ['b', 'none', 'a'];
    expect(await pairs.getMany(keys)).toEqual([bytes(''), undefined, bytes('22')]);
    expect(await pairs.existsMany(keys)).toEqual([true, false, true]);
    expect(await pairs.lengthMany(keys)).toEqual([0, undefined, 2]);
    expect(await pairs.eraseMany(keys)).toEqual([true, false, true]);
    expect(await pairs.getMany(keys)).toEqual([undefined, undefined, undefined]);
    expect(await pairs.getMany([])).toEqual([]);
  });

  it('stores all pairs of an atomic request or none', async () => {
    const wrong = '0123456789abcdef0123456789abcdef';
    const both = [
      ['a', bytes('1')],
      [wrong, bytes('2')],
    ] as const;
    await expect(pairs.putMany(both, { atomic: true })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await pairs.count()).toBe(0);
    await pairs.putMany([both[0], ['b', bytes('2')]], { atomic: true });
    expect(await pairs.getMany(['a', 'b'])).toEqual([bytes('1'), bytes('2')]);
  });

  it('lists keys and pairs in the order of bytes, in pages, by prefix and from a key', async () => {
    const keys = ['a/1', 'a/2', 'a/3', 'b', '\uffff', '\u{10000}'];
    await pairs.putMany(keys.toReversed().map((key) => [key, bytes(key)]));
    expect(await pairs.listKeys()).toEqual({ keys });
    expect(await pairs.listKeys({ prefix: 'a/', limit: 2 })).toEqual({ keys: ['a/1', 'a/2'], next: 'a/2' });
    expect(await pairs.listKeys({ prefix: 'a/', from: 'a/2' })).toEqual({ keys: ['a/3'] });
    const from = { from: 'a/2', inclusive: true };
    expect(await pairs.listKeys({ ...from, limit: 1 })).toEqual({ keys: ['a/2'], next: 'a/2' });
    expect(await pairs.listKeys({ ...from, limit: 2 })).toEqual({ keys: ['a/2', 'a/3'], next: 'a/3' });
    expect(await pairs.listKeys({ from: '\u{10000}', inclusive: true, limit: 1 })).toEqual({
      keys: ['\u{10000}'],
    });
    expect(await pairs.listKeys({ from: 'a/25', inclusive: true, limit: 1 })).toEqual({
      keys: ['a/3'],
      next: 'a/3',
    });
    expect(await pairs.listPairs({ prefix: 'a/', limit: 1 })).toEqual({
      pairs: [{ key: 'a/1', value: bytes('a/1') }],
      next: 'a/1',
    });
    for (const wrong of [{ limit: 0 }, { limit: 10_001 }, { inclusive: 'maybe' as never }])
      await expect(pairs.listKeys(wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('keeps values to max_value_bytes, in requests and in answers', async () => {
    const large = Buffer.alloc(MAX_VALUE_BYTES, 'x');
    const refused = { code: 'BODY_TOO_LARGE' };
    await pairs.put('large', large);
    const larger = Buffer.alloc(MAX_VALUE_BYTES + 1);
    await expect(pairs.put('larger', larger)).rejects.toMatchObject(refused);
    await expect(pairs.putMany([['larger', larger]])).rejects.toMatchObject(refused);
    await pairs.put('other', bytes('x'));
    await expect(pairs.getMany(['large', 'other'])).rejects.toMatchObject(refused);
    await expect(pairs.listPairs()).rejects.toMatchObject(refused);
    await expect(pairs.listPairs({ limit: 1 })).resolves.toMatchObject({ pairs: [{ key: 'large' }] });
    // Made through another door.
    await daemon.target('kv').put('region', larger);
    await expect(pairs.get('region')).rejects.toMatchObject(refused);
    expect(await pairs.length('region')).toBe(MAX_VALUE_BYTES + 1);
  });

  it('reads each value whole while others replace it', async () => {
    await pairs.put('key', Buffer.alloc(1000, 1));
    const isOne = (value: Uint8Array): boolean => value.every((byte) => byte === value[0]);
    const readers = Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 20; round++) expect(isOne(await pairs.get('key'))).toBe(true);
    });
    for (let round = 0; round < 40; round++) await pairs.put('key', Buffer.alloc(round, round));
    await Promise.all(readers);
  });

  it('serves its pairs as regions too, and counts operations', async () => {
    await pairs.put('key', bytes('value'));
    const { id } = await daemon.target('kv').find('key');
    expect(Buffer.from(await service.target('kv').read(id, 0, 5))).toEqual(bytes('value'));
    const metrics = await (await fetch(`${daemon.address}/metrics`)).text();
    expect(metrics).toMatch(/^yokan_operations_total\{operation="put",provider="kv"\} [1-9]/m);
  });

  it('is in the OpenAPI document', async () => {
    const { paths } = (await (await fetch(`${daemon.address}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths)).toEqual(expect.arrayContaining([expect.stringMatching(/kv\/keys\/\{key\}$/)]));
  });

  it('is the only type of provider that its client takes', () => {
    expect(() => new YokanClient(service.provider('store'))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('the configuration of a yokan provider', () => {
  it.each([
    ['no database', {}, '$.providers[0].config.database'],
    ['a type that is not served', { database: { type: 'rocksdb' } }, '$.providers[0].config.database.type'],
    ['a backend by its own name', { database: { type: 'memory' } }, '$.providers[0].config.database.type'],
    [
      'a setting that the backend does not have',
      { database: { type: 'map', config: { path: 'x' } } },
      '$.providers[0].config.database.config.path',
    ],
    [
      'a limit of no bytes',
      { database: { type: 'map' }, max_value_bytes: 0 },
      '$.providers[0].config.max_value_bytes',
    ],
  ])('with %s is refused', async (_title, config, path) => {
    const starting = bootstrap(
      { providers: [{ type: 'yokan', config }] },
      { listen: false, logLevel: 'off' },
    );
    await expect(starting).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { issues: [expect.objectContaining({ path })] },
    });
  });
});
