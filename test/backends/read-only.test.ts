/**
 * A pool that may be read and not written, served by a user who may do no more: as on a medium that
 * is mounted for reading.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { addonState } from '../../native/load.js';
import { runScript, WELL } from '../native/script.js';
import { poolFolder, poolTarget, type PoolBackend } from './pool-factory.js';

const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];

/** Serves the pool args[1] by the type args[0], for reading only, as a user who may not write it. */
const SCRIPT = `
  const { bootstrap } = await import('bedrock-node');
  const serve = (config) => bootstrap(
    { providers: [{ name: 's', type: 'warabi', config: { target: { type: args[0], config } } }] },
    { listen: false, logLevel: 'off' },
  );
  // Loads all that is needed, for which that user may lack the permission.
  await (await serve({ path: args[2], create_if_missing_with_size: 2 ** 23 })).close();
  fs.rmSync(args[2]);
  if (process.getuid() === 0) process.seteuid(65534);
  const refused = await serve({ path: args[1] }).catch((error) => error);
  assert.ok(refused instanceof Error);
  assert.ok(refused.message.includes(args[1]) && !refused.message.includes('/proc'), refused.message);
  const daemon = await serve({ path: args[1], read_only: true });
  const target = daemon.target('s');
  const { regions: [{ id }] } = await target.list();
  console.log(Buffer.from(await target.read(id, 0, 8)).toString());
  if (target.capabilities.mappable) {
    const { views, release } = await target.map(id);
    console.log(Buffer.from(views[0]).toString());
    views[0].fill(0);
    await release();
  }
  await daemon.close();
`;

let home: string;
beforeEach(async () => {
  home = await poolFolder();
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe.each(BACKENDS)('a %s pool that may only be read', (type) => {
  // What stands for persistent memory is for the pmem backend to tell.
  it.each(type === 'pmem' ? [false, true] : [false])(
    'is served with read_only, and stays as it is; forced to be pmem: %s',
    async (isForced) => {
      const pool = path.join(home, 'pool');
      const target = await poolTarget(type, { path: pool, create_if_missing_with_size: 2 ** 23 }, home);
      await target.open();
      await target.createAndWrite(Buffer.from('contents'), { persist: true });
      await target.close();
      const before = await readFile(pool);
      await chmod(pool, 0o444);
      await chmod(home, 0o755);
      const args = [type, pool, path.join(home, 'other')];
      const mapped = type === 'pmem' ? 'contents\n' : '';
      const end = await runScript(SCRIPT, { args, isForced });
      expect(end).toEqual({ ...WELL, stdout: `contents\n${mapped}` });
      expect(before.equals(await readFile(pool))).toBe(true);
    },
  );
});
