/** Thousands of orders, and every seeded mistake. */
import { describe, expect, test } from '@jest/globals';
import { explore, findFlaw } from './explore.js';
import { FLAWS } from './flaws.js';

test('whatever order things happen in, every byte is where it belongs', async () => {
  const { finding } = await explore({ seed: 2, episodes: 300 });
  expect(finding).toBeUndefined();
}, 1_200_000);

describe('finds that', () => {
  test.each(FLAWS)(
    '$title',
    async (flaw) => {
      expect(await findFlaw(flaw, { seed: 7, episodes: 2000 })).toBeDefined();
    },
    1_200_000,
  );
});
