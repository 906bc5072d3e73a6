/** What targets of libraries give for names and transactions is not taken at its word. */
import { describe, expect, test } from '@jest/globals';
import { RegionId } from '../../core/contract/region-id.js';
import type { Target } from '../../core/contract/target.js';
import { checkedTarget } from '../../core/targets/checked-target.js';

const id = RegionId.of(1, 2, 3, 4);
const NAMED = { name: 'a', id, size: 8, createdAt: 5 };

/** A target that gives this for every call. */
function giving(value: unknown): Target {
  const give = (): Promise<unknown> => Promise.resolve(value);
  const calls = { put: give, find: give, rename: give, names: give, transact: give };
  return checkedTarget({ type: 'lying', ...calls } as unknown as Target);
}

const internal = { code: 'INTERNAL' };

describe('the results of a foreign target', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['text', id.toString()],
  ])('of put are refused where they are %s', async (_, value) => {
    await expect(giving(value).put('a', Buffer.alloc(8))).rejects.toMatchObject(internal);
    const source = { size: 8, source: [Buffer.alloc(8)] };
    await expect(giving(value).put('a', source)).rejects.toMatchObject(internal);
  });

  test('of put are refused where the contents were not asked for', async () => {
    const source = { size: 8, source: [Buffer.alloc(8)] };
    await expect(giving(id).put('a', source)).rejects.toMatchObject(internal);
    await expect(giving(id).put('a', Buffer.alloc(8))).resolves.toBe(id);
    await expect(giving(id).put('a', { size: 0, source: [] })).resolves.toBe(id);
  });

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a region without a name', { ...NAMED, name: undefined }],
    ['a region of another name', { ...NAMED, name: 'b' }],
    ['a region without an ID', { ...NAMED, id: 'a' }],
    ['half a byte', { ...NAMED, size: 0.5 }],
  ])('of find are refused where they are %s', async (_, value) => {
    await expect(giving(value).find('a')).rejects.toMatchObject(internal);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['no lists', { names: [NAMED] }],
    ['prefixes that are no text', { names: [], prefixes: [5] }],
    ['a region without a name', { names: [{ ...NAMED, name: undefined }], prefixes: [] }],
    ['too many', { names: [NAMED], prefixes: ['a', 'b'] }],
    ['nothing, and that there is more', { names: [], prefixes: [], next: 'b' }],
    ['the place where they were', { names: [NAMED], prefixes: [], next: 'there' }],
    ['a next that is no text', { names: [NAMED], prefixes: [], next: id }],
  ])('of names are refused where they are %s', async (_, value) => {
    await expect(giving(value).names({ limit: 2, after: 'there' })).rejects.toMatchObject(internal);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['too few', { ids: [null] }],
    ['no ID for a put', { ids: [null, null] }],
    ['an ID for an erase', { ids: [id, id] }],
  ])('of transact are refused where they are %s', async (_, value) => {
    const changes = [
      { type: 'erase', ref: id } as const,
      { type: 'put', name: 'a', contents: id.toBytes() } as const,
    ];
    await expect(giving(value).transact(changes)).rejects.toMatchObject(internal);
    await expect(giving({ ids: [null, id] }).transact(changes)).resolves.toEqual({ ids: [null, id] });
  });

  test('pass where they are right', async () => {
    await expect(giving(NAMED).find('a')).resolves.toEqual(NAMED);
    const page = { names: [NAMED], prefixes: ['b/'], next: 'b/' };
    await expect(giving(page).names({ after: 'A' })).resolves.toEqual(page);
    await expect(giving(undefined).rename('a', 'b')).resolves.toBeUndefined();
  });

  test('are NOT_SUPPORTED of one that was written before there were names', async () => {
    const old = checkedTarget({ type: 'old' } as unknown as Target);
    const unsupported = { code: 'NOT_SUPPORTED' };
    await expect(old.put('a', Buffer.alloc(1))).rejects.toMatchObject(unsupported);
    await expect(old.find('a')).rejects.toMatchObject(unsupported);
    await expect(old.rename('a', 'b')).rejects.toMatchObject(unsupported);
    await expect(old.names()).rejects.toMatchObject(unsupported);
    await expect(old.transact([])).rejects.toMatchObject(unsupported);
  });
});
