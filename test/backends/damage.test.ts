/** Damaged pools in files, opened by the real backends: the same damages as in memory, fewer of them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, type Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { headerInForce, undamagedRegions } from '../pool/damage-oracle.js';
import { DAMAGES } from '../pool/damages.js';
import { MemoryMedium } from '../pool/memory-medium.js';
import { makeWorld, type PoolWorld } from '../pool/pool-world.js';
import { Random } from '../fixtures/random.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { poolFolder, poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const SEED = Number(process.env.DAMAGE_SEED ?? 1);
const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];
const POOLS = isThorough ? 160 : 50;

/** A file has no pages that cannot be read, short of a broken disk. */
const KINDS = Object.keys(DAMAGES).filter((kind) => kind !== 'a page that cannot be read');

let home: string;
let worlds: PoolWorld[];
beforeAll(async () => {
  home = await poolFolder();
  const random = new Random(SEED);
  worlds = [];
  for (const alignment of [64, 256, 4096, 256]) worlds.push(await makeWorld(random, alignment));
});
afterAll(() => rm(home, { recursive: true, force: true }));

async function opened(target: Target): Promise<boolean> {
  try {
    await target.open();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(BedrockError);
    expect((error as BedrockError).code).toMatch(/^(POOL_CORRUPT|NOT_SUPPORTED)$/);
    return false;
  }
}

async function survives(type: PoolBackend, seed: number): Promise<void> {
  const random = new Random(seed);
  const world = random.pick(worlds.slice(0, 3));
  const medium = new MemoryMedium(world.bytes);
  const other = worlds[3] as PoolWorld;
  for (let left = 1 + random.below(3); left > 0; left--)
    DAMAGES[random.pick(KINDS)]?.({ medium, world, other, random });
  await writeFile(path.join(home, 'pool'), medium.bytes);
  const config: PoolConfig = { path: 'pool', ...(random.below(2) === 0 && { max_size: 2 ** 20 }) };
  const target = await poolTarget(type, config, home);
  expect(await opened(target)).toBe(headerInForce(medium) !== undefined);
  if (target.state !== 'open') return;
  const whole = undamagedRegions(world, medium);
  const readAll = async (from: Target): Promise<void> => {
    for (const { id, size, offset } of whole)
      if (!medium.bytes.subarray(offset, offset + size).equals(await from.read(id, 0, size)))
        throw new Error(`region ${id.toString()} reads wrong`);
  };
  await readAll(target);
  const contents = Buffer.alloc(1 + random.below(3000), 99);
  const made = await target.createAndWrite(contents, { persist: true }).catch((error: unknown) => {
    expect(error).toMatchObject({ code: 'OUT_OF_SPACE' });
    return undefined;
  });
  await readAll(target);
  await target.close();
  await target.open();
  await readAll(target);
  if (made !== undefined) expect(contents.equals(await target.read(made, 0, contents.length))).toBe(true);
  await target.close();
}

describe.each(BACKENDS)('a damaged pool under %s', (type) => {
  it(`is opened without harm to any whole region, or refused, ${POOLS} times`, async () => {
    for (let round = 0; round < POOLS; round++) {
      try {
        await survives(type, (SEED + Math.imul(round + 1, 0x9e3779b1)) >>> 0);
      } catch (error) {
        throw new Error(`DAMAGE_SEED=${SEED}, round ${round}: ${String((error as Error).stack)}`, {
          cause: error,
        });
      }
    }
  });
});
