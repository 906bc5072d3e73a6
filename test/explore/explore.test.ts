/**
 * A sample of what `npm run explore` does, and whether it would notice space that is given away
 * under a reader.
 */
import { expect, test } from '@jest/globals';
import { explore, findFlaw } from './explore.js';
import { FLAWS } from './flaws.js';

test('whatever order things happen in, every byte is where it belongs', async () => {
  const { finding } = await explore({ seed: 1, episodes: 8 });
  expect(finding).toBeUndefined();
});

test('a mistake that is put in is found', async () => {
  const flaw = FLAWS.find(({ title }) => title.startsWith('an erase gives the space back while others'));
  expect(flaw).toBeDefined();
  if (flaw !== undefined) expect(await findFlaw(flaw, { seed: 1, episodes: 60 })).toBeDefined();
});
