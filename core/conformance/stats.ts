/**
 * Rules of `stats`: exact figures that are consistent with each other, with `list` and with what
 * was created and erased.
 */
import { DURABILITY_MODES } from '../contract/mode.js';
import type { RegionId } from '../contract/region-id.js';
import type { Target, TargetStats } from '../contract/target.js';
import { counts, listAll, pattern, rejects } from './assertions.js';
import type { Bench } from './bench.js';
import { holds, is, sameFigures } from './findings.js';
import type { Rules } from './rules.js';

/** Relations between the figures at every moment. */
function agree(stats: TargetStats): void {
  const { usedBytes, capacityBytes, freeBytes, largestFreeBytes, fragmentation } = stats;
  const isCount = Number.isSafeInteger(usedBytes) && usedBytes >= 0;
  holds(isCount, 'usedBytes', usedBytes, 'a whole number from 0');
  holds(fragmentation >= 0 && fragmentation <= 1, 'fragmentation', fragmentation, 'a number from 0 to 1');
  if (capacityBytes === null && freeBytes === null) {
    is(largestFreeBytes, null, 'largestFreeBytes where it is not known what is free');
    is(fragmentation, 0, 'fragmentation where it is not known what is free');
    return;
  }
  holds(freeBytes !== null, 'freeBytes where capacityBytes is known', freeBytes, 'a number');
  holds(largestFreeBytes !== null, 'largestFreeBytes where freeBytes is known', largestFreeBytes, 'a number');
  // A target's medium or machine may have less left than its limit allows.
  const most = capacityBytes ?? Infinity;
  holds(
    usedBytes + freeBytes <= most,
    `usedBytes ${usedBytes} and freeBytes ${freeBytes} together`,
    usedBytes + freeBytes,
    `at most capacityBytes, ${most}`,
  );
  const isPart = largestFreeBytes >= 0 && largestFreeBytes <= freeBytes;
  holds(isPart, 'largestFreeBytes', largestFreeBytes, `0 to freeBytes, ${freeBytes}`);
  const scattered = freeBytes === 0 ? 0 : 1 - largestFreeBytes / freeBytes;
  const isScattered = Math.abs(fragmentation - scattered) < 1e-9;
  holds(isScattered, 'fragmentation', fragmentation, `1 - largestFreeBytes / freeBytes, ${scattered}`);
}

/** Figures that only the target changes: without a limit of its own, its free space depends on others. */
function ownFigures(stats: TargetStats): Partial<TargetStats> {
  if (stats.capacityBytes !== null) return stats;
  const others = new Set(['freeBytes', 'largestFreeBytes']);
  return Object.fromEntries(Object.entries(stats).filter(([name]) => !others.has(name)));
}

/** Creates and erases regions, and asserts the number of regions and used bytes after every step. */
async function keepsAccount(bench: Bench, target: Target): Promise<void> {
  // Storage may keep space for its own records after the first region.
  await target.erase(await target.create(1));
  const base = await target.stats();
  const live: { id: RegionId; size: number }[] = [];
  const check = async (): Promise<void> => {
    const stats = await target.stats();
    agree(stats);
    const used = live.reduce((sum, { size }) => sum + bench.spaceOf(size), base.usedBytes);
    const expected = { regions: live.length, usedBytes: used, capacityBytes: base.capacityBytes };
    sameFigures(stats, expected, `stats with ${live.length} regions`);
  };
  for (const [at, size] of [0, 1, 100, 4096, 4097, 65_536, 100_001].entries()) {
    const id = at % 2 === 0 ? await target.create(size) : await target.createAndWrite(pattern(size));
    live.push({ id, size });
    await check();
    await target.write(id, 0, pattern(size, 2), { persist: true });
    await check();
  }
  for (const at of [3, 0, 4, 2, 0, 1, 0]) {
    for (const erased of live.splice(at, 1)) await target.erase(erased.id);
    await check();
  }
  sameFigures(await target.stats(), ownFigures(base), 'stats after all regions were erased');
}

export const statsRules: Rules = (rule, { isBounded }) => {
  rule('says its type, a mode of the contract and that it is open', async ({ target }) => {
    const { type, mode, state } = await target.stats();
    is(type, target.type, 'the type that stats give');
    const isMode = (DURABILITY_MODES as readonly string[]).includes(mode);
    holds(isMode, 'the mode that stats give', mode, `one of ${DURABILITY_MODES.join(', ')}`);
    is(state, 'open', 'the state that stats give');
  });

  rule('says figures that agree with each other from the start', async ({ target }) => {
    agree(await target.stats());
  });

  rule('counts regions and used bytes exactly', (bench) => keepsAccount(bench, bench.target));

  if (isBounded) {
    rule('counts regions and used bytes exactly where capacity is bounded', async (bench) => {
      const target = await bench.bounded(4 * 2 ** 20);
      const { capacityBytes } = await target.stats();
      holds(capacityBytes !== null, 'capacityBytes of a bounded target', capacityBytes, 'a number');
      await keepsAccount(bench, target);
    });
  }

  rule('counts no source in flight as a region', async (bench) => {
    const { target } = bench;
    await target.create(8);
    const { created, finish } = bench.beginCreate(target, 8, pattern(8));
    const during = await target.stats();
    agree(during);
    is(during.regions, 1, 'the regions that stats count while a source is in flight');
    finish();
    await created;
    await counts(target, 2, 'after it has ended');
  });

  rule('counts as many regions as it lists, after many concurrent creates and erases', async ({ target }) => {
    await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        const id = at % 2 === 0 ? await target.create(at) : await target.createAndWrite(pattern(at));
        if (at % 3 === 0) await target.erase(id);
      }),
    );
    const stats = await target.stats();
    agree(stats);
    is(stats.regions, 40, 'the regions that stats count');
    is((await listAll(target)).length, 40, 'the number of listed regions');
  });

  rule('does not change figures by reading, writing, listing or failing', async ({ target }) => {
    const id = await target.create(4096);
    const before = await target.stats();
    await target.write(id, 0, pattern(4096));
    await target.persist(id);
    await target.read(id, 0, 4096);
    await target.list();
    await rejects(target.read(id, 4096, 1), 'OUT_OF_RANGE', 'read past the end');
    await rejects(target.create(-1), 'INVALID_ARGUMENT', 'create(-1)');
    sameFigures(await target.stats(), ownFigures(before), 'stats after calls that must not change them');
  });
};
