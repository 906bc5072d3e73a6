/**
 * Two hundred damaged pools in memory, thousands in the long test: opened, used, checked, repaired,
 * and the repair undone. Another `DAMAGE_SEED` makes others; a failure names its own.
 */
import { beforeAll, describe, test } from '@jest/globals';
import { BedrockError, type RegionId, type Target } from '../../core/index.js';
import { checkPool } from '../../core/pool/check.js';
import { inspectPool, type Inspection, type UsableHeaders } from '../../core/pool/inspection.js';
import { fingerprintAfter, planRepair } from '../../core/pool/repair-plan.js';
import { carryOut, oldRanges, undo, type OldRange, type RepairRecord } from '../../core/pool/repair.js';
import { poolIdText } from '../../core/pool/pool-info.js';
import { readDescriptors, readHeaderPages } from '../../core/pool/scan.js';
import { headerInForce, spanOf, undamagedRegions } from './damage-oracle.js';
import { DAMAGES } from './damages.js';
import { MemoryMedium } from './memory-medium.js';
import { makeWorld, targetOver, type PoolWorld, type WorldRegion } from './pool-world.js';
import { Random } from '../fixtures/random.js';
import { isThorough } from '../fixtures/thoroughness.js';

const SEED = Number(process.env.DAMAGE_SEED ?? 1382106035);
const ALIGNMENTS = [64, 256, 4096];
const POOLS_OF_A_KIND = isThorough ? 60 : 8;
const POOLS_OF_SEVERAL = isThorough ? 1200 : 100;

let worlds: PoolWorld[];
let others: PoolWorld[];
beforeAll(async () => {
  const random = new Random(SEED);
  worlds = [];
  others = [];
  for (const alignment of ALIGNMENTS) {
    worlds.push(await makeWorld(random, alignment));
    others.push(await makeWorld(random, alignment));
  }
});

interface Damaged {
  readonly world: PoolWorld;
  readonly medium: MemoryMedium;
  readonly random: Random;
  /** What was done to it. */
  readonly done: readonly string[];
}

function damaged(seed: number, kinds: readonly string[], count = 1): Damaged {
  const random = new Random(seed);
  const index = random.below(worlds.length);
  const [world, other] = [worlds[index], others[index]] as [PoolWorld, PoolWorld];
  const medium = new MemoryMedium(world.bytes);
  const done = Array.from({ length: count }, () => random.pick(kinds));
  for (const kind of done) DAMAGES[kind]?.({ medium, world, other, random });
  return { world, medium, random, done };
}

/** Asked too often for expect, which would take longer than all the rest. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const clone = ({ bytes, lostPages }: MemoryMedium): MemoryMedium => new MemoryMedium(bytes, lostPages);

async function survives(pool: Damaged): Promise<void> {
  const before = clone(pool.medium);
  if (headerInForce(pool.medium) === undefined) {
    await isRefused(pool);
    return;
  }
  const inspection = await inspectPool(pool.medium);
  const findings = [...checkPool(inspection)];
  await servesWhatIsWhole(pool, findings.length);
  await isRepaired({ ...pool, medium: before }, findings.length > 0);
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof BedrockError ? error.code : String(error);
  }
}

async function isRefused({ medium }: Damaged): Promise<void> {
  const bytes = Buffer.from(medium.bytes);
  const { target } = targetOver(medium);
  must(/^(POOL_CORRUPT|NOT_SUPPORTED)$/.test(String(await codeOf(target.open()))), 'is refused by its code');
  must(medium.bytes.equals(bytes), 'is left as it is');
  must(target.state === 'closed', 'stays closed');
  let findings = 0;
  const refusal = await codeOf(
    inspectPool(medium).then((inspection) => {
      findings = [...checkPool(inspection)].length;
    }),
  );
  must(findings > 0 || refusal === 'POOL_CORRUPT' || refusal === 'NOT_SUPPORTED', 'check tells why');
}

async function readsAsBefore(
  target: Target,
  medium: MemoryMedium,
  regions: readonly WorldRegion[],
): Promise<void> {
  for (const { id, size, offset } of regions) {
    must((await target.stat(id)).size === size, `region ${id.toString()} has its size`);
    // Contents that cannot be read are no damage to the pool.
    if ([...medium.lostPages].some((page) => page * 4096 < offset + size && offset < (page + 1) * 4096))
      continue;
    const bytes = await target.read(id, 0, size);
    must(
      medium.bytes.subarray(offset, offset + size).equals(bytes),
      `region ${id.toString()} reads as before`,
    );
  }
}

/**
 * Whether the damage kept to headers and descriptors: a page with the end of a chunk may have free
 * space behind it.
 */
function isSpaceAsItWas({ bytes, header }: PoolWorld, medium: MemoryMedium): boolean {
  const [was, is] = [Buffer.from(bytes.subarray(0, medium.size)), Buffer.from(medium.bytes)];
  for (const { offset, length } of [
    { offset: 0, length: 8192 },
    ...header.chunks.map(({ offset, count }) => ({ offset, length: count * 64 })),
  ]) {
    for (const part of [was, is])
      part.fill(0, Math.min(offset, part.length), Math.min(offset + length, part.length));
  }
  return was.equals(is.subarray(0, was.length));
}

async function servesWhatIsWhole({ world, medium, random, done }: Damaged, findings: number): Promise<void> {
  const whole = undamagedRegions(world, medium);
  const isSpaceSound = isSpaceAsItWas(world, medium);
  const header = Buffer.from(headerInForce(medium) as Uint8Array);
  const { target, log } = targetOver(medium);
  await target.open();
  await readsAsBefore(target, medium, whole);
  const warnings = log.filter(({ level }) => level === 'warning').length;
  must(
    warnings === (findings === 0 ? 0 : Math.min(findings, 20) + 1),
    `logs ${warnings} of ${findings} findings`,
  );
  const { recovery } = await target.stats();
  // What an open looks at again is the same: nothing but a header copy was written.
  const { recovery: found, table } = usable(await inspectPool(medium));
  must(recovery.quarantined === found.quarantined.length, 'stats() has the number of quarantined slots');
  must(recovery.quarantined === 0 || findings > 0, 'check finds what is quarantined');
  const set = new Set([...found.quarantined].map(({ slot }) => slot));
  for (const { id } of world.regions)
    if (set.has(id.slot) && (await codeOf(target.stat(id))) !== 'REGION_NOT_FOUND')
      throw new Error(`region ${id.toString()} is quarantined and served`);

  const taken = [...found.quarantined].flatMap(({ slot, offset, size }) =>
    offset === undefined || size === undefined ? [] : [spanOf(world, slot, offset, size)],
  );
  for (let slot = table.nextLive(-1); slot >= 0; slot = table.nextLive(slot))
    if (table.size(slot) > 0) taken.push(spanOf(world, slot, table.offset(slot), table.size(slot)));
  // Garbage in space that was never written is nobody's bytes, but no zeros either. And an older
  // header is known to be one by a region that it does not reach; a second fault may have taken
  // just that.
  const isOwnHeader = Buffer.compare(header, world.bytes.subarray(0, 4096)) === 0;
  const isSpaceKnown = isSpaceSound && (isOwnHeader || done.length === 1);
  const made: { id: RegionId; contents: Buffer }[] = [];
  for (const size of [0, 1 + random.below(600), 1 + random.below(6000)]) {
    const contents = Buffer.alloc(size, 201);
    const id = await target.create(size).catch((error: unknown) => {
      if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
      return undefined;
    });
    if (id === undefined) continue;
    if (isSpaceKnown)
      must(Buffer.alloc(size).equals(await target.read(id, 0, size)), 'a new region is zeros');
    await target.write(id, 0, contents, { persist: true });
    made.push({ id, contents });
  }
  const gone = whole.length > 0 ? random.pick(whole) : undefined;
  if (gone !== undefined) await target.erase(gone.id);
  await target.close();

  const { table: after } = usable(await inspectPool(medium));
  for (const { id, contents } of made) {
    const own = spanOf(world, id.slot, after.offset(id.slot), contents.length);
    const isFree = taken.every(({ from, to }) => to <= own.from || own.to <= from);
    must(contents.length === 0 || isFree, 'a new region overlaps nothing that is served or quarantined');
  }
  const { target: again } = targetOver(medium);
  await again.open();
  const left = whole.filter((region) => region !== gone);
  await readsAsBefore(again, medium, left);
  for (const { id, contents } of made)
    must(contents.equals(await again.read(id, 0, contents.length)), 'a new region is there after a restart');
  if (gone !== undefined)
    must((await codeOf(again.stat(gone.id))) === 'REGION_NOT_FOUND', 'an erased region stays erased');
  await again.close();
}

function usable({ headers }: Inspection): UsableHeaders {
  if ('refusal' in headers) throw headers.refusal;
  return headers;
}

async function isRepaired({ world, medium }: Damaged, isDamaged: boolean): Promise<void> {
  if (!isDamaged) return;
  const before = clone(medium);
  const whole = undamagedRegions(world, medium);
  const record = await repair(medium);
  const inspection = await inspectPool(medium);
  must(checkPool(inspection).next().done === true, 'a repaired pool checks clean');
  const { target, log } = targetOver(clone(medium));
  await target.open();
  must(log.length === 0, 'a repaired pool opens without a word');
  await readsAsBefore(target, before, whole);
  await target.create(0);
  await target.close();

  await undo(medium, record);
  must(medium.size === before.size, 'undoing gives the length back');
  for (const page of before.lostPages) {
    // What could not be read cannot be given back.
    const [from, to] = [page * 4096, (page + 1) * 4096];
    medium.bytes.fill(0, Math.min(from, medium.size), Math.min(to, medium.size));
    before.bytes.fill(0, Math.min(from, medium.size), Math.min(to, medium.size));
  }
  must(medium.bytes.equals(before.bytes), 'undoing gives the bytes back');
}

/** As the command does it, with the backup in memory. */
async function repair(medium: MemoryMedium): Promise<RepairRecord> {
  const headers = usable(await inspectPool(medium));
  const plan = planRepair(headers);
  const { header, copy } = headers.choice;
  const ranges: OldRange[] = [];
  for await (const range of oldRanges(medium, plan, await readHeaderPages(medium))) ranges.push(range);
  const record = {
    poolId: poolIdText(header),
    sequence: header.sequence,
    copy,
    fileBytes: medium.size,
    fingerprint: await fingerprintAfter(plan, readDescriptors(medium, header)),
    ranges,
  };
  await carryOut(medium, plan);
  return record;
}

async function many(count: number, salt: number, kinds: readonly string[], several: boolean): Promise<void> {
  for (let round = 0; round < count; round++) {
    const seed = (SEED ^ Math.imul(salt * 10_007 + round + 1, 0x9e3779b1)) >>> 0;
    const pool = damaged(seed, kinds, several ? 1 + (round % 4) : 1);
    try {
      await survives(pool);
    } catch (error) {
      throw new Error(
        `DAMAGE_SEED=${SEED}, round ${round}, ${pool.done.join(', ')}: ${String((error as Error).stack)}`,
        {
          cause: error,
        },
      );
    }
  }
}

describe('a pool with', () => {
  test.each(Object.keys(DAMAGES).map((kind, index) => [kind, index] as const))(
    '%s keeps every whole region, names the others, and is repaired',
    (kind, index) => many(POOLS_OF_A_KIND, index, [kind], false),
  );

  test('several of them keeps every whole region, names the others, and is repaired', () =>
    many(POOLS_OF_SEVERAL, 99, Object.keys(DAMAGES), true));
});
