/** The end of a daemon with a call of the system that never returns: a FIFO without a writer stands for a disk that does not answer. */
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bedrock, killAll } from '../fixtures/bedrock-process.js';

const LIBRARY = `
import { open } from 'node:fs/promises';
export default {
  kind: 'provider', apiVersion: 1, type: 'stuck', schema: { type: 'object' },
  create: () => {
    let opened;
    return { targets: [], start: async () => void (opened = open(import.meta.dirname + '/fifo')), stop: () => opened };
  },
};
`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-hanging-'));
  spawnSync('mkfifo', [path.join(home, 'fifo')]);
  await writeFile(path.join(home, 'stuck.mjs'), LIBRARY);
});
afterEach(async () => {
  await killAll();
  await rm(home, { recursive: true });
});

it.each([1, 2])('comes after %i signals', async (count) => {
  const config = {
    'margo.mercury.address': 'http://127.0.0.1:0',
    // With two signals the second one comes while the first one's stop still waits.
    'bedrock.drain_timeout_ms': count === 1 ? 0 : 3_600_000,
    libraries: [path.join(home, 'stuck.mjs')],
    providers: [{ type: 'stuck', name: 'stuck' }],
  };
  const file = path.join(home, 'bedrock.json');
  await writeFile(file, JSON.stringify(config));
  const daemon = bedrock(['-c', file]);
  await daemon.line(/ready/);
  daemon.signal('SIGTERM');
  if (count === 2) {
    await daemon.line(/stopping/);
    daemon.signal('SIGTERM');
  } else await daemon.line(/stopped, not cleanly/);
  expect(await daemon.exit).toMatchObject({ signal: 'SIGKILL' });
});
