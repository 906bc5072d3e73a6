/** A program that starts and closes a daemon a thousand times takes no more memory than one that does so a hundred times. */
import { expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { closeDaemons } from './closed-daemons.js';

it('leaves nothing of a thousand daemons', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-closed-'));
  try {
    const { heapGrowth, ...left } = await closeDaemons(1000, folder);
    expect(left).toEqual({ daemons: 0, resources: [], observers: 2, listeners: 0 });
    // A few KiB each, as a listener or a metric takes, would be more.
    expect(heapGrowth).toBeLessThan(2 * 2 ** 20);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
