/**
 * Whatever the clock says, what is made is there after a restart: no time is stored that the format
 * has no form for.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MAX_TIME_MS, soundClock } from '../../core/base/clock.js';
import { formatTime } from '../../core/cli/times.js';
import { bootstrap, type RegionId, type Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { poolFolder, poolTarget } from './pool-factory.js';

const BACKENDS = addonState().attributes === undefined ? ['file', 'memory'] : ['file', 'pmem', 'memory'];

/** In this order, so that it goes backwards as well. */
const TIMES = [
  1_700_000_000_000,
  0,
  -0,
  -1,
  -0.5,
  -86_400_000,
  0.5,
  1.5,
  NaN,
  -Infinity,
  Infinity,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 63,
  -(2 ** 53),
  -(2 ** 63),
  1e308,
  8.64e15,
  8.64e15 + 1,
  5,
  4,
];

let home: string;
beforeEach(async () => {
  home = await poolFolder();
});
afterEach(() => rm(home, { recursive: true, force: true }));

const timesOf = async (target: Target, ids: readonly RegionId[]): Promise<number[]> =>
  Promise.all(ids.map(async (id) => (await target.stat(id)).createdAt));

describe.each(BACKENDS)('a %s target under a clock gone wrong', (type) => {
  it('makes regions with times that can be stored, listed and taken in elsewhere', async () => {
    const config: BedrockConfig = {
      providers: [
        {
          name: 's',
          type: 'warabi',
          config: {
            target: {
              type,
              config:
                type === 'memory'
                  ? {}
                  : { path: path.join(home, 'pool'), create_if_missing_with_size: 2 ** 23 },
            },
          },
        },
      ],
    };
    let now = TIMES[0] as number;
    const start = () => bootstrap(config, { listen: false, logLevel: 'off', clock: { now: () => now } });
    const daemon = await start();
    const target = daemon.target('s');
    const ids: RegionId[] = [];
    for (now of TIMES) {
      ids.push(await target.create(100), await target.createAndWrite(Buffer.from('contents')));
      ids.push(await target.create(0), await target.createAndWrite(Buffer.alloc(2 ** 16), { persist: true }));
    }
    const times = await timesOf(target, ids);
    for (const time of times) {
      expect(Number.isSafeInteger(time) && time >= 0).toBe(true);
      expect(formatTime(time)).toMatch(/Z$/);
    }
    expect(times[0]).toBe(TIMES[0]);
    expect(times.at(-1)).toBe(4);
    const copy = await poolTarget(
      'file',
      { path: 'copy', create_if_missing_with_size: 2 ** 23 },
      home,
      undefined,
      (await target.listErased()).poolId,
    );
    await copy.open();
    for (const [index, id] of ids.entries())
      await copy.importRegion(id, Buffer.from('x'), { createdAt: times[index] as number });
    await expect(timesOf(copy, ids)).resolves.toEqual(times);
    await copy.close();
    await daemon.close();
    if (type === 'memory') return;
    const again = await start();
    expect((await again.target('s').stats()).recovery).toMatchObject({ regions: ids.length, quarantined: 0 });
    await expect(timesOf(again.target('s'), ids)).resolves.toEqual(times);
    await again.close();
  });
});

it('a pool that is made by a machine whose clock stands before 1970 can be opened', async () => {
  const now = Date.now;
  try {
    Date.now = () => -1e12;
    const target = await poolTarget('file', { path: 'pool', create_if_missing_with_size: 2 ** 23 }, home);
    await target.open();
    const id = await target.create(1);
    await target.close();
    await target.open();
    expect((await target.stat(id)).createdAt).toBe(0);
    await target.close();
  } finally {
    Date.now = now;
  }
});

it('a sound clock never says what is no time', () => {
  for (const time of TIMES) {
    const now = soundClock({ now: () => time }).now();
    expect(Number.isSafeInteger(now) && now >= 0 && now <= MAX_TIME_MS).toBe(true);
  }
});
