/**
 * Rules of crashes, for persistent targets whose factory can cause them: what was acknowledged as
 * durable survives, everything else is completely there or completely absent, and no ID is ever
 * reused.
 *
 * The rules can only see a kill: bytes that the process held back are lost. Bytes that the kernel
 * or the disk hold back are lost only in a power failure, which no test inside a process can cause.
 */
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  allZero,
  isUnchanged,
  listAll,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
  snapshotOf,
  uses,
} from './assertions.js';
import { holds, is, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Contents of regions, as far as acknowledged. */
type Contents = Map<string, Uint8Array>;

/** Asserts that exactly these regions exist, with these bytes. */
async function contains(target: Target, expected: Contents, when: string): Promise<void> {
  const { regions } = await snapshotOf(target);
  const ids = regions.map(({ id }) => id);
  sameItems(ids, [...expected.keys()], `the regions ${when}`);
  for (const { id, contents } of regions) {
    sameBytes(Buffer.from(contents, 'latin1'), expected.get(id) ?? new Uint8Array(0), `region ${id} ${when}`);
  }
}

export const crashRules: Rules = (rule, { capabilities, factory, isRemote }) => {
  if (!capabilities.persistent || isRemote || factory.crash === undefined) return;

  rule('keeps every create that was acknowledged when it is killed', async (bench) => {
    const { target } = bench;
    const expected: Contents = new Map();
    for (const size of [0, 1, 4096, 70_000]) {
      expected.set((await target.create(size)).toString(), new Uint8Array(size));
      expected.set(
        (await target.createAndWrite(pattern(size, size + 1), { persist: true })).toString(),
        pattern(size, size + 1),
      );
    }
    const created = (await listAll(target)).map(({ id, createdAt }) => [String(id), createdAt]);
    const survivor = await bench.crashed(target);
    await contains(survivor, expected, 'after the kill');
    const survived = (await listAll(survivor)).map(({ id, createdAt }) => [String(id), createdAt]);
    sameList(survived, created, 'the IDs and times after the kill, in order');
  });

  rule('keeps every write that was acknowledged as durable when it is killed', async (bench) => {
    const { target } = bench;
    const id = await target.create(100_000);
    const bytes = new Uint8Array(100_000);
    const note = (offset: number, piece: Uint8Array): Uint8Array => {
      bytes.set(piece, offset);
      return piece;
    };
    await target.write(id, 10, note(10, pattern(20_000, 1)), { persist: true });
    await target.writev(
      id,
      [
        { offset: 30_000, size: 100 },
        { offset: 29_900, size: 100 },
      ],
      Buffer.concat([note(30_000, pattern(100, 2)), note(29_900, pattern(100, 3))]),
      { persist: true },
    );
    await target.write(id, 50_000, note(50_000, pattern(5000, 4)));
    await target.persist(id, [{ offset: 50_000, size: 5000 }]);
    await target.write(id, 90_000, note(90_000, pattern(10_000, 5)));
    await target.persist(id);
    await contains(await bench.crashed(target), new Map([[id.toString(), bytes]]), 'after the kill');
  });

  rule('has resolved no durable write too early: each is there if it is killed at once', async (bench) => {
    const { target } = bench;
    const id = await target.create(64 * 8);
    const writes = Array.from({ length: 8 }, (_, at) =>
      target.write(id, at * 64, pattern(64, at + 1), { persist: true }).then(() => at),
    );
    const first = await Promise.race(writes);
    const survivor = await bench.crashed(target);
    sameBytes(
      await survivor.read(id, first * 64, 64),
      pattern(64, first + 1),
      'the write that resolved first',
    );
    await Promise.all(writes);
    const last = await bench.crashed(target);
    for (let at = 0; at < 8; at++)
      sameBytes(await last.read(id, at * 64, 64), pattern(64, at + 1), `write ${at}`);
  });

  rule('keeps erased regions erased when it is killed, and their space free', async (bench) => {
    const { target } = bench;
    const ids: RegionId[] = [];
    for (let seed = 1; seed <= 6; seed++)
      ids.push(await target.createAndWrite(pattern(5000, seed), { persist: true }));
    const erased = ids.filter((_, at) => at % 2 === 0);
    for (const id of erased) await target.erase(id);
    const { usedBytes } = await target.stats();
    const survivor = await bench.crashed(target);
    for (const id of erased) await refusesAllCalls(survivor, id, 'REGION_NOT_FOUND', 'an erased ID');
    is((await listedIds(survivor)).length, 3, 'the number of listed regions after the kill');
    await uses(survivor, usedBytes, 'after the kill');
  });

  rule('has no trace of a source that was in flight when it was killed', async (bench) => {
    const { target } = bench;
    const kept = await target.createAndWrite(pattern(3000), { persist: true });
    const before = await snapshotOf(target);
    const { taken, finish } = bench.beginCreate(target, 200_000, pattern(200_000, 2));
    await taken;
    const survivor = await bench.crashed(target);
    finish();
    await isUnchanged(survivor, before, 'after the kill');
    sameBytes(await survivor.read(kept, 0, 3000), pattern(3000), 'the region that was there');
    // Its space is zeroed before it is reused.
    const id = await survivor.create(200_000);
    allZero(await survivor.read(id, 0, 200_000), 'a region that was created after the kill');
  });

  rule('gives no ID again after it was killed, not even of what was erased last', async (bench) => {
    const given = new Set<string>();
    let target = bench.target;
    for (let round = 0; round < 3; round++) {
      const ids: RegionId[] = [];
      for (let count = 0; count < 20; count++) {
        const id = await target.create(16);
        const isNew = !given.has(id.toString());
        holds(isNew, `the ID of a new region after ${round} kills`, id, 'one never given before');
        given.add(id.toString());
        ids.push(id);
      }
      for (const id of ids.slice(round)) await target.erase(id);
      target = await bench.crashed(target);
    }
  });

  rule('goes through many rounds of work and kills', async (bench) => {
    let target = bench.target;
    const expected: Contents = new Map();
    for (let round = 1; round <= 4; round++) {
      for (const { id } of (await target.list({ limit: 2 })).regions) {
        await target.erase(id);
        expected.delete(id.toString());
      }
      for (let seed = 0; seed < 4; seed++) {
        const bytes = pattern(round * 1000 + seed, round * 10 + seed);
        expected.set((await target.createAndWrite(bytes, { persist: true })).toString(), bytes);
      }
      target = await bench.crashed(target);
      await contains(target, expected, `after kill ${round}`);
    }
  });

  rule('opens and closes in good order after a kill, and loses nothing by it', async (bench) => {
    const id = await bench.target.createAndWrite(pattern(5000), { persist: true });
    const survivor = await bench.crashed(bench.target);
    await survivor.write(id, 0, pattern(100, 2));
    const again = await bench.reopened(survivor, 'same');
    sameBytes(await again.read(id, 0, 100), pattern(100, 2), 'what was written after the kill');
    sameBytes(await again.read(id, 100, 4900), pattern(5000).subarray(100), 'what was written before it');
    await again.erase(id);
    await rejects(again.read(id, 0, 1), 'REGION_NOT_FOUND', 'read of an erased region');
  });
};
