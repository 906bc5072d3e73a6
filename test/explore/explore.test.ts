/** A sample of what `npm run explore` does, and whether it would notice a slot that is used though there is none. */
import { expect, test } from '@jest/globals';
import { explore, findFlaw } from './explore.js';
import { FLAWS } from './flaws.js';

test('whatever order things happen in, every byte is where it belongs', async () => {
  const { finding } = await explore({ seed: 1, episodes: 60 });
  expect(finding).toBeUndefined();
});

test('a fault that was mended is found when it is put back', async () => {
  const flaw = FLAWS.find(({ title }) => title.startsWith('a slot is taken after slots were added'));
  expect(flaw).toBeDefined();
  if (flaw !== undefined) expect(await findFlaw(flaw, { seed: 1, episodes: 60 })).toBeDefined();
});
