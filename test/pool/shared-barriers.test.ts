/**
 * How many fdatasyncs calls on names take of a disk: those of a put, whatever else there is to
 * store, and one for all that come at once.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RegionPool } from '../../core/pool/region-pool.js';
import type { PoolTarget } from '../../core/pool/pool-target.js';
import { SimulatedFile } from '../crash/simulated-file.js';
import { SimulatedMedia } from '../crash/simulated-media.js';
import { formatSmallPool, simulatedTarget, SMALL_POOL, unitBytesOf } from '../crash/simulated-pool.js';
import { SimulatedProcess } from '../crash/simulated-process.js';

const SHAPE = { ...SMALL_POOL, slots: 512, space: 2 ** 22 };
const VALUE = Buffer.alloc(64, 7);
const NAMES = Array.from({ length: 64 }, (_, number) => `name ${number}`);

const datasync = jest.spyOn(SimulatedFile.prototype, 'datasync');

let target: PoolTarget;

beforeEach(async () => {
  const media = new SimulatedMedia(formatSmallPool(SHAPE, 1), unitBytesOf('file'), false);
  target = simulatedTarget(SHAPE, media, new SimulatedProcess(), { now: () => 1 });
  await target.open();
  await putAll();
  // Makes the journal, and takes the first step of each kind.
  await target.transact([{ type: 'put', name: 'name 0', contents: VALUE }]);
  await target.stats();
});

afterEach(() => target.close());

async function putAll(contents = VALUE): Promise<void> {
  await Promise.all(NAMES.map((name) => target.put(name, contents)));
}

async function syncsOf(call: () => Promise<unknown>): Promise<number> {
  datasync.mockClear();
  await call();
  return datasync.mock.calls.length;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}

describe('a put on a disk', () => {
  it('takes two fdatasyncs, and the end of what it replaces none', async () => {
    for (let round = 0; round < 5; round++) expect(await syncsOf(() => target.put('name 1', VALUE))).toBe(2);
    expect((await target.stats()).regions).toBe(NAMES.length);
  });

  it('takes two with 63 others at once, and while those before are ended', async () => {
    for (let round = 0; round < 3; round++) expect(await syncsOf(() => putAll())).toBe(2);
  });

  it('never waits for the ends of what others replace, even if nearly all slots have regions', async () => {
    for (let number = NAMES.length; number < SHAPE.slots - 2; number++) await target.create(1);
    const settled = jest.spyOn(RegionPool.prototype, 'settleIfPossible');
    for (let round = 0; round < 4; round++) await putAll();
    expect(settled).not.toHaveBeenCalled();
    settled.mockRestore();
  });

  it('leaves nothing to be done afterwards, unless what it replaces holds much space', async () => {
    const large = Buffer.alloc(2 ** 20, 7);
    await target.put('large', large);
    for (const [contents, syncs] of [
      [VALUE, 2],
      [large, 4],
    ] as const) {
      const name = contents === large ? 'large' : 'name 1';
      expect(await syncsOf(async () => target.put(name, contents).then(turns))).toBe(syncs);
    }
  });
});

describe('a transaction on a disk', () => {
  it('takes three fdatasyncs, and one more for the contents of all its puts and the ends of replaced regions', async () => {
    const id = await target.create(64);
    expect(await syncsOf(() => target.transact([{ type: 'write', ref: id, offset: 0, bytes: VALUE }]))).toBe(
      3,
    );
    await putAll();
    const puts = NAMES.map((name) => ({ type: 'put' as const, name, contents: VALUE }));
    expect(await syncsOf(() => target.transact(puts))).toBe(4);
  });
});
