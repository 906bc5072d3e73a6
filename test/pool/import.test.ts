/**
 * Importing into a pool, beyond the contract: slots, generations, retired ones, and what the medium
 * then has.
 */
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RegionId, type Target } from '../../core/index.js';
import { MAX_GENERATION } from '../../core/pool/descriptor.js';
import { erasedDescriptors } from '../../core/pool/erased-descriptors.js';
import { erasedSlots } from '../../core/targets/erased-slots.js';
import { SlotTable } from '../../core/targets/slot-table.js';
import { poolFolder, poolTarget } from '../backends/pool-factory.js';

const MIB = 2 ** 20;
const POOL_ID = Buffer.from('8 bytes!');
const [POOL_LOW, POOL_HIGH] = [POOL_ID.readUInt32LE(0), POOL_ID.readUInt32LE(4)];
const TIME = { createdAt: 5 };

const idOf = (slot: number, generation: number): RegionId =>
  RegionId.of(slot, generation, POOL_LOW, POOL_HIGH);
const taken: unknown = expect.objectContaining({ code: 'ID_TAKEN' });

let home: string;
let target: Target;

async function openPool(): Promise<void> {
  const config = { path: 'pool', create_if_missing_with_size: 8 * MIB };
  target = await poolTarget('file', config, home, undefined, POOL_ID);
  await target.open();
}

async function reopen(): Promise<void> {
  await target.close();
  await openPool();
}

async function erasedOf(slot: number): Promise<number | undefined> {
  return (await target.listErased()).ids.find((id) => id.slot === slot)?.generation;
}

beforeEach(async () => {
  home = await poolFolder();
  await openPool();
});
afterEach(async () => {
  await target.close();
  await rm(home, { recursive: true, force: true });
});

describe('a pool', () => {
  it('goes on after the generation of an imported or erased ID, also after a reopen', async () => {
    await target.importRegion(idOf(0, 70), Buffer.from('a'), TIME);
    await target.importErased([idOf(1, 7), idOf(2, 8)]);
    await reopen();
    await target.erase(idOf(0, 70));
    const ids = [await target.create(1), await target.create(1), await target.create(1)];
    expect(ids.map(({ slot }) => slot)).toEqual([0, 1, 2]);
    for (const [slot, last] of [70, 7, 8].entries()) expect(ids[slot]?.generation).toBeGreaterThan(last);
  });

  it('retires a slot whose last generation is erased, or a later one than it has', async () => {
    await target.importErased([idOf(0, MAX_GENERATION), idOf(1, 0xffff_ffff)]);
    await target.importRegion(idOf(2, MAX_GENERATION), Buffer.from('the last'), TIME);
    await reopen();
    expect(String(await target.read(idOf(2, MAX_GENERATION), 0, 8))).toBe('the last');
    await target.erase(idOf(2, MAX_GENERATION));
    expect((await target.create(1)).slot).toBe(3);
    for (const slot of [0, 1, 2]) {
      expect(await erasedOf(slot)).toBe(MAX_GENERATION);
      await expect(target.importRegion(idOf(slot, 5), Buffer.from('x'), TIME)).rejects.toEqual(taken);
    }
  });

  it('refuses generations that no region of a pool has', async () => {
    for (const generation of [0, MAX_GENERATION + 1, 0xffff_ffff]) {
      await expect(target.importRegion(idOf(0, generation), Buffer.from('x'), TIME)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });

  it('adds descriptors until there is a slot, of which those in between are free and unused', async () => {
    await target.importRegion(idOf(5000, 3), Buffer.from('far'), TIME);
    await target.importErased([idOf(9000, 4)]);
    await reopen();
    expect(String(await target.read(idOf(5000, 3), 0, 3))).toBe('far');
    expect(await erasedOf(9000)).toBe(4);
    expect((await target.create(1)).slot).toBe(0);
  });

  it('adds none if those that are missing do not fit, alone or with the region', async () => {
    const before = await target.stats();
    // 131072 descriptors are as large as the pool; 100000 fit, but not beside 4 MiB.
    const far = idOf(131_071, 1);
    await expect(target.importErased([far])).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    const large = { size: 4 * MIB, source: [] };
    for (const id of [far, idOf(0xffff_ffff, 1), idOf(100_000, 1)])
      await expect(target.importRegion(id, large, TIME)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    expect(await target.stats()).toEqual(before);
  });

  it('gives the slot of a failed import its generation back', async () => {
    await target.importErased([idOf(0, 3)]);
    const broken = { size: 10, source: [Buffer.alloc(9)] };
    await expect(target.importRegion(idOf(0, 100), broken, TIME)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await erasedOf(0)).toBe(3);
    const next = await target.create(1);
    expect(next.slot).toBe(0);
    expect(next.generation).toBeGreaterThan(3);
  });

  it('refuses an erased ID while a region is made in its slot, which may be given back with the generation before', async () => {
    let end!: () => void;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let begun!: () => void;
    const begins = new Promise<void>((resolve) => (begun = resolve));
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      begun();
      await ended;
      yield Buffer.alloc(9);
    })();
    const failed = target
      .importRegion(idOf(0, 100), { size: 10, source }, TIME)
      .catch((error: unknown) => error);
    await begins;
    await expect(target.importErased([idOf(0, 50)])).rejects.toEqual(taken);
    end();
    await expect(failed).resolves.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await target.importErased([idOf(0, 50)]);
    await expect(target.importRegion(idOf(0, 50), Buffer.from('x'), TIME)).rejects.toEqual(taken);
    await reopen();
    expect(await erasedOf(0)).toBe(50);
  });

  it('opened with read_only tells what was erased, and takes nothing in', async () => {
    await target.importErased([idOf(3, 9)]);
    await target.close();
    target = await poolTarget('file', { path: 'pool', read_only: true }, home);
    await target.open();
    expect(await target.listErased()).toEqual({ poolId: new Uint8Array(POOL_ID), ids: [idOf(3, 9)] });
    const refused: unknown = expect.objectContaining({ code: 'READ_ONLY' });
    await expect(target.importErased([idOf(4, 1)])).rejects.toEqual(refused);
    await expect(target.importRegion(idOf(4, 1), Buffer.from('x'), TIME)).rejects.toEqual(refused);
  });
});

describe('descriptors of erased slots', () => {
  it('are one write for neighbours in a chunk', () => {
    const table = new SlotTable(MAX_GENERATION);
    table.addSlots(20);
    const slots = erasedSlots([idOf(9, 1), idOf(3, 1), idOf(4, 2), idOf(5, 1), idOf(3, 6)], table);
    expect(slots.map(({ slot, generation }) => [slot, generation])).toEqual([
      [3, 6],
      [4, 2],
      [5, 1],
      [9, 1],
    ]);
    // Slot 5 is the first of another chunk.
    const pool = { poolLow: POOL_LOW, poolHigh: POOL_HIGH };
    const placeOf = (slot: number): number => (slot < 5 ? 8192 + 64 * slot : 65_536 + 64 * (slot - 5));
    const writes = erasedDescriptors(slots, pool, placeOf);
    expect(writes.map(({ offset, bytes }) => [offset, bytes.length])).toEqual([
      [8192 + 3 * 64, 128],
      [65_536, 64],
      [65_536 + 4 * 64, 64],
    ]);
  });
});
