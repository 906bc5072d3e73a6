/**
 * Rules of `map`, for mappable targets: views over the region's own bytes, not copies. The region's
 * space stays until they are released, even after an erase, and close waits for that. For other
 * targets `map` gives NOT_SUPPORTED.
 */
import type { RegionMapping } from '../contract/target.js';
import {
  aMoment,
  eventually,
  inFlight,
  inState,
  listedIds,
  pattern,
  rejects,
  sameBytes,
  uses,
  waits,
} from './assertions.js';
import { is, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** The one view of a small region. */
function viewOf({ views }: RegionMapping): Uint8Array {
  is(views.length, 1, 'the number of views of a small region');
  return views[0] as Uint8Array;
}

export const mappingRules: Rules = (rule, { capabilities }) => {
  if (!capabilities.mappable) {
    rule('answers map with NOT_SUPPORTED', async ({ target }) => {
      const id = await target.create(64);
      await rejects(target.map(id), 'NOT_SUPPORTED', 'map');
      // The failed call does not keep the region's space.
      await target.erase(id);
    });
    return;
  }

  rule('maps a region as one view of exactly its bytes', async (bench) => {
    const { target } = bench;
    await target.createAndWrite(pattern(100, 2));
    const id = await target.createAndWrite(pattern(5000));
    await target.createAndWrite(pattern(100, 3));
    const mapping = await bench.map(target, id);
    sameBytes(viewOf(mapping), pattern(5000), 'the view');
    mapping.release();
  });

  rule('maps a region of zero bytes as no bytes', async (bench) => {
    const { target } = bench;
    const mapping = await bench.map(target, await target.create(0));
    const length = mapping.views.reduce((sum, view) => sum + view.length, 0);
    is(length, 0, 'the length of all views together');
    mapping.release();
  });

  rule('shows writes in the views, and writes through the views in reads', async (bench) => {
    const { target } = bench;
    const id = await target.create(5000);
    const mapping = await bench.map(target, id);
    const view = viewOf(mapping);
    await target.write(id, 1000, pattern(3000, 1));
    sameBytes(view.slice(1000, 4000), pattern(3000, 1), 'the view after a write');
    view.set(pattern(3000, 2), 2000);
    sameBytes(await target.read(id, 2000, 3000), pattern(3000, 2), 'a read after a write through the view');
    mapping.release();
    sameBytes(await target.read(id, 2000, 3000), pattern(3000, 2), 'a read after the release');
  });

  rule('persists what was written through a view', async (bench) => {
    const { target } = bench;
    const id = await target.create(5000);
    const mapping = await bench.map(target, id);
    viewOf(mapping).set(pattern(5000));
    await target.persist(id);
    mapping.release();
    sameBytes(await target.read(id, 0, 5000), pattern(5000), 'the region after persist and release');
  });

  rule('gives several mappings of one region, all over the same bytes', async (bench) => {
    const { target } = bench;
    const id = await target.create(64);
    const [first, second] = await Promise.all([bench.map(target, id), bench.map(target, id)]);
    viewOf(first).set(pattern(64));
    sameBytes(viewOf(second), pattern(64), 'a view after a write through another');
    first.release();
    sameBytes(viewOf(second), pattern(64), 'a view after the release of another');
    second.release();
  });

  rule('refuses an erased region that is still mapped, and keeps its bytes in the views', async (bench) => {
    const { target } = bench;
    const id = await target.createAndWrite(pattern(5000));
    const mapping = await bench.map(target, id);
    const view = viewOf(mapping);
    await target.erase(id);
    await rejects(target.read(id, 0, 8), 'REGION_NOT_FOUND', 'a read of an erased region that is mapped');
    await rejects(target.map(id), 'REGION_NOT_FOUND', 'map of an erased region that is mapped');
    await rejects(target.erase(id), 'REGION_NOT_FOUND', 'a second erase');
    sameList(await listedIds(target), [], 'the listed regions after the erase');
    // Nobody else may get these bytes, and no other bytes may appear in them.
    for (let seed = 2; seed < 12; seed++) {
      const other = await target.createAndWrite(pattern(5000, seed));
      sameBytes(view, pattern(5000), 'the view of an erased region');
      view[7] = 0;
      sameBytes(await target.read(other, 0, 5000), pattern(5000, seed), 'another region');
      view[7] = pattern(8)[7] ?? 0;
    }
    mapping.release();
  });

  rule('uses the space of an erased region until its last mapping is released', async (bench) => {
    const { target } = bench;
    // Storage may keep space for its own records after the first region.
    await target.erase(await target.create(100_000));
    const { usedBytes } = await target.stats();
    const held = usedBytes + bench.spaceOf(100_000);
    const id = await target.create(100_000);
    const mappings = [await bench.map(target, id), await bench.map(target, id)];
    await target.erase(id);
    await uses(target, held, 'after an erase under two mappings');
    mappings[0]?.release();
    // A second release of one must not release the other.
    mappings[0]?.release();
    await aMoment();
    await uses(target, held, 'after an erase under a mapping');
    mappings[1]?.release();
    await eventually(() => uses(target, usedBytes, 'after an erase and the last release'));
  });

  rule('takes a second release for nothing', async (bench) => {
    const { target } = bench;
    const id = await target.createAndWrite(pattern(64));
    const mapping = await bench.map(target, id);
    mapping.release();
    mapping.release();
    sameBytes(await target.read(id, 0, 64), pattern(64), 'the region after both releases');
    const again = await bench.map(target, id);
    mapping.release();
    sameBytes(viewOf(again), pattern(64), 'a later view after a further release of the first');
    again.release();
    await target.erase(id);
    mapping.release();
    await target.close();
    inState(target, 'closed', 'after close');
  });

  rule('waits in close until the views are released', async (bench) => {
    const { target } = bench;
    const id = await target.createAndWrite(pattern(64));
    const mapping = await bench.map(target, id);
    const closed = inFlight(target.close());
    await waits(closed, 'close', 'the mapping is released');
    sameBytes(viewOf(mapping), pattern(64), 'the view while close waits');
    mapping.release();
    await closed;
    inState(target, 'closed', 'after close');
  });
};
