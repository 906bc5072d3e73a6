/** The real daemon where its pools fail it for real: a limit of the system, no addon, no lock, another daemon. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap, connect, type Daemon, type RegionId } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { bedrock, killAll, type BedrockProcess } from '../fixtures/bedrock-process.js';
import { hasCommand, needs } from '../fixtures/needs.js';

const MIB = 2 ** 20;
const NO_ADDON = { BEDROCK_NATIVE_ADDON: '/nonexistent/addon.node' };
const types = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];
const prlimit = needs('prlimit', hasCommand('prlimit'));

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-failing-'));
});
afterEach(async () => {
  await killAll();
  await rm(home, { recursive: true, force: true });
});

interface Store {
  type: string;
  optional?: boolean;
}

/** A daemon with a provider of each type, named by it, over a pool named by it. */
async function start(stores: readonly Store[], env: NodeJS.ProcessEnv = {}): Promise<BedrockProcess> {
  const file = path.join(home, 'bedrock.json');
  const providers = stores.map(({ type, optional = false }) => ({
    name: type,
    type: 'warabi',
    optional,
    config: {
      target: { type, config: { path: `${type}.pool`, create_if_missing_with_size: 16 * MIB } },
    },
  }));
  const margo = { mercury: { address: 'http://127.0.0.1:0' } };
  await writeFile(file, JSON.stringify({ margo, providers }));
  return bedrock(['-c', file], { env });
}

/** The same daemon as before in this process. */
function startHere(): Promise<Daemon> {
  return bootstrap(path.join(home, 'bedrock.json'), { listen: false, logLevel: 'off' });
}

async function readyStatus(address: string): Promise<number> {
  return (await fetch(`${address}/readyz`)).status;
}

describe.each(types)('a daemon whose %s pool meets a limit', (type) => {
  prlimit.it(
    'refuses what it has no room for, goes on when there is room, and has everything after a restart',
    async () => {
      const daemon = await start([{ type }]);
      const address = await daemon.address();
      const service = await connect(address);
      const target = service.target(type);
      const ids: RegionId[] = [];
      for (let index = 0; index < 20; index++)
        ids.push(await target.createAndWrite(Buffer.from(`region ${index}`), { persist: true }));
      // No write beyond the first page from now on: EFBIG, of a medium that is full and has not failed.
      const pid = String(daemon.child.pid);
      expect(spawnSync('prlimit', ['--pid', pid, '--fsize=4096:']).status).toBe(0);
      const full = { code: 'OUT_OF_SPACE' };
      const contents = Buffer.from('not acknowledged');
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(target.createAndWrite(contents, { persist: true })).rejects.toMatchObject(full);
        await expect(target.erase(ids[3] as RegionId)).rejects.toMatchObject(full);
      }
      await expect(target.create(0)).rejects.toMatchObject(full);
      await expect(target.create(10)).rejects.toMatchObject(full);
      const stats = await target.stats();
      expect(stats.regions).toBe(20);
      expect(stats.mode).not.toBe('read-only');
      await expect(readyStatus(address)).resolves.toBe(200);
      // What could not be erased is there.
      for (const index of [3, 7])
        expect(Buffer.from(await target.read(ids[index] as RegionId, 0, 8)).toString()).toBe(
          `region ${index}`,
        );
      expect(spawnSync('prlimit', ['--pid', pid, '--fsize=unlimited:']).status).toBe(0);
      await target.erase(ids[19] as RegionId);
      await target.createAndWrite(Buffer.from('region 20'), { persist: true });
      await service.close();
      daemon.signal('SIGTERM');
      await expect(daemon.exit).resolves.toMatchObject({ status: 0 });

      const again = await startHere();
      const restarted = again.target(type);
      expect((await restarted.stats()).recovery.regions).toBe(20);
      for (const [index, id] of ids.slice(0, 19).entries()) {
        const expected = `region ${index}`;
        expect(Buffer.from(await restarted.read(id, 0, expected.length)).toString()).toBe(expected);
      }
      await again.close();
    },
  );
});

describe('a daemon without the native addon', () => {
  it('serves file pools, and says of pmem what is missing and how to get it', async () => {
    const daemon = await start([{ type: 'file' }, { type: 'pmem', optional: true }], NO_ADDON);
    const service = await connect(await daemon.address());
    const id = await service.target('file').createAndWrite(Buffer.from('kept'), { persist: true });
    await service.close();
    const lines = daemon.stdout.split('\n');
    const missing = lines.filter((line) => line.includes(' [error] '));
    expect(missing).toEqual([
      expect.stringMatching(/"pmem" could not start: .*npx bedrock native build.*; it is optional/),
    ]);
    expect(lines).toContainEqual(
      expect.stringContaining('[info] [bedrock] ready: 1 of 2 providers are up, pid '),
    );
    daemon.signal('SIGKILL');
    await daemon.exit;

    const again = await startHere();
    expect(Buffer.from(await again.target('file').read(id, 0, 4)).toString()).toBe('kept');
    await again.close();
  });

  it('does not start where pmem is not optional', async () => {
    const { status, stderr } = await (await start([{ type: 'pmem' }], NO_ADDON)).exit;
    expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 1, lines: 1 });
    expect(stderr).toContain('npx bedrock native build');
  });

  it('and without the command flock opens no pool, as nothing would keep another one out', async () => {
    const { status, stderr } = await (await start([{ type: 'file' }], { ...NO_ADDON, PATH: home })).exit;
    expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 1, lines: 1 });
    expect(stderr).toContain('util-linux');
    await expect(readFile(path.join(home, 'file.pool'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

it('a second daemon on a pool does not start, whichever way either of them locks', async () => {
  const first = await start([{ type: 'file' }]);
  await first.address();
  const refusal = { code: 'START_FAILED', message: expect.stringContaining(path.join(home, 'file.pool')) };
  await expect(startHere()).rejects.toMatchObject(refusal);
  const { status, stderr } = await (await start([{ type: 'file' }], NO_ADDON)).exit;
  expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 1, lines: 1 });
  expect(stderr).toContain(path.join(home, 'file.pool'));
});
