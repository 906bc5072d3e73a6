/**
 * Rules of names and transactions on persistent targets: what a name meant at close it means after
 * open, and what was acknowledged survives a kill; a put that was not is wholly there or wholly
 * absent, and the name has the old region then.
 */
import { MAX_NAME_BYTES } from '../contract/names.js';
import type { Target } from '../contract/target.js';
import {
  counts,
  isUnchanged,
  listAll,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
  sameRegions,
  snapshotOf,
} from './assertions.js';
import { is, sameList } from './findings.js';
import { allNames, NAMES } from './names.js';
import type { Rules } from './rules.js';

/** Names of every kind, made in every way. */
async function fill(target: Target): Promise<void> {
  for (const [at, name] of NAMES.entries()) {
    const contents = pattern((at * 97) % 5000, at);
    if (at % 3 === 0) await target.put(name, contents);
    else if (at % 3 === 1) await target.createAndWrite(contents, { name, persist: true });
    else await target.rename(await target.createAndWrite(contents, { persist: true }), name);
  }
  await target.createAndWrite(pattern(100), { persist: true });
}

async function namesIn(target: Target): Promise<string[]> {
  return (await allNames(target)).names.map(({ name, id }) => `${name} ${String(id)}`);
}

export const namedRecoveryRules: Rules = (rule, { capabilities, factory, isRemote }) => {
  if (!capabilities.named || !capabilities.persistent) return;
  const objects = [
    ...(isRemote ? [] : (['same'] as const)),
    ...(factory.reopen === undefined ? [] : (['second'] as const)),
  ];

  for (const object of objects) {
    const by = `by ${object === 'same' ? 'the same object opened again' : 'a second object'}`;

    rule(`recovers names, their order and their regions ${by}`, async (bench) => {
      await fill(bench.target);
      const [before, names] = [await snapshotOf(bench.target), await namesIn(bench.target)];
      const target = await bench.reopened(bench.target, object);
      await isUnchanged(target, before, 'after the close');
      sameList(await namesIn(target), names, 'the names after the close');
    });

    rule(`recovers what puts, renames and erases have left of a name ${by}`, async (bench) => {
      let { target } = bench;
      const gone = [];
      for (let round = 0; round < 4; round++) {
        gone.push(
          await target.put('replaced', pattern(500, 1)),
          await target.put('replaced', pattern(700, 2)),
        );
        await target.put('replaced', pattern(900, round));
        await target.put('erased', pattern(64));
        await target.erase('erased');
        const id = await target.put('short', pattern(200, round));
        await target.rename(id, 'x'.repeat(MAX_NAME_BYTES));
        await target.rename(id, `moved ${round}`);
        target = await bench.reopened(target, object);
        sameBytes(await target.read('replaced', 0, 900), pattern(900, round), 'the contents under the name');
        sameBytes(
          await target.read(`moved ${round}`, 0, 200),
          pattern(200, round),
          'the region that was renamed',
        );
        for (const name of ['erased', 'short', 'x'.repeat(MAX_NAME_BYTES)])
          await rejects(target.find(name), 'REGION_NOT_FOUND', 'find of a name that was gone');
        for (const old of gone)
          await refusesAllCalls(target, old, 'REGION_NOT_FOUND', 'a region that was replaced');
        await counts(target, 2 + round, 'after the close');
      }
    });

    if (capabilities.transactional)
      rule(`recovers what transactions have done ${by}`, async (bench) => {
        let { target } = bench;
        for (let round = 0; round < 3; round++) {
          await target.put('a', pattern(1000, round));
          await target.put('b', pattern(1000, round));
          await target.transact([
            { type: 'write', ref: 'a', offset: 100, bytes: pattern(500, round + 10) },
            { type: 'rename', ref: 'b', to: 'c', replace: true },
            { type: 'put', name: 'b', contents: pattern(300, round + 20) },
          ]);
          const [before, names] = [await snapshotOf(target), await namesIn(target)];
          target = await bench.reopened(target, object);
          await hasSame(target, before.regions, names, 'after the close');
        }
      });
  }

  if (isRemote || factory.crash === undefined) return;

  rule(
    'keeps every put, rename and erase of a name that was acknowledged when it is killed',
    async (bench) => {
      const { target } = bench;
      await fill(target);
      const replaced = [];
      for (const [at, name] of NAMES.entries()) {
        if (at % 2 === 0) replaced.push((await target.find(name)).id);
        if (at % 4 === 0) await target.put(name, pattern(at + 1, at + 50));
        else if (at % 4 === 2) await target.erase(name);
      }
      const [before, names] = [await snapshotOf(target), await namesIn(target)];
      const survivor = await bench.crashed(target);
      await hasSame(survivor, before.regions, names, 'after the kill');
      for (const id of replaced)
        await refusesAllCalls(survivor, id, 'REGION_NOT_FOUND', 'a region that was replaced');
    },
  );

  rule('has the old region or the new one under a name, whole, whenever it is killed', async (bench) => {
    const { target } = bench;
    await target.put('name', pattern(20_000, 0));
    for (let round = 1; round <= 6; round++) {
      const put = target.put('name', pattern(20_000 + round, round));
      const survivor = await bench.crashed(target);
      const { size, id } = await survivor.find('name');
      const seed = size - 20_000;
      sameBytes(
        await survivor.read('name', 0, size),
        pattern(size, seed),
        'the region under the name after the kill',
      );
      sameList(
        (await listAll(survivor)).map((stat) => String(stat.id)),
        [String(id)],
        'the regions after the kill',
      );
      await put;
      const later = await bench.crashed(target);
      is((await later.find('name')).size, 20_000 + round, 'the size of what was acknowledged');
    }
  });

  if (!capabilities.transactional) return;

  rule('has all changes of a transaction or none whenever it is killed', async (bench) => {
    const { target } = bench;
    const names = ['a', 'b', 'c'];
    for (const name of names) await target.put(name, new Uint8Array(5000));
    for (let round = 1; round <= 6; round++) {
      const bytes = new Uint8Array(5000).fill(round);
      const done = target.transact([
        { type: 'write', ref: 'a', offset: 0, bytes },
        { type: 'put', name: 'b', contents: bytes },
        { type: 'write', ref: 'c', offset: 0, bytes },
      ]);
      const check = async (survivor: Target, least: number): Promise<void> => {
        const found = await Promise.all(names.map((name) => survivor.read(name, 0, 5000)));
        const first = found[0]?.[0] ?? -1;
        for (const [at, each] of found.entries())
          sameBytes(each, new Uint8Array(5000).fill(first), `region ${String(names[at])} after the kill`);
        is(
          first >= least && first <= round,
          true,
          'whether what is there is what was acknowledged, or newer',
        );
        await counts(survivor, 3, 'after the kill');
      };
      await check(await bench.crashed(target), round - 1);
      await done;
      await check(await bench.crashed(target), round);
    }
  });
};

/** Asserts the regions and the names; figures of space may differ by what was on its way back. */
async function hasSame(
  target: Target,
  regions: Awaited<ReturnType<typeof snapshotOf>>['regions'],
  names: readonly string[],
  when: string,
): Promise<void> {
  sameRegions((await snapshotOf(target)).regions, regions, when);
  sameList(await namesIn(target), names, `the names ${when}`);
}
