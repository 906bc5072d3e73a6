/**
 * Rules of region IDs: an ID names one region forever. An old ID, the ID of another target, 16
 * random bytes and every ID that differs in a bit give REGION_NOT_FOUND, never another region's
 * data. A value that is not a RegionId gives INVALID_ARGUMENT.
 */
import { REGION_ID_BYTES, RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  callsOn,
  changesNothing,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
} from './assertions.js';
import { holds, is } from './findings.js';
import type { Rules } from './rules.js';

const ID_BITS = REGION_ID_BYTES * 8;

/** All IDs that differ from one in a single bit, except those of live regions. */
function offByOneBit(id: RegionId, live: ReadonlySet<string>): RegionId[] {
  return Array.from({ length: ID_BITS }, (_, bit) => {
    const bytes = id.toBytes();
    const at = bit >> 3;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    return RegionId.from(bytes);
  }).filter((forged) => !live.has(forged.toString()));
}

/** None of the IDs may lead to bytes or to a size. */
async function knowsNone(target: Target, ids: readonly RegionId[], whose: string): Promise<void> {
  await Promise.all(
    ids.flatMap((id) => [
      rejects(target.stat(id), 'REGION_NOT_FOUND', `stat with ${whose} ${id.toString()}`),
      rejects(target.read(id, 0, 1), 'REGION_NOT_FOUND', `read with ${whose} ${id.toString()}`),
    ]),
  );
}

export const idRules: Rules = (rule, { isRemote, isThorough }) => {
  // The suite also runs against the server's own target. Here it only remains to check that every
  // bit is transmitted.
  const few = (ids: readonly RegionId[]): readonly RegionId[] =>
    isRemote && !isThorough ? ids.slice(-1) : ids;

  rule('finds a region by any RegionId of the same bytes', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16));
    for (const same of [RegionId.parse(id.toString()), RegionId.from(id.toBytes())]) {
      holds(same.equals(id), 'equals of two RegionIds of the same bytes', false, 'true');
      sameBytes(await target.read(same, 0, 16), pattern(16), 'the region by another RegionId');
      is(String((await target.stat(same)).id), String(id), 'the ID that stat gives');
    }
  });

  rule('refuses a stale ID with REGION_NOT_FOUND, in every call', async ({ target }) => {
    const id = await target.create(64);
    await target.erase(id);
    await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'a stale ID');
  });

  rule('refuses a stale ID still when its slot is taken by a new region', async ({ target }) => {
    const stale: RegionId[] = [];
    for (let seed = 1; seed <= (isRemote && !isThorough ? 5 : 20); seed++) {
      const id = await target.createAndWrite(pattern(64, seed));
      await target.erase(id);
      stale.push(id);
    }
    const id = await target.createAndWrite(pattern(64));
    await changesNothing(target, async () => {
      for (const old of stale) await refusesAllCalls(target, old, 'REGION_NOT_FOUND', 'a stale ID');
    });
    sameBytes(await target.read(id, 0, 64), pattern(64), 'the new region');
  });

  rule('never gives an ID a second time', async ({ target }) => {
    const given = new Set<string>();
    const keep = (id: RegionId): void => {
      holds(
        !given.has(id.toString()),
        'the ID of a new region',
        `${id.toString()} again`,
        'one never given before',
      );
      given.add(id.toString());
    };
    for (let round = 0; round < 40; round++) {
      const ids = await Promise.all([target.create(0), target.create(64), target.createAndWrite(pattern(8))]);
      ids.forEach(keep);
      // In either order, sometimes leaving one.
      const order = round % 2 === 0 ? ids : ids.toReversed();
      for (const id of order.slice(round % 5 === 0 ? 1 : 0)) await target.erase(id);
    }
    const failed = { size: 8, source: [pattern(7)] };
    await rejects(target.createAndWrite(failed), 'INVALID_ARGUMENT', 'a source that ends early');
    keep(await target.create(8));
  });

  rule('refuses the IDs of another target with REGION_NOT_FOUND, in every call', async (bench) => {
    const { target } = bench;
    const other = await bench.another();
    // The same history, so that the IDs are as similar as possible.
    const own = [await target.createAndWrite(pattern(64, 1)), await target.createAndWrite(pattern(64, 1))];
    const foreign = [await other.createAndWrite(pattern(64, 2)), await other.createAndWrite(pattern(64, 2))];
    // Identical except for the part that names the target.
    for (const [index, { slot, generation }] of own.entries()) {
      const { poolLow, poolHigh } = foreign[index] as RegionId;
      const id = RegionId.of(slot, generation, poolLow, poolHigh);
      if (!own.some((each) => each.equals(id))) foreign.push(id);
    }
    await changesNothing(other, () =>
      changesNothing(target, async () => {
        for (const id of foreign)
          await refusesAllCalls(target, id, 'REGION_NOT_FOUND', "another target's ID");
        for (const id of own) await refusesAllCalls(other, id, 'REGION_NOT_FOUND', "another target's ID");
      }),
    );
  });

  rule('refuses 16 random bytes with REGION_NOT_FOUND, in every call', async ({ target }) => {
    const live = await target.createAndWrite(pattern(64));
    const zeros = RegionId.from(new Uint8Array(REGION_ID_BYTES));
    const ones = RegionId.from(new Uint8Array(REGION_ID_BYTES).fill(0xff));
    await changesNothing(target, async () => {
      for (const id of [zeros, ones, RegionId.random(), RegionId.random()]) {
        await refusesAllCalls(target, id, 'REGION_NOT_FOUND', `the made-up ID ${id.toString()}`);
      }
    });
    await knowsNone(
      target,
      Array.from({ length: isRemote && !isThorough ? 50 : 500 }, () => RegionId.random()),
      'the random ID',
    );
    sameBytes(await target.read(live, 0, 64), pattern(64), 'the region that is there');
  });

  rule('refuses an ID that is off by a bit with REGION_NOT_FOUND', async ({ target }) => {
    const ids = [];
    for (let at = 0; at < 6; at++) ids.push(await target.createAndWrite(pattern(64, at + 1)));
    const [first, second] = ids as [RegionId, RegionId];
    // Slots that were used before, with their own history.
    await target.erase(first);
    ids.push(await target.createAndWrite(pattern(64, 7)));
    await target.erase(second);
    const live = new Set(await listedIds(target));
    is(live.size, 5, 'the number of listed regions');
    for (const id of few(ids)) await knowsNone(target, offByOneBit(id, live), 'the forged ID');
  });

  rule('leaves every region as it is when forged IDs are written to and erased', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    const forgeries = offByOneBit(id, new Set([id.toString()]));
    await changesNothing(target, async () => {
      await Promise.all(
        forgeries.flatMap((forged) => [
          rejects(target.write(forged, 0, pattern(8, 2)), 'REGION_NOT_FOUND', 'write with a forged ID'),
          rejects(target.erase(forged), 'REGION_NOT_FOUND', 'erase with a forged ID'),
        ]),
      );
    });
  });

  rule('rejects what is no RegionId with INVALID_ARGUMENT, in every call', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    const { slot, generation, poolLow, poolHigh } = id;
    const lookalike = { slot, generation, poolLow, poolHigh, equals: () => true, toString: () => String(id) };
    const wrong = [id.toString(), id.toBytes(), lookalike, undefined, null, 0, {}];
    await changesNothing(target, async () => {
      for (const thing of wrong) {
        for (const [name, call] of callsOn(target, thing as RegionId)) {
          await rejects(call(), 'INVALID_ARGUMENT', `${name} with ${typeof thing} for an ID`);
        }
      }
    });
  });
};
