/**
 * Rules of `importRegion`, `importErased` and `listErased`, for importable targets: a copy serves
 * the same regions under the same IDs, and an ID that was erased in the original is never valid in
 * the copy. For other targets they give NOT_SUPPORTED.
 */
import { RegionId } from '../contract/region-id.js';
import type { ErasedPage, RegionStat, Target } from '../contract/target.js';
import {
  allZero,
  changesNothing,
  counts,
  inFlight,
  listAll,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  rejectsWith,
  sameBytes,
  sameRegions,
  snapshotOf,
  uses,
} from './assertions.js';
import type { Bench } from './bench.js';
import { holds, is, sameFigures, sameList } from './findings.js';
import type { Rules } from './rules.js';

const TIME = { createdAt: 1_234_567_890_123 };

async function poolIdOf(target: Target): Promise<Uint8Array> {
  return (await target.listErased({ limit: 1 })).poolId;
}

/** All IDs of erased regions, page by page. */
async function allErased(target: Target, limit?: number): Promise<RegionId[]> {
  const ids: RegionId[] = [];
  let page: ErasedPage | undefined;
  do {
    const after = page?.next;
    page = await target.listErased({ ...(after && { after }), ...(limit !== undefined && { limit }) });
    if (limit !== undefined)
      holds(
        page.ids.length <= limit,
        'the length of a page of erased IDs',
        page.ids.length,
        `at most ${limit}`,
      );
    ids.push(...page.ids);
  } while (page.next !== undefined);
  return ids;
}

async function importStat(from: Target, to: Target, { id, size, createdAt }: RegionStat): Promise<void> {
  const halves = [await from.read(id, 0, size >> 1), await from.read(id, size >> 1, size - (size >> 1))];
  await to.importRegion(id, { size, source: halves }, { createdAt });
}

/** An open copy of a target. @param order in which the two kinds of IDs are imported */
async function copyOf(
  bench: Bench,
  from: Target,
  order: 'erased first' | 'erased last' = 'erased first',
): Promise<Target> {
  const to = await bench.importing(await poolIdOf(from));
  if (order === 'erased first') await to.importErased(await allErased(from));
  for (const stat of await listAll(from)) await importStat(from, to, stat);
  if (order === 'erased last') await to.importErased(await allErased(from));
  return to;
}

/** Creates a history with slots that were used once, often, and never again. @returns the erased IDs */
async function makeHistory(target: Target): Promise<RegionId[]> {
  const erased: RegionId[] = [];
  for (const [at, size] of [0, 1, 100, 4097, 70_000].entries())
    await target.createAndWrite(pattern(size, at + 1));
  for (let round = 1; round <= 7; round++) {
    const ids = await Promise.all([round, round + 1, round + 2].map((size) => target.create(size)));
    for (const id of ids) {
      await target.erase(id);
      erased.push(id);
    }
  }
  const kept = await target.createAndWrite(pattern(500, 9));
  const isNew = !erased.some((id) => id.equals(kept));
  holds(isNew, 'the ID of a new region', kept, 'one never given before');
  return erased;
}

export const importRules: Rules = (rule, { capabilities, factory }) => {
  if (!capabilities.importable) {
    rule('answers what belongs to import with NOT_SUPPORTED', async ({ target }) => {
      const id = RegionId.random();
      await rejects(target.importRegion(id, pattern(8), TIME), 'NOT_SUPPORTED', 'importRegion');
      await rejects(target.importErased([id]), 'NOT_SUPPORTED', 'importErased');
      await rejects(target.listErased(), 'NOT_SUPPORTED', 'listErased');
    });
    return;
  }

  rule('lists of each slot the last ID that was erased, in pages of any size', async ({ target }) => {
    const erased = await makeHistory(target);
    const listed = await allErased(target);
    for (const limit of [1, 2, 1000])
      sameList(await allErased(target, limit), listed, `the erased IDs by pages of ${limit}`);
    const live = await listedIds(target);
    for (const id of listed) {
      const isErased = !live.includes(id.toString()) && erased.some((old) => old.equals(id));
      holds(isErased, 'an ID that is listed as erased', id, 'one that was erased, and does not live');
    }
    const slots = new Set(listed.map(({ slot }) => slot)).size;
    is(slots, listed.length, 'the number of different slots among the erased IDs');
  });

  if (factory.createImporting === undefined) return;

  rule('takes its pool id from its maker', async (bench) => {
    const poolId = pattern(8);
    const target = await bench.importing(poolId);
    sameBytes(await poolIdOf(target), poolId, 'the pool id');
    sameBytes((await target.create(1)).toBytes().subarray(8), poolId, 'the end of an ID');
    sameList((await target.listErased()).ids, [], 'the erased IDs of a fresh target');
  });

  for (const order of ['erased first', 'erased last'] as const) {
    rule(`takes over IDs, sizes, times, order and contents (${order})`, async (bench) => {
      await makeHistory(bench.target);
      const { regions } = await snapshotOf(bench.target);
      const copy = await copyOf(bench, bench.target, order);
      sameRegions((await snapshotOf(copy)).regions, regions, 'in the copy');
      await counts(copy, regions.length, 'in the copy');
      sameList(await allErased(copy), await allErased(bench.target), 'the erased IDs in the copy');
    });
  }

  const objects = capabilities.persistent && factory.reopen !== undefined ? [false, true] : [false];
  for (const isReopened of objects) {
    const when = isReopened ? ', also after a reopen' : '';

    rule(`never gives out an ID again that was erased in the original${when}`, async (bench) => {
      const erased = await makeHistory(bench.target);
      let copy = await copyOf(bench, bench.target);
      if (isReopened) copy = await bench.reopened(copy, 'second');
      // A target that draws its generations would almost never give one of them out by itself.
      for (const id of erased)
        await rejects(
          copy.importRegion(id, pattern(10), TIME),
          'ID_TAKEN',
          'an import under an ID erased before',
        );
      const before = new Set([...erased.map(String), ...(await listedIds(copy))]);
      for (let count = 0; count < 40; count++) {
        const id = await copy.create(count);
        holds(!before.has(id.toString()), 'the ID of a new region', id, 'one never given before');
        before.add(id.toString());
        if (count % 3 === 0) await copy.erase(id);
      }
      for (const id of erased) await refusesAllCalls(copy, id, 'REGION_NOT_FOUND', 'an ID erased before');
    });
  }

  if (objects.includes(true)) {
    rule('has an imported region after a reopen', async (bench) => {
      const copy = await copyOf(bench, bench.target);
      const id = await bench.target.createAndWrite(pattern(5000));
      await copy.importRegion(id, pattern(5000), TIME);
      const again = await bench.reopened(copy, 'second');
      const stat = await again.stat(id);
      is(String(stat.id), String(id), 'the ID that stat gives');
      sameFigures(stat, { size: 5000, ...TIME }, 'what stat gives of an imported region');
      sameBytes(await again.read(id, 0, 5000), pattern(5000), 'an imported region');
    });
  }

  rule('treats imported regions as its own', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(100);
    await copy.importRegion(id, pattern(100), TIME);
    await copy.write(id, 50, pattern(10, 2), { persist: true });
    sameBytes(await copy.read(id, 50, 10), pattern(10, 2), 'an imported region after a write');
    await copy.erase(id);
    await refusesAllCalls(copy, id, 'REGION_NOT_FOUND', 'the erased ID');
    await rejects(copy.importRegion(id, pattern(100), TIME), 'ID_TAKEN', 'an import under the erased ID');
    allZero(await copy.read(await copy.create(100), 0, 100), 'a new region');
  });

  rule('refuses an ID that lives with ID_TAKEN, changing nothing', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await copy.createAndWrite(pattern(64));
    await changesNothing(copy, async () => {
      await rejects(copy.importRegion(id, pattern(64, 2), TIME), 'ID_TAKEN', 'importRegion');
      await rejects(copy.importErased([id]), 'ID_TAKEN', 'importErased');
    });
  });

  rule('refuses the IDs before a live or erased one of the same slot with ID_TAKEN', async (bench) => {
    const erased = await makeHistory(bench.target);
    const copy = await copyOf(bench, bench.target);
    await changesNothing(copy, async () => {
      for (const id of erased)
        await rejects(copy.importRegion(id, pattern(8), TIME), 'ID_TAKEN', 'an import under an older ID');
    });
  });

  rule('takes erased IDs in all or none, and again without effect', async (bench) => {
    const erased = await makeHistory(bench.target);
    const copy = await bench.importing(await poolIdOf(bench.target));
    const live = await copy.create(10);
    await rejects(copy.importErased([...erased, live]), 'ID_TAKEN', 'importErased with an ID that lives');
    sameList((await copy.listErased()).ids, [], 'the erased IDs after a refusal');
    await copy.erase(live);
    await copy.importErased(erased);
    const listed = await allErased(copy);
    await copy.importErased(erased.toReversed());
    await copy.importErased([]);
    sameList(await allErased(copy), listed, 'the erased IDs after taking them in again');
  });

  rule('refuses the IDs of another pool with INVALID_ARGUMENT, changing nothing', async (bench) => {
    const copy = await bench.importing(pattern(8));
    const foreign = await bench.target.create(10);
    await changesNothing(copy, async () => {
      await rejects(copy.importRegion(foreign, pattern(10), TIME), 'INVALID_ARGUMENT', 'importRegion');
      await rejects(copy.importErased([foreign]), 'INVALID_ARGUMENT', 'importErased');
    });
    sameList((await copy.listErased()).ids, [], 'the erased IDs after a refusal');
  });

  rule('refuses wrong arguments with INVALID_ARGUMENT, changing nothing', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(10);
    await changesNothing(copy, async () => {
      for (const wrong of [id.toString(), id.toBytes(), undefined] as unknown as RegionId[]) {
        await rejects(copy.importRegion(wrong, pattern(10), TIME), 'INVALID_ARGUMENT', 'a wrong ID');
        await rejects(copy.importErased([wrong]), 'INVALID_ARGUMENT', 'a wrong erased ID');
      }
      for (const createdAt of [-1, 0.5, NaN, undefined, '5'] as number[])
        await rejects(copy.importRegion(id, pattern(10), { createdAt }), 'INVALID_ARGUMENT', 'a wrong time');
      await rejects(copy.importErased(id as never), 'INVALID_ARGUMENT', 'no list');
    });
  });

  rule('shows an imported region only when its source has ended', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(64);
    const { imported, finish } = bench.beginImport(copy, id, 64, pattern(64));
    await rejects(copy.stat(id), 'REGION_NOT_FOUND', 'stat before the source has ended');
    sameList((await copy.list()).regions, [], 'the listed regions before the source has ended');
    await rejects(copy.importRegion(id, pattern(64), TIME), 'ID_TAKEN', 'a second import meanwhile');
    finish();
    await imported;
    sameBytes(await copy.read(id, 0, 64), pattern(64), 'the imported region');
  });

  rule('leaves nothing of an import whose source failed, so that it can be tried again', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(64);
    const fault = new Error('the source broke');
    const source = (function* (): Generator<Uint8Array> {
      yield pattern(32);
      throw fault;
    })();
    await changesNothing(copy, async () => {
      const call = copy.importRegion(id, { size: 64, source }, TIME);
      await rejectsWith(call, fault, 'an import whose source throws');
      for (const size of [63, 65]) {
        const contents = { size: 64, source: [pattern(size)] };
        const what = `an import of 64 bytes whose source gives ${size}`;
        await rejects(copy.importRegion(id, contents, TIME), 'INVALID_ARGUMENT', what);
      }
    });
    await copy.importRegion(id, pattern(64), TIME);
    sameBytes(await copy.read(id, 0, 64), pattern(64), 'the imported region');
  });

  rule('lets one of many concurrent imports under an ID succeed', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(64);
    const calls = Array.from({ length: 8 }, (_, at) =>
      inFlight(copy.importRegion(id, pattern(64, at + 1), TIME)),
    );
    const outcomes = await Promise.allSettled(calls);
    const winners = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []));
    is(winners.length, 1, 'the number of imports that succeeded');
    const bytes = pattern(64, (winners[0] as number) + 1);
    sameBytes(await copy.read(id, 0, 64), bytes, 'the region of the import that succeeded');
  });

  rule('does not let an ID of a slot far away eat its space', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const [poolLow, poolHigh] = new Uint32Array((await poolIdOf(copy)).slice().buffer);
    for (const slot of [0xffff_ffff, 0x7fff_ffff, 100_000_000]) {
      const id = RegionId.of(slot, 1, poolLow as number, poolHigh as number);
      const { usedBytes } = await copy.stats();
      // A target with another way of finding regions may accept it.
      const taken = await copy.importRegion(id, pattern(8), TIME).then(
        () => true,
        (error: unknown) => (error as { code?: unknown }).code !== 'OUT_OF_SPACE',
      );
      if (taken) sameBytes(await copy.read(id, 0, 8), pattern(8), 'the imported region');
      else {
        await rejects(copy.importErased([id]), 'OUT_OF_SPACE', 'importErased');
        await uses(copy, usedBytes, 'after a refusal');
      }
    }
  });

  rule('refuses imports that do not fit with OUT_OF_SPACE, changing nothing', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(64);
    const { capacityBytes, freeBytes } = await copy.stats();
    const size = capacityBytes === null || freeBytes === null ? Number.MAX_SAFE_INTEGER : freeBytes + 1;
    const contents = { size, source: [] };
    await changesNothing(copy, () =>
      rejects(copy.importRegion(id, contents, TIME), 'OUT_OF_SPACE', `an import of ${size} bytes`),
    );
    await copy.importRegion(id, pattern(64), TIME);
  });

  rule('refuses the calls of import when it is closed', async (bench) => {
    const copy = await copyOf(bench, bench.target);
    const id = await bench.target.create(8);
    await copy.close();
    await rejects(copy.importRegion(id, pattern(8), TIME), 'TARGET_CLOSED', 'importRegion');
    await rejects(copy.importErased([id]), 'TARGET_CLOSED', 'importErased');
    await rejects(copy.listErased(), 'TARGET_CLOSED', 'listErased');
  });
};
