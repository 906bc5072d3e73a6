/** Rules of `list`: every region exactly once, in an order that stays, by pages, also while regions come and go. */
import assert from 'node:assert/strict';
import { RegionId, type ListOptions, type Target } from '../target/index.js';
import { listAll, listedIds, pattern, rejects } from './assertions.js';
import type { Rules } from './describe-target.js';

const NOT_LIMITS: readonly unknown[] = [0, -1, 1.5, NaN, Infinity, 2 ** 53, '1', 1n, null, true, {}];

function makeRegions(target: Target, count: number): Promise<RegionId[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => target.create(at)));
}

function sorted(ids: readonly RegionId[]): string[] {
  return ids.map(String).sort();
}

export const listRules: Rules = (rule) => {
  rule('lists every region with its exact size and time', async ({ target }) => {
    const ids = await makeRegions(target, 12);
    const regions = await listAll(target);
    assert.deepEqual(sorted(regions.map(({ id }) => id)), sorted(ids));
    for (const { id, size, createdAt } of regions) {
      assert.ok(id instanceof RegionId);
      const stat = await target.stat(id);
      assert.deepEqual([size, createdAt], [stat.size, stat.createdAt]);
      assert.equal(
        size,
        ids.findIndex((other) => other.equals(id)),
      );
    }
  });

  rule('gives every region exactly once over pages of any size', async ({ target }) => {
    await makeRegions(target, 23);
    const all = await listedIds(target);
    assert.equal(new Set(all).size, 23);
    for (const limit of [1, 2, 5, 22, 23, 24, 10_000]) {
      assert.deepEqual(await listedIds(target, limit), all, `pages of ${limit}`);
    }
  });

  rule('gives full pages, and a next one exactly if there are more', async ({ target }) => {
    await makeRegions(target, 10);
    for (const limit of [3, 5, 9]) {
      const page = await target.list({ limit });
      assert.equal(page.regions.length, limit);
      assert.ok(page.next?.equals(page.regions[limit - 1]?.id ?? RegionId.random()), 'next is the last ID');
    }
    for (const limit of [10, 11, Number.MAX_SAFE_INTEGER]) {
      const page = await target.list({ limit });
      assert.equal(page.regions.length, 10);
      assert.equal(page.next, undefined, 'there is no next page');
    }
  });

  rule(
    'begins after the region that `after` names, and ends with nothing after the last',
    async ({ target }) => {
      await makeRegions(target, 8);
      const all = await listAll(target);
      for (const [at, { id }] of all.entries()) {
        const page = await target.list({ after: RegionId.parse(id.toString()) });
        assert.deepEqual(
          page.regions.map((region) => region.id.toString()),
          all.slice(at + 1).map((region) => region.id.toString()),
        );
        assert.equal(page.next, undefined);
      }
    },
  );

  rule('keeps its order while regions come and go', async ({ target }) => {
    const ids = await makeRegions(target, 20);
    const before = await listedIds(target);
    assert.deepEqual(await listedIds(target), before);
    const erased = ids.filter((_, at) => at % 3 === 0);
    for (const id of erased) await target.erase(id);
    const made = new Set((await makeRegions(target, 10)).map(String));
    const gone = new Set(erased.map(String));
    const after = (await listedIds(target)).filter((id) => !made.has(id));
    assert.deepEqual(
      after,
      before.filter((id) => !gone.has(id)),
    );
  });

  rule('goes on after an ID that was erased meanwhile', async ({ target }) => {
    await makeRegions(target, 9);
    const all = await listAll(target);
    const last = all[3]?.id;
    assert.ok(last);
    const rest = all.slice(4).map(({ id }) => id.toString());
    await target.erase(last);
    const page = await target.list({ after: last });
    assert.deepEqual(
      page.regions.map(({ id }) => id.toString()),
      rest,
    );
  });

  rule('goes on after an erased ID whose place was taken again', async ({ target }) => {
    await makeRegions(target, 9);
    const all = await listAll(target);
    const last = all[3]?.id;
    assert.ok(last);
    const rest = all.slice(4).map(({ id }) => id.toString());
    await target.erase(last);
    const made = new Set((await makeRegions(target, 3)).map(String));
    const listed = (await target.list({ after: last })).regions.map(({ id }) => id.toString());
    assert.deepEqual(
      listed.filter((id) => !made.has(id)),
      rest,
    );
  });

  rule('misses no region that stays while others are erased and made between pages', async ({ target }) => {
    const ids = await makeRegions(target, 40);
    const staying = new Set(ids.filter((_, at) => at % 2 === 0).map(String));
    const seen: string[] = [];
    let after: RegionId | undefined;
    let round = 0;
    do {
      const page = await target.list({ limit: 3, ...(after && { after }) });
      seen.push(...page.regions.map(({ id }) => id.toString()));
      after = page.next;
      // The last of the page, one before and one after it.
      for (const id of page.regions.map((region) => region.id)) {
        if (!staying.has(id.toString())) await target.erase(id);
      }
      const victim = ids[39 - 2 * round++];
      if (victim !== undefined && !seen.includes(victim.toString())) await target.erase(victim);
      await target.create(1);
      assert.ok(round < 100, 'paging does not come to an end');
    } while (after !== undefined);
    assert.equal(new Set(seen).size, seen.length, 'a region was listed twice');
    assert.deepEqual(
      [...staying].filter((id) => !seen.includes(id)),
      [],
      'regions that were there all the time are missing',
    );
  });

  rule('lists a source in flight only when it has ended', async (bench) => {
    const { created, finish } = bench.beginCreate(bench.target, 5, pattern(5));
    assert.deepEqual(await listedIds(bench.target), []);
    finish();
    const id = await created;
    assert.deepEqual(await listedIds(bench.target), [id.toString()]);
  });

  rule('refuses to go on after an ID of elsewhere, with REGION_NOT_FOUND', async (bench) => {
    const other = await bench.another();
    const foreign = await other.create(4);
    await bench.target.create(4);
    for (const after of [foreign, RegionId.random()]) {
      await rejects(bench.target.list({ after }), 'REGION_NOT_FOUND', `list after ${after.toString()}`);
    }
  });

  rule('rejects a limit below 1 or no whole number with INVALID_ARGUMENT', async ({ target }) => {
    await target.create(4);
    for (const limit of NOT_LIMITS) {
      await rejects(target.list({ limit } as ListOptions), 'INVALID_ARGUMENT', `a limit of ${String(limit)}`);
    }
  });

  rule('rejects an `after` that is no RegionId with INVALID_ARGUMENT', async ({ target }) => {
    const id = await target.create(4);
    for (const after of [id.toString(), id.toBytes(), null, 0, {}]) {
      const call = target.list({ after } as ListOptions);
      await rejects(call, 'INVALID_ARGUMENT', `after, which is of type ${typeof after},`);
    }
  });

  rule('rejects options of the wrong type with INVALID_ARGUMENT', async ({ target }) => {
    for (const options of [null, 10, 'all']) {
      await rejects(target.list(options as ListOptions), 'INVALID_ARGUMENT', `list(${String(options)})`);
    }
  });
};
