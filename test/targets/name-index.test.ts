/**
 * The index of names, held against a sorted list: what has a name, in which order names come, and
 * what changes leave of them.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NameIndex, type NameChange } from '../../core/targets/name-index.js';

/** Names that are near each other: one begins another, they differ in a bit, or have no form in ASCII. */
const nearby = fc
  .array(fc.constantFrom('a', 'b', 'aa', '\0', '\x7f', '/', 'é', 'è', '\uffff', '\u{10000}', '1', '2'), {
    minLength: 1,
    maxLength: 6,
  })
  .map((parts) => parts.join(''));
const anyName = fc.oneof(nearby, nearby, fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }));
const slot = fc.nat(40);

type Step =
  | { type: 'set'; slot: number; name: string }
  | { type: 'delete'; slot: number }
  | { type: 'exchange'; one: number; other: number }
  | { type: 'from'; text: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('set' as const), slot, name: anyName }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('exchange' as const), one: slot, other: slot }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('from' as const), text: nearby }) },
);

/** What it should be: the slot of each name. */
class Model {
  readonly slots = new Map<string, number>();

  nameOf(wanted: number): string | undefined {
    for (const [name, owner] of this.slots) if (owner === wanted) return name;
    return undefined;
  }

  set(owner: number, name: string | undefined): void {
    const before = this.nameOf(owner);
    if (before !== undefined) this.slots.delete(before);
    if (name !== undefined) this.slots.set(name, owner);
  }

  from(first: Uint8Array): { name: string; slot: number }[] {
    return [...this.slots]
      .map(([name, owner]) => ({ name, slot: owner }))
      .filter(({ name }) => Buffer.compare(Buffer.from(name), first) >= 0)
      .toSorted((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
  }
}

function take(index: NameIndex, model: Model, taken: Step): void {
  switch (taken.type) {
    case 'set':
      index.set(taken.slot, taken.name);
      return model.set(taken.slot, taken.name);
    case 'delete':
      index.delete(taken.slot);
      return model.set(taken.slot, undefined);
    case 'exchange': {
      const { one, other } = taken;
      if (one === other) return;
      const [ofOne, ofOther] = [model.nameOf(one), model.nameOf(other)];
      index.setAll([
        { slot: one, name: ofOther },
        { slot: other, name: ofOne },
      ]);
      model.set(one, undefined);
      model.set(other, ofOne);
      return model.set(one, ofOther);
    }
    case 'from':
      expect([...index.from(Buffer.from(taken.text))]).toEqual(model.from(Buffer.from(taken.text)));
  }
}

function namesOf(index: NameIndex, from?: Uint8Array): string[] {
  return [...index.from(from)].map(({ name }) => name);
}

/** As many names as fill several chunks of the heap. */
function many(count: number, of: (at: number) => string): NameIndex {
  const index = new NameIndex();
  for (let at = 0; at < count; at++) index.set(at, of(at));
  return index;
}

describe('the index of names', () => {
  test('has after any changes the names that a sorted map has', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const index = new NameIndex();
        const model = new Model();
        for (const taken of steps) take(index, model, taken);
        expect(index.size).toBe(model.slots.size);
        expect([...index.from()]).toEqual(model.from(new Uint8Array(0)));
        for (const [name, owner] of model.slots) {
          expect(index.find(name)).toBe(owner);
          expect(index.find(Buffer.from(name))).toBe(owner);
          expect(index.nameOf(owner)).toBe(name);
          expect(index.find(`${name}x`)).toBe(model.slots.get(`${name}x`) ?? -1);
        }
        for (let at = 0; at <= 40; at++) expect(index.nameOf(at)).toBe(model.nameOf(at));
      }),
      { numRuns: 200 },
    );
  });

  test('gives names from any bytes on, also bytes that are no UTF-8', () => {
    const index = many(100, (at) => `name ${String(at).padStart(2, '0')}`);
    expect(namesOf(index, Buffer.from('name 98'))).toEqual(['name 98', 'name 99']);
    expect(namesOf(index, Buffer.from('name 98\0'))).toEqual(['name 99']);
    expect(namesOf(index, Buffer.from([...Buffer.from('name 9'), 0xff]))).toEqual([]);
    expect(namesOf(index, Buffer.of(0xff))).toEqual([]);
    expect(namesOf(index, Buffer.alloc(5000, 'n'))).toEqual([]);
    expect(namesOf(index, Buffer.alloc(5000, 'a')).length).toBe(100);
  });

  test('finds nothing by what is longer than any name, and nothing by no bytes', () => {
    const index = many(3, (at) => 'x'.repeat(1022 + at));
    expect(index.find('x'.repeat(1024))).toBe(2);
    expect(index.find('x'.repeat(1025))).toBe(-1);
    expect(index.find('é'.repeat(1024))).toBe(-1);
    expect(index.find('')).toBe(-1);
    expect(new NameIndex().find('a')).toBe(-1);
  });

  test('goes on behind the name that it gave last when names change meanwhile', () => {
    const index = many(50, (at) => `name ${String(at).padStart(2, '0')}`);
    const seen: string[] = [];
    for (const { name, slot: owner } of index.from()) {
      seen.push(name);
      index.delete(owner);
      if (owner < 100 && owner % 10 === 0) index.set(100 + owner, `${name}+`);
      index.set(200, `name ${String(owner % 7).padStart(2, '0')} moving`);
    }
    for (let at = 0; at < 50; at++) expect(seen).toContain(`name ${String(at).padStart(2, '0')}`);
    expect(seen).toEqual(seen.toSorted());
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('gives memory back as names go, and loses none of those that stay', () => {
    const COUNT = 20_000;
    const nameAt = (at: number): string => `${'long '.repeat(5)}${at}`;
    const index = many(COUNT, nameAt);
    const full = index.bytes;
    for (let at = 0; at < COUNT; at++) if (at % 16 !== 0) index.delete(at);
    expect(index.bytes).toBeLessThan(full / 2);
    for (let at = 0; at < COUNT; at++) expect(index.find(nameAt(at))).toBe(at % 16 === 0 ? at : -1);
    expect(index.size).toBe(COUNT / 16);
  });

  test('does not grow by names that come and go beside those that stay', () => {
    const index = new NameIndex();
    for (let at = 0; at < 30_000; at++) {
      index.set(0, `passing name ${at}`);
      if (at % 1000 === 0) index.set(1 + at / 1000, `staying name ${at}`);
    }
    expect(index.size).toBe(31);
    for (let at = 0; at < 30_000; at += 1000) expect(index.find(`staying name ${at}`)).toBe(1 + at / 1000);
    expect(index.bytes).toBeLessThan(2 ** 19);
  });

  test('keeps what it has when a change cannot be made', () => {
    const index = many(2, (at) => `name ${at}`);
    const wrong: NameChange[] = [
      { slot: 0, name: 'other' },
      { slot: 1, name: 'x'.repeat(1025) },
    ];
    expect(() => index.setAll(wrong)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect([...index.from()]).toEqual([
      { name: 'name 0', slot: 0 },
      { name: 'name 1', slot: 1 },
    ]);
    expect(index.find('other')).toBe(-1);
  });
});
