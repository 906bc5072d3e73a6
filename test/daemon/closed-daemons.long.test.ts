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
    // 4 KiB each, as a metric or a listener with what it holds takes, would be more; compiled code comes and goes by 2 MiB.
    expect(heapGrowth).toBeLessThan(3.5 * 2 ** 20);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
