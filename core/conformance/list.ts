/**
 * Rules of `list`: every region exactly once, in a stable order, page by page, even while regions
 * are created and erased.
 */
import { RegionId } from '../contract/region-id.js';
import type { ListOptions, RegionPage, Target } from '../contract/target.js';
import { listAll, listedIds, pattern, rejects } from './assertions.js';
import { holds, is, sameFigures, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

const NOT_LIMITS: readonly unknown[] = [0, -1, 1.5, NaN, Infinity, 2 ** 53, '1', 1n, null, true, {}];

function makeRegions(target: Target, count: number): Promise<RegionId[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => target.create(at)));
}

function idsOf({ regions }: RegionPage): string[] {
  return regions.map(({ id }) => id.toString());
}

export const listRules: Rules = (rule) => {
  rule('lists every region with its exact size and time', async ({ target }) => {
    const ids = await makeRegions(target, 12);
    const regions = await listAll(target);
    sameItems(
      regions.map(({ id }) => String(id)),
      ids.map(String),
      'the listed regions',
    );
    for (const { id, size, createdAt } of regions) {
      holds(id instanceof RegionId, 'an ID that list gives', id, 'a RegionId');
      const stat = await target.stat(id);
      sameFigures({ size, createdAt }, { size: stat.size, createdAt: stat.createdAt }, 'a listed region');
      // Each was created with its index as its size.
      const made = ids.findIndex((other) => other.equals(id));
      is(size, made, 'the listed size of a region');
    }
  });

  rule('gives every region exactly once over pages of any size', async ({ target }) => {
    await makeRegions(target, 23);
    const all = await listedIds(target);
    is(new Set(all).size, 23, 'the number of regions that list gives');
    for (const limit of [1, 2, 5, 22, 23, 24, 10_000]) {
      sameList(await listedIds(target, limit), all, `the regions by pages of ${limit}`);
    }
  });

  rule('gives full pages, and a next one exactly if there are more', async ({ target }) => {
    await makeRegions(target, 10);
    for (const limit of [3, 5, 9]) {
      const page = await target.list({ limit });
      is(page.regions.length, limit, `the length of a page of ${limit} of 10 regions`);
      const last = page.regions[limit - 1]?.id;
      is(String(page.next), String(last), 'next of a page that others follow, which is its last ID');
    }
    for (const limit of [10, 11, Number.MAX_SAFE_INTEGER]) {
      const page = await target.list({ limit });
      is(page.regions.length, 10, `the length of a page of ${limit} of 10 regions`);
      is(page.next, undefined, 'next of the last page');
    }
  });

  rule(
    'begins after the region that `after` names, and ends with nothing after the last',
    async ({ target }) => {
      await makeRegions(target, 8);
      const all = await listAll(target);
      for (const [at, { id }] of all.entries()) {
        const page = await target.list({ after: RegionId.parse(id.toString()) });
        const rest = all.slice(at + 1).map((region) => region.id.toString());
        sameList(idsOf(page), rest, `the regions after number ${at + 1} of 8`);
        is(page.next, undefined, 'next of the last page');
      }
    },
  );

  rule('keeps its order while regions come and go', async ({ target }) => {
    const ids = await makeRegions(target, 20);
    const before = await listedIds(target);
    sameList(await listedIds(target), before, 'the regions as they are listed once more');
    const erased = ids.filter((_, at) => at % 3 === 0);
    for (const id of erased) await target.erase(id);
    const made = new Set((await makeRegions(target, 10)).map(String));
    const gone = new Set(erased.map(String));
    const after = (await listedIds(target)).filter((id) => !made.has(id));
    const stayed = before.filter((id) => !gone.has(id));
    sameList(after, stayed, 'the regions that stayed, as they are listed');
  });

  rule('goes on after an ID that was erased meanwhile', async ({ target }) => {
    await makeRegions(target, 9);
    const all = await listAll(target);
    const [last, ...rest] = all.slice(3).map(({ id }) => id);
    await target.erase(last as RegionId);
    const listed = idsOf(await target.list({ after: last as RegionId }));
    sameList(listed, rest.map(String), 'the regions after the erased one');
  });

  rule('goes on after an erased ID whose slot was taken again', async ({ target }) => {
    await makeRegions(target, 9);
    const all = await listAll(target);
    const [last, ...rest] = all.slice(3).map(({ id }) => id);
    await target.erase(last as RegionId);
    const made = new Set((await makeRegions(target, 3)).map(String));
    const listed = idsOf(await target.list({ after: last as RegionId })).filter((id) => !made.has(id));
    sameList(listed, rest.map(String), 'the regions after the erased one, without those made since');
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
      // The last one of the page, one before and one after it.
      for (const id of page.regions.map((region) => region.id)) {
        if (!staying.has(id.toString())) await target.erase(id);
      }
      const victim = ids[39 - 2 * round++];
      if (victim !== undefined && !seen.includes(victim.toString())) await target.erase(victim);
      await target.create(1);
      holds(round < 100, 'paging', `no end after ${round} pages`, 'an end');
    } while (after !== undefined);
    is(new Set(seen).size, seen.length, 'the number of different regions among those listed');
    const missing = [...staying].filter((id) => !seen.includes(id));
    sameList(missing, [], 'the regions that were there all the time and not listed');
  });

  rule('lists a source in flight only when it has ended', async (bench) => {
    const { created, finish } = bench.beginCreate(bench.target, 5, pattern(5));
    sameList(await listedIds(bench.target), [], 'the regions while the source is in flight');
    finish();
    const id = await created;
    sameList(await listedIds(bench.target), [id.toString()], 'the regions after the source has ended');
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
