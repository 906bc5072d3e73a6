/**
 * Rules of persistent targets: everything that existed at close exists after open, under the same
 * IDs, and nothing else. Tested with the same object opened again, and with a second object if the
 * factory can create one.
 */
import {
  inFlight,
  inState,
  isUnchanged,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
  snapshotOf,
} from './assertions.js';
import { holds, sameFigures, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

export const persistenceRules: Rules = (rule, { capabilities, factory, isRemote }) => {
  if (!capabilities.persistent) return;
  // Closing a remote target closes a connection; there is nothing to recover.
  const objects = [
    ...(isRemote ? [] : (['same'] as const)),
    ...(factory.reopen === undefined ? [] : (['second'] as const)),
  ];

  for (const object of objects) {
    const by = `by ${object === 'same' ? 'the same object opened again' : 'a second object'}`;

    rule(`recovers regions with IDs, sizes, times, order and contents ${by}`, async (bench) => {
      for (const [at, size] of [0, 1, 100, 4096, 4097, 100_000, 1_048_579].entries()) {
        const id = await bench.target.create(size);
        await bench.target.write(id, 0, pattern(size, at + 1));
      }
      await bench.target.createAndWrite(pattern(3000, 50));
      await bench.target.createAndWrite(pattern(3000, 51), { persist: true });
      await bench.target.create(3000);
      const before = await snapshotOf(bench.target);
      const target = await bench.reopened(bench.target, object);
      await isUnchanged(target, before, 'after the close');
    });

    rule(`recovers every kind of write, persisted or not, after a close ${by}`, async (bench) => {
      const id = await bench.target.create(400);
      await bench.target.write(id, 0, pattern(100, 1));
      await bench.target.write(id, 100, pattern(100, 2), { persist: true });
      await bench.target.writev(id, [{ offset: 200, size: 100 }], pattern(100, 3));
      await bench.target.write(id, 300, pattern(100, 4));
      await bench.target.persist(id);
      await bench.target.write(id, 50, pattern(10, 5));
      // Not read back before: a read could store what a close forgets.
      const expected = new Uint8Array(400);
      for (let seed = 1; seed <= 4; seed++) expected.set(pattern(100, seed), (seed - 1) * 100);
      expected.set(pattern(10, 5), 50);
      const target = await bench.reopened(bench.target, object);
      sameBytes(await target.read(id, 0, 400), expected, 'the region after the close');
    });

    rule(`keeps what was erased erased, and its IDs invalid, ${by}`, async (bench) => {
      const ids = [];
      for (let seed = 1; seed <= 10; seed++) ids.push(await bench.target.createAndWrite(pattern(64, seed)));
      const [kept, erased] = [ids.filter((_, at) => at % 2 === 0), ids.filter((_, at) => at % 2 === 1)];
      for (const id of erased) await bench.target.erase(id);
      const target = await bench.reopened(bench.target, object);
      sameItems(await listedIds(target), kept.map(String), 'the listed regions after the close');
      // New regions use the slots of the erased ones.
      for (let seed = 20; seed < 30; seed++) {
        const id = await target.createAndWrite(pattern(64, seed));
        const isNew = !ids.some((old) => old.equals(id));
        holds(isNew, 'the ID of a new region', id, 'one never given before');
      }
      for (const id of erased) await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'an erased ID');
      for (const [at, id] of kept.entries()) {
        sameBytes(await target.read(id, 0, 64), pattern(64, 2 * at + 1), `region ${at}`);
      }
    });

    rule(`reports what was recovered ${by}`, async (bench) => {
      for (const size of [0, 10, 200, 3000]) await bench.target.create(size);
      await bench.target.erase(await bench.target.create(5000));
      const target = await bench.reopened(bench.target, object);
      const { recovery } = await target.stats();
      const expected = { regions: 4, bytes: 3210, quarantined: 0 };
      sameFigures(recovery, expected, 'what stats say was recovered');
      const { durationMs } = recovery;
      holds(durationMs >= 0, 'durationMs of the recovery', durationMs, 'a number from 0');
    });

    rule(`makes a region of a source that was in flight at close ${by}`, async (bench) => {
      const { created, finish } = bench.beginCreate(bench.target, 64, pattern(64));
      const closed = inFlight(bench.target.close());
      finish();
      const id = await created;
      await closed;
      const target = await bench.successor(bench.target, object);
      sameBytes(await target.read(id, 0, 64), pattern(64), 'the region of the source');
    });

    rule(`leaves no trace of a source that failed, ${by}`, async (bench) => {
      await bench.target.create(10);
      const before = await snapshotOf(bench.target);
      const call = bench.target.createAndWrite({ size: 64, source: [pattern(63)] });
      await rejects(call, 'INVALID_ARGUMENT', 'createAndWrite of a source that ends early');
      const target = await bench.reopened(bench.target, object);
      await bench.settled(() => isUnchanged(target, before, 'after the close'));
    });

    rule(`goes through many rounds of work and recovery ${by}`, async (bench) => {
      let target = bench.target;
      const contents = new Map<string, Uint8Array>();
      for (let round = 1; round <= 6; round++) {
        for (const { id } of (await target.list({ limit: 2 })).regions) {
          await target.erase(id);
          contents.delete(id.toString());
        }
        for (let seed = 0; seed < 5; seed++) {
          const bytes = pattern(round * 1000 + seed, round * 10 + seed);
          contents.set((await target.createAndWrite(bytes)).toString(), bytes);
        }
        target = await bench.reopened(target, object);
        const found = await snapshotOf(target);
        const ids = found.regions.map(({ id }) => id);
        sameItems(ids, [...contents.keys()], `the regions in round ${round}`);
        for (const region of found.regions) {
          const expected = contents.get(region.id) as Uint8Array;
          sameBytes(Buffer.from(region.contents, 'latin1'), expected, `a region in round ${round}`);
        }
      }
    });
  }

  if (!isRemote && factory.reopen !== undefined && factory.isShared !== true) {
    rule(
      'is refused with POOL_IN_USE while another object has it open, which goes on serving',
      async (bench) => {
        const { target } = bench;
        const id = await target.createAndWrite(pattern(64), { persist: true });
        const rival = await bench.rival(target);
        for (let attempt = 0; attempt < 2; attempt++) {
          await rejects(rival.open(), 'POOL_IN_USE', 'a second open of the storage');
          inState(rival, 'closed', 'whose open was refused');
        }
        await target.write(id, 0, pattern(64, 2), { persist: true });
        sameBytes(await target.read(id, 0, 64), pattern(64, 2), 'the region meanwhile');
        await target.close();
        await rival.open();
        sameBytes(await rival.read(id, 0, 64), pattern(64, 2), 'the region afterwards, by the other object');
      },
    );
  }

  if (!isRemote && factory.reopen !== undefined) {
    rule('deletes all data by destroy', async (bench) => {
      const id = await bench.target.createAndWrite(pattern(64));
      await bench.target.destroy();
      const target = await bench.successor(bench.target, 'second');
      sameList((await target.list()).regions, [], 'the regions after destroy');
      await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'an ID of before destroy');
    });
  }
};
