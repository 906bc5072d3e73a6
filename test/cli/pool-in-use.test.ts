import { afterAll, beforeAll, expect } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bedrock, killAll } from '../fixtures/bedrock-process.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-in-use-'));
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true });
});

const locks = needs('the native addon and /proc/locks', nativeAddon.isHere && existsSync('/proc/locks'));

locks.it('a pool in use is refused with the process that holds it, once', async () => {
  const pool = { path: 'pool', create_if_missing_with_size: 2 ** 23 };
  const provider = { type: 'warabi', name: 'store', config: { target: { type: 'file', config: pool } } };
  const config = path.join(home, 'bedrock.json');
  await writeFile(config, JSON.stringify({ providers: [provider] }));
  const daemon = bedrock([`unix:${path.join(home, 'sock')}`, '-c', config]);
  await daemon.address();
  const refused = await runHere(['pool', 'info', path.join(home, 'pool')]);
  expect([refused.status, codeOf(refused)]).toEqual([1, 'POOL_IN_USE']);
  expect(refused.stderr).toContain(`process ${daemon.child.pid}`);
  expect(refused.stderr).not.toContain('EAGAIN');
});
