/**
 * Repair that a crash breaks off at any moment: until it has ended the pool serves what it served
 * before, or nobody can open it; begun anew, it ends as if nothing had been. Between barriers any
 * subset of the sectors written may have arrived.
 */
import { describe, expect, test } from '@jest/globals';
import { checkPool } from '../../core/pool/check.js';
import { encodeDescriptor } from '../../core/pool/descriptor.js';
import { inspectPool, type UsableHeaders } from '../../core/pool/inspection.js';
import { poolIdText } from '../../core/pool/pool-info.js';
import { fingerprintAfter, planRepair, type RepairPlan } from '../../core/pool/repair-plan.js';
import { carryOut, oldRanges, undo, type OldRange, type RepairRecord } from '../../core/pool/repair.js';
import { readDescriptors, readHeaderPages } from '../../core/pool/scan.js';
import { MemoryMedium } from './memory-medium.js';
import { makeWorld, targetOver, type PoolWorld } from './pool-world.js';
import { Random } from '../fixtures/random.js';

const SECTOR = 512;

interface Change {
  /** Of a change of the length, the new one. */
  readonly offset: number;
  readonly bytes: Buffer | undefined;
}

/** Keeps what was written between barriers, so that a crash can lose any of it. */
class RecordingMedium extends MemoryMedium {
  readonly epochs: Change[][] = [[]];

  override write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SECTOR)
      this.#note({ offset: offset + at, bytes: Buffer.from(bytes.subarray(at, at + SECTOR)) });
    super.write(offset, bytes);
  }

  override extend(size: number): void {
    this.#note({ offset: size, bytes: undefined });
    super.extend(size);
  }

  override truncate(size: number): void {
    this.#note({ offset: size, bytes: undefined });
    super.truncate(size);
  }

  override barrier(): void {
    this.epochs.push([]);
  }

  #note(change: Change): void {
    this.epochs.at(-1)?.push(change);
  }
}

/** What a crash in an epoch may leave: everything before, and some of its own. */
function* crashes(before: Uint8Array, epochs: readonly Change[][], random: Random): Generator<MemoryMedium> {
  const durable = new MemoryMedium(before);
  for (const epoch of epochs) {
    for (let state = 0; state < 6; state++) {
      const left = new MemoryMedium(durable.bytes);
      // None, all, or some.
      for (const change of epoch)
        if (state === 1 || (state > 1 && random.below(2) === 0)) apply(left, change);
      yield left;
    }
    for (const change of epoch) apply(durable, change);
  }
}

function apply(medium: MemoryMedium, { offset, bytes }: Change): void {
  if (bytes !== undefined) medium.write(offset, bytes);
  else if (offset < medium.size) medium.truncate(offset);
  else medium.extend(offset);
}

/**
 * A pool with two regions that overlap, a torn header, a page of zeros, and perhaps an end that is
 * too early.
 */
async function damagedPool(random: Random, isCutOff: boolean): Promise<{ world: PoolWorld; bytes: Buffer }> {
  const world = await makeWorld(random, 256);
  const bytes = Buffer.from(world.bytes);
  const { header } = world;
  const [first, second] = header.chunks;
  const [victim] = world.regions.filter(({ size }) => size > 300);
  if (first === undefined || second === undefined || victim === undefined) throw new Error('no such pool');
  const slot = second.firstSlot + second.count - 1;
  encodeDescriptor(bytes, second.offset + (second.count - 1) * 64, slot, header, 7, victim.offset, 300, 1);
  bytes.fill(0, first.offset + 64 * 40, first.offset + 64 * 60);
  bytes.fill(random.below(256), random.below(2) * 4096 + 512, 4096);
  return { world, bytes: isCutOff ? bytes.subarray(0, second.offset + 200) : bytes };
}

async function usableHeaders(medium: MemoryMedium): Promise<UsableHeaders> {
  const { headers } = await inspectPool(medium);
  if ('refusal' in headers) throw headers.refusal;
  return headers;
}

async function prepare(medium: MemoryMedium): Promise<{ plan: RepairPlan; record: RepairRecord }> {
  const headers = await usableHeaders(medium);
  const plan = planRepair(headers);
  const { header, copy } = headers.choice;
  const ranges: OldRange[] = [];
  for await (const range of oldRanges(medium, plan, await readHeaderPages(medium))) ranges.push(range);
  const fingerprint = await fingerprintAfter(plan, readDescriptors(medium, header));
  const { sequence } = header;
  return {
    plan,
    record: { poolId: poolIdText(header), sequence, copy, fileBytes: medium.size, fingerprint, ranges },
  };
}

/** IDs of what an open serves; undefined if it is refused. */
async function served(medium: MemoryMedium): Promise<string[] | undefined> {
  const { target } = targetOver(new MemoryMedium(medium.bytes));
  try {
    await target.open();
  } catch (error) {
    expect(error).toMatchObject({ code: 'POOL_CORRUPT' });
    return undefined;
  }
  const { regions } = await target.list({ limit: 1000 });
  await target.close();
  return regions.map(({ id }) => id.toString());
}

/** As `bedrock pool repair` does it. */
async function repairAnew(medium: MemoryMedium, record: RepairRecord): Promise<void> {
  const { choice } = await usableHeaders(medium);
  if (choice.header.features.incompatible !== 0) await undo(medium, record);
  const inspection = await inspectPool(medium);
  if (checkPool(inspection).next().done === true) return;
  await carryOut(medium, (await prepare(medium)).plan);
}

describe.each([false, true])('a repair of a pool (cut off: %s)', (isCutOff) => {
  test.each([1, 2, 3])('may be broken off anywhere, and so may its undoing (%i)', async (seed) => {
    const random = new Random(seed);
    const { bytes } = await damagedPool(random, isCutOff);
    const medium = new RecordingMedium(bytes);
    const before = await served(medium);
    const { plan, record } = await prepare(medium);
    await carryOut(medium, plan);
    const repaired = Buffer.from(medium.bytes);
    expect(await served(medium)).toEqual(before);
    let refused = 0;
    for (const left of crashes(bytes, medium.epochs, random)) {
      const now = await served(left);
      if (now === undefined) refused++;
      else expect(now).toEqual(before);
      await repairAnew(left, record);
      expect([...checkPool(await inspectPool(left))]).toEqual([]);
      expect(await served(left)).toEqual(before);
    }
    expect(refused).toBeGreaterThan(0);

    const undone = new RecordingMedium(repaired);
    await undo(undone, record);
    expect(undone.bytes.equals(bytes)).toBe(true);
    for (const left of crashes(repaired, undone.epochs, random)) {
      const now = await served(left);
      if (now !== undefined) expect(now).toEqual(before);
      await repairAnew(left, record);
      expect(await served(left)).toEqual(before);
    }
  });
});

test('a repair without its mark would serve one of two overlapping regions where it is broken off', async () => {
  const { bytes } = await damagedPool(new Random(4), false);
  const medium = new RecordingMedium(bytes);
  const before = await served(medium);
  const { plan } = await prepare(medium);
  await carryOut(medium, { ...plan, marked: Uint8Array.from(plan.choice.bytes) });
  const outcomes = new Set<string>();
  for (const left of crashes(bytes, medium.epochs, new Random(5))) outcomes.add(String(await served(left)));
  expect(outcomes.size).toBeGreaterThan(1);
  expect(outcomes).toContain(String(before));
});
