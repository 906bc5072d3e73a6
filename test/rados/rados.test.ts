/** What of the rados backend needs no cluster: entries of the catalog, settings, limits, and what is said where librados is missing. */
import { describe, expect, it, jest } from '@jest/globals';
import type { ReadStep, WriteStep } from '../../backends/rados/addon.js';
import {
  countOf,
  countValue,
  epochKey,
  epochOfKey,
  FORMAT,
  idOf,
  keyOf,
  namedOf,
  namedValue,
  nameKey,
  nameOfKey,
  partsOf,
  regionKey,
  regionOf,
  regionValue,
  settingsOf,
  vacancyOf,
  vacantValue,
} from '../../backends/rados/catalog-entries.js';
import { ClusterHealth } from '../../backends/rados/cluster-health.js';
import { Catalog } from '../../backends/rados/catalog.js';
import { CallsInFlight } from '../../backends/rados/calls-in-flight.js';
import { CONDITION, Objects, type RadosSettings, type ReadResult } from '../../backends/rados/cluster.js';
import { Limiter } from '../../backends/rados/limiter.js';
import { RadosTarget } from '../../backends/rados/rados-target.js';
import { idOfObject, objectOf } from '../../backends/rados/region-objects.js';
import { inWindows } from '../../backends/rados/windows.js';
import rados from '../../backends/rados/index.js';
import { BedrockError, RegionId } from '../../core/index.js';
import { compileSchema } from '../../core/validation/schema.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { QUIET } from './cluster.js';

const POOL_ID = '0123456789abcdef';

/** The keys of a catalog, in memory. Objects of regions take everything. */
class FakeObjects {
  readonly keys = new Map<string, string>();
  readonly limiter = { running: 0, waiting: 0 };
  /** Whether changes of the catalog get no answer, and are not made. */
  isSilent = false;

  write(object: string, steps: readonly WriteStep[]): Promise<number> {
    if (object !== 'catalog') return Promise.resolve(0);
    if (this.isSilent) return Promise.reject(new BedrockError('OVERLOADED', 'no answer'));
    for (const step of steps) {
      if (step[0] === 'omapCompare' && (this.keys.get(String(step[1])) ?? '') !== String(step[2]))
        return Promise.resolve(CONDITION);
    }
    for (const step of steps) {
      if (step[0] === 'omapRemove') for (const key of step[1]) this.keys.delete(String(key));
      if (step[0] === 'omapSet')
        for (let at = 0; at < step[1].length; at += 2)
          this.keys.set(String(step[1][at]), String(step[1][at + 1]));
    }
    return Promise.resolve(0);
  }

  read(_object: string, [step]: readonly ReadStep[]): Promise<ReadResult> {
    const isAsked = (key: string): boolean => {
      if (step?.[0] === 'omapGet') return step[1].some((each) => String(each) === key);
      return step?.[0] === 'omapPage' && key.startsWith(String(step[2]));
    };
    const pairs = [...this.keys].filter(([key]) => isAsked(key)).flat();
    return Promise.resolve({
      status: 0,
      results: [{ pairs: pairs.map((text) => Buffer.from(text)), more: false }],
    });
  }

  command(): Promise<unknown> {
    return Promise.reject(new BedrockError('UNREACHABLE', 'no monitors'));
  }

  async close(): Promise<void> {}
}

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

describe('a creation whose answer was lost', () => {
  it('is left to other daemons to clear up, if the target closes before its outcome is known', async () => {
    const cluster = new FakeObjects();
    const open = jest.spyOn(Objects, 'open').mockResolvedValue(cluster as unknown as Objects);
    try {
      const target = new RadosTarget({ stripe_bytes: 4096, op_timeout_ms: 1000 } as RadosSettings, QUIET);
      await target.open();
      await target.create(1);
      cluster.isSilent = true;
      await expect(target.create(10)).rejects.toMatchObject({ code: 'OVERLOADED' });
      const closing = target.close();
      await new Promise(setImmediate);
      cluster.isSilent = false;
      await closing;
      expect([...cluster.keys.keys()].filter((key) => key.startsWith('d'))).toHaveLength(1);
    } finally {
      open.mockRestore();
    }
  });
});

describe('the copies that a pool keeps', () => {
  it.each([
    [1, 1, 'warning', /pool "p" has size 1/],
    [3, 1, 'warning', /pool "p" has min_size 1/],
    [3, 2, 'info', /keeps 3 copies, and serves while 2/],
    [undefined, undefined, 'warning', /how many copies pool "p" keeps is not known/],
  ])('size %s and min_size %s are told when a target opens', async (size, least, level, text) => {
    const { logger, entries } = recordingLogger();
    const answers: Record<string, number | undefined> = { size, min_size: least };
    const command = ({ var: name }: { var: string }): Promise<unknown> =>
      size === undefined
        ? Promise.reject(new BedrockError('UNREACHABLE', 'no monitors'))
        : Promise.resolve({ [name]: answers[name] });
    const objects = { command } as unknown as Objects;
    await new ClusterHealth(objects, 'p', { ...QUIET, logger }).checkPool();
    expect(entries).toEqual([expect.objectContaining({ level, message: expect.stringMatching(text) })]);
  });
});

describe('entries of the catalog', () => {
  it('give a region its ID back, and order regions by their slots', () => {
    const id = RegionId.parse(`05000000` + `0a0b0000` + POOL_ID);
    expect(id.generation).toBe(0x0b0a);
    expect(keyOf(id)).toBe('050000000a0b0000');
    expect(partsOf(keyOf(id))).toEqual({ slot: 5, generation: 0x0b0a });
    expect(regionKey(keyOf(id))).toBe('i00000005');
    const vacancy = { slot: 5, generation: 7, epoch: 9 };
    expect(vacancyOf('x00000005', vacantValue(vacancy))).toEqual(vacancy);
    expect(() => vacancyOf('x1', '1')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
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
      expect(regionOf(regionKey(entry.key), regionValue(entry))).toEqual(entry);
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
    const id = `050000000a0b0000${POOL_ID}`;
    expect([0, 1, 20].map((stripe) => idOfObject(objectOf(id, stripe)))).toEqual([id, id, id]);
    expect(idOfObject('catalog')).toBeUndefined();
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
