/** Migrations on file systems that are full when a target is to remember something. */
import { readdir } from 'node:fs/promises';
import { afterEach, expect } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { Daemon } from '../../core/index.js';
import { onDisk, SmallDisk } from '../fixtures/small-disk.js';
import { addressOf, codeOf, contentsOf, fill, migrate } from './migration-daemons.js';
import { rmSync } from 'node:fs';

const POOL_BYTES = 2 ** 23;
const PAGE_BYTES = 4096;
const disks: SmallDisk[] = [];
const daemons: Daemon[] = [];
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.close();
  for (const disk of disks.splice(0)) disk.remove();
});

async function start(): Promise<{ disk: SmallDisk; daemon: Daemon }> {
  const disk = new SmallDisk('tmpfs', POOL_BYTES + 64 * PAGE_BYTES);
  disks.push(disk);
  const target = {
    type: 'file',
    config: { path: disk.at('pool'), create_if_missing_with_size: POOL_BYTES },
  };
  const daemon = await bootstrap(
    {
      margo: { mercury: { address: 'http://127.0.0.1:0' } },
      providers: [{ name: 'store', type: 'warabi', provider_id: 1, config: { target } }],
    },
    { directory: disk.folder, logLevel: 'off' },
  );
  daemons.push(daemon);
  return { disk, daemon };
}

onDisk('tmpfs').describe('a full file system', () => {
  for (const full of ['source', 'destination'] as const)
    onDisk('tmpfs').it(
      `of the ${full} is OUT_OF_SPACE: the source serves on, and with room one more call ends it`,
      async () => {
        const sides = { source: await start(), destination: await start() };
        const { disk } = sides[full];
        const target = sides.source.daemon.target('store');
        await fill(target, 100_000);
        const before = await contentsOf(target);
        disk.fill(0);
        const address = addressOf(sides.destination.daemon, 'http');
        expect(await codeOf(migrate(sides.source.daemon, address))).toBe('OUT_OF_SPACE');
        expect(await readdir(sides.source.disk.folder)).not.toContain('pool.migration.json');
        expect(await contentsOf(sides.source.daemon.target('store'))).toEqual(before);
        await target.erase(await target.create(1));
        rmSync(disk.at('other'));
        await migrate(sides.source.daemon, address);
        expect(await contentsOf(sides.destination.daemon.target('store'))).toEqual(before);
      },
    );

  onDisk('tmpfs').it(
    'that has room for the first note of the source only leaves one that serves, the destination',
    async () => {
      const [source, destination] = [await start(), await start()];
      const target = source.daemon.target('store');
      await fill(target, 100_000);
      const before = await contentsOf(target);
      source.disk.fill(PAGE_BYTES);
      const address = addressOf(destination.daemon, 'http');
      expect(await codeOf(migrate(source.daemon, address))).toBe('OUT_OF_SPACE');
      expect(await codeOf(source.daemon.target('store').list())).toBe('MIGRATION_UNFINISHED');
      expect(await contentsOf(destination.daemon.target('store'))).toEqual(before);
      rmSync(source.disk.at('other'));
      await migrate(source.daemon, address);
      expect(await codeOf(source.daemon.target('store').list())).toBe('PROVIDER_MOVED');
    },
  );
});
