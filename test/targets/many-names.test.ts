/**
 * Names that are added together: the index is then the same as if they had been added one by one,
 * however they are alike.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NameIndex } from '../../core/targets/name-index.js';

/**
 * Adds names to slots 0, 1, … together; of two slots with the same name, the higher or the lower
 * one has it.
 */
async function together(names: readonly Uint8Array[], higherWins = true): Promise<NameIndex> {
  const index = new NameIndex();
  const many = index.many();
  for (const [slot, name] of names.entries()) many.add(slot, name);
  await many.settle((slot, holder) => (higherWins ? slot > holder : slot < holder));
  return index;
}

/** What it should hold, in order. */
function expected(names: readonly Uint8Array[], higherWins: boolean): { name: string; slot: number }[] {
  const slots = new Map<string, number>();
  for (const [slot, name] of names.entries()) {
    const text = Buffer.from(name).toString();
    if (higherWins || !slots.has(text)) slots.set(text, slot);
  }
  return [...slots]
    .map(([name, slot]) => ({ name, slot }))
    .toSorted((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
}

const part = fc.constantFrom('a', 'b', '\0', '\x7f', 'é', '\u{10000}', 'p'.repeat(7), 'q'.repeat(40));
const name = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => Buffer.from(parts.join('')));

test('hold the same as names that are added one by one, and can be changed as they can', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(name, { maxLength: 150 }),
      fc.boolean(),
      fc.array(fc.nat(200), { maxLength: 20 }),
      async (names, higherWins, removed) => {
        const index = await together(names, higherWins);
        const held = expected(names, higherWins);
        expect([...index.from()]).toEqual(held);
        expect(index.size).toBe(held.length);
        for (const { name: text, slot } of held)
          expect([index.find(text), index.nameOf(slot)]).toEqual([slot, text]);
        for (const slot of removed) index.delete(slot);
        index.set(1000, 'another');
        const left = held.filter(({ slot }) => !removed.includes(slot));
        const now = [...left, { name: 'another', slot: 1000 }];
        expect([...index.from()]).toEqual(
          now.toSorted((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name))),
        );
      },
    ),
  );
});

describe.each<[string, (number: number) => string]>([
  ['that are numbered', (n) => `name/${n}`],
  ['of the same bytes up to the last ones', (n) => 'x'.repeat(300) + String(n % 977) + String(n)],
  ['of which one has no bytes in common with the others', (n) => (n === 700 ? 'z' : `${'x'.repeat(50)}${n}`)],
  ['of which each begins another', (n) => 'x'.repeat(1 + (n % 1024))],
  ['that differ behind ever more bytes', (n) => `${'x'.repeat(n % 1000)}y${n}`],
  ['that are all the same', () => 'the same'],
  ['that end in zeros', (n) => `n${'\0'.repeat(n % 50)}${n % 3 === 0 ? 'x' : ''}`],
])('names %s', (_, nameOf) => {
  test('hold the same as names that are added one by one', async () => {
    const names = Array.from({ length: 3000 }, (__, n) => Buffer.from(nameOf((n * 1361) % 3000)));
    const index = await together(names);
    expect([...index.from()]).toEqual(expected(names, true));
  });
});

test('lets others run meanwhile', async () => {
  const names = Array.from({ length: 5000 }, (_, n) => Buffer.from(String(n)));
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await together(names);
  isOver = true;
  expect(turns).toBeGreaterThanOrEqual(3);
});
