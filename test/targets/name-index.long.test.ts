/** The index of names with a million of them: memory, order, and no step that others would notice. */
import { describe, expect, test } from '@jest/globals';
import { NameIndex } from '../../core/targets/name-index.js';

const COUNT = 1_000_000;

describe('a million names', () => {
  test.each<[string, (at: number) => string]>([
    ['numbered, with one prefix', (at) => `experiment/run/${String(at).padStart(9, '0')}`],
    // A permutation: the factor has no divisor in common with the number of names.
    ['in no order', (at) => `object-${((at * 611_953) % COUNT).toString(36)}`],
    ['of random digits', (at) => (BigInt(at + 1) * 0x9e37_79b9_7f4a_7c15n).toString(16).slice(-15)],
  ])('%s take at most 150 bytes each beside their own, and are found in order', (_, nameAt) => {
    const index = new NameIndex();
    let bytes = 0;
    for (let at = 0; at < COUNT; at++) {
      const name = nameAt(at);
      bytes += name.length;
      index.set(at, name);
    }
    expect(index.size).toBe(COUNT);
    expect((index.bytes - bytes) / COUNT).toBeLessThan(150);
    let before = '';
    let count = 0;
    let inOrder = true;
    for (const { name } of index.from()) {
      inOrder &&= before < name;
      before = name;
      count++;
    }
    expect({ inOrder, count }).toEqual({ inOrder: true, count: COUNT });
    let found = 0;
    for (let at = 0; at < COUNT; at += 7) if (index.find(nameAt(at)) === at) found++;
    expect(found).toBe(Math.ceil(COUNT / 7));
    for (let at = 0; at < COUNT; at++) if (at % 100 !== 0) index.delete(at);
    expect(index.size).toBe(COUNT / 100);
    expect(index.find(nameAt(500))).toBe(500);
    expect(index.find(nameAt(501))).toBe(-1);
  });
});
