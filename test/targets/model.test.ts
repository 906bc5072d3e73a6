/**
 * Random histories: whatever is called, with good arguments or bad ones, on live, stale and made-up
 * IDs, a target gives what a map of byte arrays gives. And whatever is in flight at the same time,
 * no region ever shows another one's bytes.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { createLogger } from '../../core/base/logging.js';
import type { RegionId, Target } from '../../core/index.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { Arena, arenaSpaceOf, ArenaTarget } from './arena-target.js';
import { Comparison, step } from './comparison.js';
import { Model } from './model.js';

const MAX_BYTES = 150;
const logger = createLogger({ level: 'off', format: 'text' });

async function behavesLikeTheModel(
  makeTarget: () => Target,
  makeModel: () => Model,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const comparison = new Comparison(makeTarget(), makeModel());
      await comparison.target.open();
      for (const step of steps) {
        await comparison.take(step);
        await comparison.agreeOnFigures();
      }
      await comparison.agreeOnBytes();
      await comparison.target.close();
    }),
    { numRuns },
  );
}

describe('a random history', () => {
  test('comes to the same on a bounded memory target as on a map of byte arrays', async () => {
    await behavesLikeTheModel(
      () => new MemoryTarget({ max_bytes: MAX_BYTES }, { logger, clock: { now: () => 1 } }),
      () => new Model(MAX_BYTES, (bytes) => bytes, false),
      isThorough ? 400 : 100,
    );
  });

  test('comes to the same on a target with slow hooks that recovers its regions', async () => {
    await behavesLikeTheModel(
      () => new ArenaTarget(new Arena(2 ** 20), logger),
      () => new Model(2 ** 20, arenaSpaceOf, true),
      isThorough ? 60 : 30,
    );
  });
});

describe('calls in flight together', () => {
  const SLOTS = 4;
  const call = fc.record({
    kind: fc.constantFrom('make', 'makeOfBytes', 'write', 'writev', 'read', 'readv', 'erase', 'wait'),
    slot: fc.nat(SLOTS - 1),
  });

  /** Every region bears bytes of its own number only; whatever else shows in it is another region's. */
  test('never show one region the bytes of another, and give all space back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 60, size: 'max' }), async (calls) => {
        const target = new ArenaTarget(new Arena(64 * 6), logger);
        await target.open();
        const slots: { id: RegionId; mark: number }[] = [];
        const pending: Promise<void>[] = [];
        let marks = 0;
        const holdsOnly = (found: Uint8Array, mark: number): void => {
          const strange = found.find((byte) => byte !== 0 && byte !== mark);
          if (strange !== undefined) throw new Error(`region ${mark} shows a byte of region ${strange}`);
        };
        const run = async (kind: string, slot: number): Promise<void> => {
          const region = slots[slot];
          if (kind === 'make' || kind === 'makeOfBytes') {
            const mark = (marks = (marks % 255) + 1);
            const id =
              kind === 'make'
                ? await target.create(64)
                : await target.createAndWrite(new Uint8Array(64).fill(mark));
            slots[slot] = { id, mark };
          } else if (region !== undefined) {
            const { id, mark } = region;
            const parts = [0, 16, 32, 48].map((offset) => ({ offset, size: 16 }));
            const marked = new Uint8Array(64).fill(mark);
            if (kind === 'write') await target.write(id, 0, marked);
            else if (kind === 'writev') await target.writev(id, parts, marked, { persist: true });
            else if (kind === 'read') holdsOnly(await target.read(id, 0, 64), mark);
            else if (kind === 'readv') holdsOnly(await target.readv(id, parts), mark);
            else if (kind === 'erase') await target.erase(id);
          }
        };
        for (const { kind, slot } of calls) {
          if (kind === 'wait') await new Promise((resolve) => setImmediate(resolve));
          else {
            const done = run(kind, slot).catch((error: unknown) => {
              // Regions go, and space runs out; nothing else may go wrong.
              const { code } = error as { code?: unknown };
              if (code !== 'REGION_NOT_FOUND' && code !== 'OUT_OF_SPACE') throw error;
            });
            done.catch(() => undefined);
            pending.push(done);
          }
        }
        await Promise.all(pending);
        for (const { id } of (await target.list()).regions) await target.erase(id);
        // Its last call in flight gives the space of a region back.
        await target.close();
        expect(target.arena.usedBytes).toBe(0);
        expect(target.arena.regions.size).toBe(0);
      }),
      { numRuns: isThorough ? 300 : 100 },
    );
  });
});
