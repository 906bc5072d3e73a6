/**
 * Kills at every call of the system that making, or replacing, a pool consists of: the next start
 * leaves the pool and nothing else.
 */
import { afterAll, expect, it } from '@jest/globals';
import { readdir, rm } from 'node:fs/promises';
import { failingSystem } from '../fixtures/failing-system.js';
import { needs } from '../fixtures/needs.js';
import { isKilledAt, type Attempt } from './new-pool-program.js';
import { poolFolder, poolTarget } from './pool-factory.js';
import './new-pool.test.js';

const CALLS = ['flock', 'ftruncate', 'posix_fallocate', 'pwrite', 'fsync', 'link', 'rename', 'unlink'];
/** Of each call. Writes of zeros, where nothing else gives space, are more. */
const MOST = 3;

const system = failingSystem();
afterAll(() => system?.dispose());

needs('a C compiler', system !== undefined).describe('a start that is killed', () => {
  const ways = [
    { title: 'without a name', failures: {}, env: {} },
    { title: 'with a name', failures: { tmpfile: 'EOPNOTSUPP' as const }, env: {} },
    {
      title: 'without hard links',
      failures: { tmpfile: 'EOPNOTSUPP' as const, link: 'EPERM' as const },
      env: {},
    },
    { title: 'without the addon', failures: {}, env: { BEDROCK_NATIVE_ADDON: '/nowhere' } },
  ];
  const cases = ways.flatMap((way) =>
    [false, true].flatMap((override) => CALLS.map((call) => ({ ...way, override, call }))),
  );

  it.each(cases)('at $call, $title, override: $override', async ({ failures, env, override, call }) => {
    const home = await poolFolder();
    try {
      const killed: Attempt = { type: 'file', config: { override_if_exists: override } };
      for (let nth = 1; nth <= MOST; nth++) {
        if (override) await openHere(home);
        else await rm(`${home}/pool`, { force: true });
        const kill = { call, nth, within: home };
        const isKilled = await isKilledAt(system, home, killed, { ...failures, kill }, env);
        await openHere(home);
        await expect(readdir(home)).resolves.toEqual(['pool']);
        if (!isKilled) break;
      }
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});

/**
 * What a start does that nothing befalls; in this process, as another one takes longer than all
 * else here.
 */
async function openHere(home: string): Promise<void> {
  const target = await poolTarget('file', { path: 'pool', create_if_missing_with_size: 2 ** 23 }, home);
  await target.open();
  await target.createAndWrite(Buffer.from('contents'), { persist: true });
  await target.close();
}
