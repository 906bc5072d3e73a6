/** A process that has no descriptor left: pools go on making, growing and erasing regions. */
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addonState } from '../../native/load.js';
import { runScript, WELL } from '../native/script.js';

const types = addonState().attributes === undefined ? [] : ['file', 'pmem'];

const SCRIPT = `
  import { bootstrap } from 'bedrock-node';
  const [path, type] = args;
  const config = { path, create_if_missing_with_size: 8388608, max_size: 67108864 };
  const daemon = await bootstrap({
    margo: { mercury: { address: 'http://127.0.0.1:0' } },
    bedrock: { log: { level: 'off' } },
    providers: [{ name: 's', type: 'warabi', config: { target: { type, config } } }],
  });
  const target = daemon.target('s');
  const ids = [];
  for (let made = 0; made < 6; made++) ids.push(await target.createAndWrite(Buffer.alloc(1000000, 1), { persist: true }));
  const { usedBytes } = await target.stats();
  const taken = [];
  for (;;) try { taken.push(fs.openSync('/dev/null')); } catch (error) { assert.equal(error.code, 'EMFILE'); break; }
  for (const id of ids) await target.erase(id);
  const after = await target.stats();
  assert.equal(after.pendingBytes, 0);
  assert.ok(usedBytes - after.usedBytes >= 6000000);
  const large = await target.create(20000000);
  await target.write(large, 19999990, Buffer.from('written'), { persist: true });
  await target.erase(large);
  for (const fd of taken) fs.closeSync(fd);
  await daemon.close();
`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-descriptors-'));
});
afterEach(() => rm(home, { recursive: true }));

it.each(types)('a %s pool needs none to create, grow, write and erase', async (type) => {
  const args = [path.join(home, 'pool'), type];
  expect(await runScript(SCRIPT, { args, before: 'ulimit -n 512' })).toMatchObject(WELL);
});
