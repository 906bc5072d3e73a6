/** Of a daemon that was closed, or failed to start, nothing is left in the process; a sample of the long test. */
import { expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { closeDaemons } from './closed-daemons.js';

it('leaves no daemon, handle, listener or observer behind', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-closed-'));
  try {
    const left = await closeDaemons(30, folder);
    // Of the process, once: garbage collection, and the event loop's delay.
    expect(left).toMatchObject({ daemons: 0, resources: [], observers: 2, listeners: 0 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
