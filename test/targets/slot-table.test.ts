/** The slot table: what a plain map and a plain set say, it says too, and no order gives an ID twice. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAX_GENERATION } from '../../core/pool/descriptor.js';
import { nextGeneration } from '../../core/targets/generation-step.js';
import { SlotSet } from '../../core/targets/slot-set.js';
import { SlotState, SlotTable } from '../../core/targets/slot-table.js';
import { isThorough } from '../fixtures/thoroughness.js';

const INTERNAL = expect.objectContaining({ code: 'INTERNAL' });

/** Generations that a test can foresee. */
const oneOn = (last: number): number => last + 1;

function tableOf(slots: number): SlotTable {
  const table = new SlotTable(MAX_GENERATION, oneOn);
  table.addSlots(slots);
  return table;
}

function create(table: SlotTable, offset = 8192, size = 100, createdAt = 5): number {
  const slot = table.takeFree();
  table.setLive(slot, table.generation(slot), offset, size, createdAt);
  return slot;
}

function erase(table: SlotTable, slot: number): void {
  table.setErasing(slot);
  table.setFree(slot, table.generation(slot));
}

function liveSlots(table: SlotTable): number[] {
  const slots: number[] = [];
  for (let slot = table.nextLive(-1); slot >= 0; slot = table.nextLive(slot)) slots.push(slot);
  return slots;
}

describe('a slot', () => {
  test('is taken with the next generation and lives with what was set', () => {
    const table = tableOf(3);
    const slot = table.takeFree();
    expect([slot, table.state(slot), table.generation(slot)]).toEqual([0, SlotState.taken, 1]);
    expect([table.isLive(0, 1), table.live, table.nextLive(-1)]).toEqual([false, 0, -1]);
    table.setLive(0, 1, 2 ** 40, 2 ** 35 + 1, 1_700_000_000_000);
    expect([table.offset(0), table.size(0), table.createdAt(0), table.generation(0)]).toEqual([
      2 ** 40,
      2 ** 35 + 1,
      1_700_000_000_000,
      1,
    ]);
    expect([table.isLive(0, 1), table.isLive(0, 0), table.isLive(0, 2)]).toEqual([true, false, false]);
    expect([table.live, table.liveBytes, table.nextLive(-1)]).toEqual([1, 2 ** 35 + 1, 0]);
  });

  test('loses its ID with the erase and is not used before the erase is durable', () => {
    const table = tableOf(1);
    const slot = create(table);
    table.setErasing(slot);
    expect([table.isLive(slot, 1), table.live, table.liveBytes, table.takeFree()]).toEqual([false, 0, 0, -1]);
    expect([table.offset(slot), table.size(slot)]).toEqual([8192, 100]);
    table.setFree(slot, 1);
    expect([table.takeFree(), table.generation(slot)]).toEqual([0, 2]);
  });

  test('given back is free as it was before', () => {
    const table = tableOf(1);
    erase(table, create(table));
    for (let round = 0; round < 3; round++) {
      const slot = table.takeFree();
      expect(table.generation(slot)).toBe(2);
      table.giveBack(slot);
      expect([table.state(slot), table.generation(slot)]).toEqual([SlotState.free, 1]);
    }
  });

  test('comes with the ID of an imported region, unless it had that generation', () => {
    const table = tableOf(2);
    expect(table.take(1, 7)).toBe(true);
    expect([table.state(1), table.generation(1), table.takeFree(), table.takeFree()]).toEqual([
      SlotState.taken,
      7,
      0,
      -1,
    ]);
    expect(table.take(1, 8)).toBe(false);
    table.giveBack(1, 0);
    expect(table.take(1, 0)).toBe(false);
    expect(table.take(1, MAX_GENERATION + 1)).toBe(false);
    expect(table.take(2, 1)).toBe(false);
    expect(table.take(1, 3)).toBe(true);
    table.setLive(1, 3, 8192, 1, 1);
    erase(table, 1);
    expect([table.take(1, 3), table.take(1, 2), table.take(1, 4)]).toEqual([false, false, true]);
  });

  test('is retired when its generations are used up', () => {
    const table = tableOf(2);
    expect(table.take(0, MAX_GENERATION - 1)).toBe(true);
    table.setLive(0, MAX_GENERATION - 1, 8192, 1, 1);
    erase(table, 0);
    expect(create(table)).toBe(0);
    expect(table.isLive(0, MAX_GENERATION)).toBe(true);
    erase(table, 0);
    expect([table.state(0), table.count(SlotState.retired), table.takeFree()]).toEqual([
      SlotState.retired,
      1,
      1,
    ]);
  });

  test('that was read as free with the last generation is retired', () => {
    const table = new SlotTable(MAX_GENERATION, oneOn);
    table.addUnreadSlots(1);
    table.setFree(0, MAX_GENERATION);
    expect([table.state(0), table.takeFree()]).toEqual([SlotState.retired, -1]);
  });

  test('in quarantine or retired is never taken and not listed', () => {
    const table = tableOf(4);
    create(table);
    create(table);
    for (const slot of [0, 2]) table.quarantine(slot, 1, 8192, 5, 7);
    erase(table, 1);
    for (const slot of [1, 3]) {
      table.take(slot, MAX_GENERATION);
      table.giveBack(slot, MAX_GENERATION);
    }
    expect([table.takeFree(), table.nextLive(-1), table.live, table.liveBytes]).toEqual([-1, -1, 0, 0]);
    expect([table.count(SlotState.quarantined), table.count(SlotState.retired)]).toEqual([2, 2]);
    expect([table.offset(0), table.generation(0), table.generation(1)]).toEqual([8192, 1, MAX_GENERATION]);
    expect([table.size(2), table.createdAt(2)]).toEqual([5, 7]);
    expect([-1, 0, 2].map((after) => table.next(SlotState.quarantined, after))).toEqual([0, 2, -1]);
  });

  test('is refused whatever would break an order', () => {
    const table = tableOf(4);
    const live = create(table);
    const taken = table.takeFree();
    const erasing = create(table);
    table.setErasing(erasing);
    const free = 3;
    const wrong: (() => void)[] = [
      () => table.giveBack(live),
      () => table.giveBack(free),
      () => table.setLive(live, 2, 8192, 1, 1),
      () => table.setLive(free, 1, 8192, 1, 1),
      () => table.setLive(taken, 2, 8192, 1, 1),
      () => table.setLive(erasing, 1, 8192, 1, 1),
      () => table.setErasing(taken),
      () => table.setErasing(erasing),
      () => table.setErasing(free),
      () => table.setFree(free, 0),
      () => table.setFree(taken, 1),
      () => table.setFree(erasing, 2),
      () => table.quarantine(4, 1, 8192, 5, 7),
      () => table.giveBack(2 ** 32 - 1),
      () => table.generation(2 ** 31),
    ];
    for (const call of wrong) expect(call).toThrow(INTERNAL);
    expect([live, taken, erasing, free].map((slot) => table.state(slot))).toEqual([
      SlotState.live,
      SlotState.taken,
      SlotState.erasing,
      SlotState.free,
    ]);
  });

  test('of any number may be asked for', () => {
    const table = tableOf(1);
    for (const slot of [1, 8191, 8192, 2 ** 31, 2 ** 32 - 1]) {
      expect(table.isLive(slot, 0)).toBe(false);
      expect(table.state(slot)).toBe(SlotState.unread);
    }
  });
});

describe('the table', () => {
  test('takes the lowest free slot first', () => {
    const table = tableOf(100);
    for (let slot = 0; slot < 100; slot++) expect(create(table)).toBe(slot);
    for (const slot of [70, 3, 99]) erase(table, slot);
    expect([3, 70, 99, -1].map(() => table.takeFree())).toEqual([3, 70, 99, -1]);
    table.addSlots(1);
    expect(table.takeFree()).toBe(100);
  });

  test('keeps many slots through growth, and finds the last one behind all their erases', () => {
    const table = new SlotTable(MAX_GENERATION, oneOn);
    let count = 1024;
    while (table.slots < (isThorough ? 2 ** 20 : 2 ** 16)) {
      table.addSlots(count);
      while (table.takeFree() >= 0);
      count = Math.min(count * 2, 2 ** 18);
    }
    const { slots } = table;
    for (let slot = 0; slot < slots; slot++) table.setLive(slot, 1, slot * 64, slot, slot + 1);
    expect([table.live, table.liveBytes]).toEqual([slots, (slots * (slots - 1)) / 2]);
    let wrong = 0;
    for (let slot = 0; slot < slots; slot++)
      if (table.offset(slot) !== slot * 64 || table.createdAt(slot) !== slot + 1) wrong++;
    expect(wrong).toBe(0);
    for (let slot = 0; slot < slots - 1; slot++) erase(table, slot);
    expect([table.live, table.liveBytes, table.nextLive(-1)]).toEqual([1, slots - 1, slots - 1]);
    expect(table.nextLive(slots - 1)).toBe(-1);
    expect(table.count(SlotState.free)).toBe(slots - 1);
  });

  test('agrees with plain maps over random histories, and never gives an ID twice', () => {
    const step = fc.record({
      kind: fc.constantFrom('create', 'create', 'take', 'giveBack', 'erase', 'quarantine', 'grow'),
      pick: fc.nat(),
      size: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
        const table = tableOf(2);
        const live = new Map<number, { generation: number; size: number }>();
        const ids = new Set<string>();
        const taken: number[] = [];
        const quarantined = new Set<number>();
        const publish = (slot: number, size: number): void => {
          const generation = table.generation(slot);
          table.setLive(slot, generation, 8192, size, 0);
          expect(ids.has(`${slot}.${generation}`)).toBe(false);
          ids.add(`${slot}.${generation}`);
          live.set(slot, { generation, size });
        };
        for (const { kind, pick, size } of steps) {
          const chosen = [...live.keys()][pick % Math.max(1, live.size)];
          if (kind === 'create' || kind === 'take') {
            const slot = table.takeFree();
            const used = live.size + taken.length + quarantined.size;
            expect(slot >= 0).toBe(used < table.slots);
            if (slot >= 0 && kind === 'create') publish(slot, size);
            else if (slot >= 0) taken.push(slot);
          } else if (kind === 'giveBack') {
            const slot = taken.pop();
            if (slot !== undefined) table.giveBack(slot);
          } else if (kind === 'grow') table.addSlots(pick % 40);
          else if (chosen !== undefined) {
            live.delete(chosen);
            if (kind === 'erase') erase(table, chosen);
            else {
              table.quarantine(chosen, 1, 8192, 5, 7);
              quarantined.add(chosen);
            }
          }
          expect(liveSlots(table)).toEqual([...live.keys()].sort((one, other) => one - other));
          expect(table.live).toBe(live.size);
          expect(table.liveBytes).toBe([...live.values()].reduce((sum, region) => sum + region.size, 0));
          expect(table.count(SlotState.quarantined)).toBe(quarantined.size);
          for (const [slot, { generation }] of live) expect(table.isLive(slot, generation)).toBe(true);
        }
      }),
      { numRuns: isThorough ? 100 : 25 },
    );
  });
});

describe('a set of slots', () => {
  test('agrees with a plain set, whatever the distances', () => {
    const slot = fc.oneof(fc.nat(100), fc.nat(2 ** 21 - 1));
    const step = fc.record({ adds: fc.boolean(), slot, from: slot });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const set = new SlotSet();
        const plain = new Set<number>();
        for (const { adds, slot, from } of steps) {
          set.reserve(slot + 1);
          if (adds) set.add(slot);
          else set.delete(slot);
          if (adds) plain.add(slot);
          else plain.delete(slot);
          const expected = [...plain].filter((member) => member >= from).sort((one, other) => one - other);
          expect(set.next(from)).toBe(expected[0] ?? -1);
        }
      }),
    );
  });

  test('finds nothing after the last slot that an ID can have', () => {
    const set = new SlotSet();
    set.add(0);
    expect([set.next(0xffff_ffff), set.next(2 ** 32)]).toEqual([-1, -1]);
  });

  test('finds the bits at the edges of words, and nothing beyond', () => {
    const set = new SlotSet();
    expect([set.next(0), set.next(2 ** 26)]).toEqual([-1, -1]);
    const members = [0, 31, 32, 1023, 1024, 32_767, 32_768, 2 ** 20 - 1, 2 ** 20, 2 ** 25 + 7];
    for (const member of members) {
      set.reserve(member + 1);
      set.add(member);
    }
    const found: number[] = [];
    for (let member = set.next(0); member >= 0; member = set.next(member + 1)) found.push(member);
    expect(found).toEqual(members);
  });
});

describe('the next generation of a slot', () => {
  test('lies beyond the last one, never beyond all, and not where it could be foreseen', () => {
    for (const last of [0, 1, 7, 2 ** 30, MAX_GENERATION - 2, MAX_GENERATION - 1]) {
      const next = Array.from({ length: 2000 }, () => nextGeneration(last, MAX_GENERATION));
      expect(Math.min(...next)).toBeGreaterThan(last);
      expect(Math.max(...next)).toBeLessThanOrEqual(MAX_GENERATION);
      // Of 1024 that follow a region's, and of 2^26 that begin.
      if (last <= 2 ** 30) expect(new Set(next).size).toBeGreaterThan(last === 0 ? 1990 : 500);
    }
    // So one slot has millions of regions before it is retired.
    let last = 2 ** 26;
    for (let regions = 0; regions < 10_000; regions++) last = nextGeneration(last, MAX_GENERATION);
    expect(last).toBeLessThan(2 ** 26 + 10_000 * 2 ** 10);
    const table = new SlotTable(MAX_GENERATION);
    table.addSlots(1);
    const slot = table.takeFree();
    expect(table.generation(slot)).toBeGreaterThan(0);
    table.giveBack(slot);
    expect([table.state(slot), table.generation(slot)]).toEqual([SlotState.free, 0]);
  });
});
