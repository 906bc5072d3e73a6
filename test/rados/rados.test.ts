/** What of the rados backend needs no cluster: entries of the catalog, settings, limits, and what is said where librados is missing. */
import { describe, expect, it } from '@jest/globals';
import {
  countOf,
  countValue,
  epochKey,
  epochOf,
  epochOfKey,
  FORMAT,
  idOf,
  keyOf,
  namedOf,
  namedValue,
  nameKey,
  nameOfKey,
  regionOf,
  regionValue,
  settingsOf,
} from '../../backends/rados/catalog-entries.js';
import { Catalog } from '../../backends/rados/catalog.js';
import { CallsInFlight } from '../../backends/rados/calls-in-flight.js';
import type { Objects } from '../../backends/rados/cluster.js';
import { Limiter } from '../../backends/rados/limiter.js';
import { keyOfObject, objectOf } from '../../backends/rados/region-objects.js';
import { inWindows } from '../../backends/rados/windows.js';
import rados from '../../backends/rados/index.js';
import { RegionId } from '../../core/index.js';
import { compileSchema } from '../../core/validation/schema.js';
import { QUIET } from './cluster.js';

const POOL_ID = '0123456789abcdef';

describe('changes of the catalog', () => {
  it('are sent, at whichever step after another one has ended they are asked for', async () => {
    for (let steps = 0; steps < 20; steps++) {
      let answer = (): void => undefined;
      let sent = 0;
      const objects = {
        write: () => {
          sent++;
          return new Promise<number>((resolve) => (answer = () => resolve(0)));
        },
      } as unknown as Objects;
      const catalog = new Catalog(objects, 1000, QUIET.logger);
      const first = catalog.change({});
      await new Promise(setImmediate);
      answer();
      for (let step = 0; step < steps; step++) await Promise.resolve();
      const second = catalog.change({});
      await new Promise(setImmediate);
      expect([steps, sent]).toEqual([steps, 2]);
      answer();
      expect(await Promise.all([first, second])).toEqual([true, true]);
    }
  });
});

describe('entries of the catalog', () => {
  it('give a region its ID back, with the epoch of the daemon that made it', () => {
    const id = RegionId.parse(`05000000` + `0a0b0000` + POOL_ID);
    expect(id.generation).toBe(0x0b0a);
    expect(keyOf(id)).toBe('050000000a0b0000');
    expect(epochOf(keyOf(id))).toBe(0x0b0a);
    expect(idOf(keyOf(id), POOL_ID).equals(id)).toBe(true);
    expect(epochOfKey(epochKey('c', 0x0b0a))).toBe(0x0b0a);
  });

  it('keep regions, with names of any characters', () => {
    for (const name of [undefined, 'a', ' a b\n', '\0\u0001', 'é']) {
      const entry = {
        key: '050000000a0b0000',
        size: 2 ** 53 - 1,
        createdAt: 7,
        ...(name !== undefined && { name }),
      };
      expect(regionOf(`i${entry.key}`, regionValue(entry))).toEqual(entry);
      if (name !== undefined) expect(namedOf(nameKey(name), namedValue(entry))).toEqual(entry);
    }
    expect(() => regionOf('i1', 'x')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect(() => namedOf('n1', 'x')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it('keep names without zero bytes, in the order of their bytes', () => {
    const names = [
      '\0',
      '\0\0',
      '\0\u0001',
      '\0a',
      '\u0001',
      '\u0001\0',
      '\u0001\u0001',
      '\u0001\u0002',
      '\u0002',
      'a',
      'a\0',
      'b',
    ];
    const keys = names.map(nameKey);
    expect(keys.map(nameOfKey)).toEqual(names);
    expect(keys.some((key) => key.includes('\0'))).toBe(false);
    expect(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))).toEqual(keys);
    expect(nameKey('a\0b').startsWith(nameKey('a\0'))).toBe(true);
  });

  it('keep counts and settings, and refuse another format', () => {
    const count = { regions: -3, bytes: -4096, change: 9 };
    expect(countOf('c1', countValue(count))).toEqual(count);
    expect(countOf('c1', undefined)).toEqual({ regions: 0, bytes: 0, change: 0 });
    expect(() => countOf('c1', '1 x')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    const settings = { format: FORMAT, poolId: POOL_ID, stripeBytes: 4096 };
    expect(settingsOf(JSON.stringify(settings))).toEqual(settings);
    for (const wrong of ['', '{}', JSON.stringify({ ...settings, format: FORMAT + 1 })])
      expect(() => settingsOf(wrong)).toThrow(expect.objectContaining({ code: 'POOL_CORRUPT' }));
  });

  it('know the region of an object', () => {
    const key = '050000000a0b0000';
    expect([0, 1, 20].map((stripe) => keyOfObject(objectOf(key, stripe)))).toEqual([key, key, key]);
    expect(keyOfObject('catalog')).toBeUndefined();
  });
});

describe('settings of a rados target', () => {
  const check = compileSchema(rados.schema);

  it('need a pool only, and have defaults for the rest', () => {
    const { faults, value } = check({ pool: 'regions' });
    expect(faults).toEqual([]);
    expect(value).toMatchObject({ namespace: 'bedrock', client: 'client.admin', stripe_bytes: 4_194_304 });
  });

  it.each([
    ['no pool', {}],
    ['an empty pool', { pool: '' }],
    ['a client without its kind', { pool: 'p', client: 'admin' }],
    ['a namespace with a slash', { pool: 'p', namespace: 'a/b' }],
    ['a time-out below a second', { pool: 'p', op_timeout_ms: 999 }],
    ['nothing in flight', { pool: 'p', max_in_flight: 0 }],
    ['stripes larger than a write', { pool: 'p', stripe_bytes: 67_108_865 }],
    ['an unknown key', { pool: 'p', pools: 'q' }],
  ])('refuse %s with one fault', (_, config) => {
    expect(check(config).faults).toHaveLength(1);
  });
});

it('says what to install where the addon is missing, when a target opens', async () => {
  const before = process.env.BEDROCK_RADOS_ADDON;
  process.env.BEDROCK_RADOS_ADDON = '/nowhere/bedrock_rados.node';
  try {
    const config = {
      pool: 'p',
      namespace: 'n',
      conf: 'c',
      client: 'client.a',
      op_timeout_ms: 1000,
      max_in_flight: 1,
    };
    const target = await rados.create({ ...config, stripe_bytes: 4096 }, {
      ...QUIET,
      baseDirectory: '/',
    } as never);
    await expect(target.open()).rejects.toMatchObject({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringContaining('apt-get install librados-dev'),
    });
    expect(target.state).toBe('closed');
    await expect(target.create(1)).rejects.toMatchObject({ code: 'TARGET_CLOSED' });
  } finally {
    if (before === undefined) delete process.env.BEDROCK_RADOS_ADDON;
    else process.env.BEDROCK_RADOS_ADDON = before;
  }
});

it('lets so many operations run at once, others in order, and none wait without end', async () => {
  const limiter = new Limiter(1, 20);
  expect(limiter.enter()).toBeUndefined();
  const [second, third] = [limiter.enter(), limiter.enter()];
  limiter.leave();
  await expect(second).resolves.toBe(true);
  await expect(third).resolves.toBe(false);
  expect([limiter.running, limiter.waiting]).toEqual([1, 0]);
  limiter.leave();
  expect(limiter.running).toBe(0);
});

it('refuses calls on a region that is erased here, and waits for those before', async () => {
  const calls = new CallsInFlight();
  calls.begin('a');
  calls.setErased('a', true);
  expect(() => calls.begin('a')).toThrow(expect.objectContaining({ code: 'REGION_NOT_FOUND' }));
  let isIdle = false;
  const idle = calls.atMost('a', 0).then(() => (isIdle = true));
  await Promise.resolve();
  expect(isIdle).toBe(false);
  calls.end('a');
  await idle;
  calls.setErased('a', false);
  calls.begin('a');
  calls.end('a');
});

it('works on many things in windows, and ends what it has begun before it fails', async () => {
  let [running, most, done] = [0, 0, 0];
  const work = async (thing: number): Promise<void> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (thing === 30) throw new RangeError('thirty');
    done++;
  };
  await inWindows(
    Array.from({ length: 29 }, (_, at) => at),
    work,
  );
  expect([done, running, most]).toEqual([29, 0, 16]);
  await expect(
    inWindows(
      Array.from({ length: 100 }, (_, at) => at),
      work,
    ),
  ).rejects.toThrow('thirty');
  expect(running).toBe(0);
  expect(done).toBeLessThan(29 + 60);
});
