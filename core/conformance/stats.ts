/** Rules of `stats`: exact figures that agree with each other, with `list` and with what was created and erased. */
import assert from 'node:assert/strict';
import { DURABILITY_MODES, type RegionId, type Target, type TargetStats } from '../target/index.js';
import { listAll, pattern, rejects } from './assertions.js';
import type { Bench } from './bench.js';
import type { Rules } from './describe-target.js';

/** What holds of the figures at every moment. */
function agree(stats: TargetStats): void {
  const { usedBytes, capacityBytes, freeBytes, largestFreeBytes, fragmentation } = stats;
  assert.ok(Number.isSafeInteger(usedBytes) && usedBytes >= 0, `usedBytes is ${usedBytes}`);
  assert.ok(fragmentation >= 0 && fragmentation <= 1, `fragmentation is ${fragmentation}`);
  if (capacityBytes === null && freeBytes === null) {
    assert.equal(largestFreeBytes, null, 'where it is not known what is free, largestFreeBytes is null');
    assert.equal(fragmentation, 0, 'where it is not known what is free, fragmentation is 0');
    return;
  }
  assert.ok(freeBytes !== null && largestFreeBytes !== null, 'with a limit, what is free is known');
  // What a target's medium or machine has left may be less than its limit leaves.
  assert.ok(
    usedBytes + freeBytes <= (capacityBytes ?? Infinity),
    `used and free, ${usedBytes} and ${freeBytes}, are more than the capacity, ${capacityBytes}`,
  );
  assert.ok(
    largestFreeBytes >= 0 && largestFreeBytes <= freeBytes,
    `largestFreeBytes is ${largestFreeBytes}`,
  );
  const scattered = freeBytes === 0 ? 0 : 1 - largestFreeBytes / freeBytes;
  assert.ok(
    Math.abs(fragmentation - scattered) < 1e-9,
    `fragmentation is ${fragmentation}, not ${scattered}`,
  );
}

/** What only the target changes: without a limit of its own, what is free is what others have left. */
function ownFigures(stats: TargetStats): TargetStats {
  if (stats.capacityBytes !== null) return stats;
  return { ...stats, freeBytes: null, largestFreeBytes: null };
}

/** Creates and erases, and asserts after every step how many regions and used bytes there are. */
async function keepsAccount(bench: Bench, target: Target): Promise<void> {
  // Storage may keep what it took for its own records of a first region.
  await target.erase(await target.create(1));
  const base = await target.stats();
  const live: { id: RegionId; size: number }[] = [];
  const check = async (): Promise<void> => {
    const stats = await target.stats();
    agree(stats);
    const used = live.reduce((sum, { size }) => sum + bench.spaceOf(size), base.usedBytes);
    assert.equal(stats.regions, live.length, 'regions');
    assert.equal(stats.usedBytes, used, 'usedBytes');
    assert.equal(stats.capacityBytes, base.capacityBytes, 'capacityBytes');
  };
  for (const [at, size] of [0, 1, 100, 4096, 4097, 65_536, 100_001].entries()) {
    const id = at % 2 === 0 ? await target.create(size) : await target.createAndWrite(pattern(size));
    live.push({ id, size });
    await check();
    await target.write(id, 0, pattern(size, 2), { persist: true });
    await check();
  }
  for (const at of [3, 0, 4, 2, 0, 1, 0]) {
    const [erased] = live.splice(at, 1);
    assert.ok(erased);
    await target.erase(erased.id);
    await check();
  }
  assert.deepEqual(ownFigures(await target.stats()), ownFigures(base));
}

export const statsRules: Rules = (rule, { isBounded }) => {
  rule('says its type, a mode of the contract and that it is open', async ({ target }) => {
    const { type, mode, state } = await target.stats();
    assert.equal(type, target.type);
    assert.ok((DURABILITY_MODES as readonly string[]).includes(mode), `mode is ${mode}`);
    assert.equal(state, 'open');
  });

  rule('says figures that agree with each other from the start', async ({ target }) => {
    agree(await target.stats());
  });

  rule('counts regions and used bytes exactly', (bench) => keepsAccount(bench, bench.target));

  if (isBounded) {
    rule('counts regions and used bytes exactly where capacity is bounded', async (bench) => {
      const target = await bench.bounded(4 * 2 ** 20);
      assert.ok((await target.stats()).capacityBytes !== null, 'a bounded target says its capacity');
      await keepsAccount(bench, target);
    });
  }

  rule('counts no source in flight as a region', async (bench) => {
    const { target } = bench;
    await target.create(8);
    const { created, finish } = bench.beginCreate(target, 8, pattern(8));
    const during = await target.stats();
    agree(during);
    assert.equal(during.regions, 1);
    finish();
    await created;
    assert.equal((await target.stats()).regions, 2);
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
    assert.equal(stats.regions, 40);
    assert.equal((await listAll(target)).length, 40);
  });

  rule('does not change figures by reading, writing, listing or failing', async ({ target }) => {
    const id = await target.create(4096);
    const before = await target.stats();
    await target.write(id, 0, pattern(4096));
    await target.persist(id);
    await target.read(id, 0, 4096);
    await target.list();
    await rejects(target.read(id, 4096, 1), 'OUT_OF_RANGE');
    await rejects(target.create(-1), 'INVALID_ARGUMENT');
    assert.deepEqual(ownFigures(await target.stats()), ownFigures(before));
  });
};
