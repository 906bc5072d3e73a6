/**
 * What `file` and `pmem` do as configured: the same keys in both, what is logged, what may stand at
 * the path.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLogger } from '../../core/base/logging.js';
import { FileMedium } from '../../backends/file/file-medium.js';
import { FILE_CAPABILITIES } from '../../backends/file/index.js';
import { makeTarget } from '../../core/conformance/make-target.js';
import {
  type BedrockConfig,
  bootstrap,
  checkConfig,
  definePoolBackend,
  type RegionId,
} from '../../core/index.js';
import { warnOfFileSystem } from '../../core/pool-file/pool-path.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { type PoolBackend, type PoolConfig, poolTarget } from './pool-factory.js';

const MIB = 2 ** 20;
const hasAddon = nativeAddon.isHere;
const isForced = process.env.PMEM_IS_PMEM_FORCE !== undefined;
const BACKENDS: PoolBackend[] = hasAddon ? ['file', 'pmem'] : ['file'];

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-settings-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

function daemonOf(type: string, config: Record<string, unknown>): BedrockConfig {
  const provider = { name: 'store', type: 'warabi', provider_id: 42, config: { target: { type, config } } };
  return { providers: [provider] };
}

interface Run {
  /** What the pool logged, with a `…` for the folder. */
  lines: string[];
  ids: RegionId[];
}

/** Starts a daemon as configured, makes regions of these sizes, and stops it. */
async function runDaemon(
  type: string,
  config: Record<string, unknown>,
  sizes: readonly number[] = [],
): Promise<Run> {
  const stream = new PassThrough();
  const logger = createLogger({ level: 'info', format: 'text', stream });
  const daemon = await bootstrap(daemonOf(type, config), { logger, listen: false, directory: home });
  const ids: RegionId[] = [];
  for (const size of sizes) ids.push(await daemon.target('store').create(size));
  await daemon.close();
  const log = String(stream.read()).replaceAll(home, '…');
  const isOfPool = /\[warabi:42\] (?:Creating|Pool|Opening|Recovered|sync|require)/;
  const lines = log.split('\n').map((line) => line.replace(/^\S+Z /, ''));
  return { lines: lines.filter((line) => isOfPool.test(line)), ids };
}

async function openError(type: PoolBackend, config: Partial<PoolConfig>): Promise<unknown> {
  const target = await poolTarget(type, config as PoolConfig, home);
  return target.open().then(
    () => target.close().then(() => undefined),
    (error: unknown) => error,
  );
}

describe.each(BACKENDS)('the log of a %s pool', (type) => {
  const config = { path: 'pool', create_if_missing_with_size: 64 * MIB };

  it('says that the pool is made, then that it is found, and how many regions it has', async () => {
    const first = await runDaemon(type, config, [1, 2, 3]);
    expect(first.lines).toEqual([
      `[info] [warabi:42] Creating new ${type} pool at …/pool`,
      '[info] [warabi:42] Pool size: 64 MiB',
    ]);
    const second = await runDaemon(type, config);
    expect(second.lines).toEqual([
      `[info] [warabi:42] Opening existing ${type} pool at …/pool`,
      '[info] [warabi:42] Pool size: 64 MiB',
      '[info] [warabi:42] Recovered 3 existing regions',
    ]);
  });

  it('says so where the configured size is not that of the pool, which stays as it is', async () => {
    await runDaemon(type, { path: 'pool', create_if_missing_with_size: 16 * MIB });
    const sizeLine = async (other: Record<string, unknown>): Promise<string | undefined> => {
      const { lines } = await runDaemon(type, { path: 'pool', ...other });
      expect((await stat(path.join(home, 'pool'))).size).toBeGreaterThanOrEqual(16 * MIB);
      return lines[1];
    };
    const line = '[info] [warabi:42] Pool size: 16 MiB';
    await expect(sizeLine({ create_if_missing_with_size: 64 * MIB })).resolves.toBe(
      `${line}; the configured 64 MiB are for a new pool, and max_size lets this one grow`,
    );
    const shrinks = `${line}; 8 MiB are configured, but a pool never shrinks`;
    await expect(sizeLine({ create_if_missing_with_size: 8 * MIB })).resolves.toBe(shrinks);
    await expect(sizeLine({ max_size: 8 * MIB })).resolves.toBe(shrinks);
    await expect(sizeLine({})).resolves.toBe(line);
    await expect(sizeLine({ max_size: 64 * MIB })).resolves.toBe(`${line}, growing up to 64 MiB`);
  });

  it('tells the size to which it has grown', async () => {
    const growing = { ...config, create_if_missing_with_size: 16 * MIB, max_size: 64 * MIB };
    const first = await runDaemon(type, growing, [40 * MIB]);
    expect(first.lines[1]).toBe('[info] [warabi:42] Pool size: 16 MiB, growing up to 64 MiB');
    const second = await runDaemon(type, growing);
    const [, size = ''] = /Pool size: ([\d.]+) MiB, growing up to 64 MiB$/.exec(second.lines[1] ?? '') ?? [];
    expect(Number(size)).toBeGreaterThan(40);
    expect(second.lines[2]).toBe('[info] [warabi:42] Recovered 1 existing regions');
  });
});

describe('the keys of file and pmem', () => {
  const EVERY_KEY = {
    path: 'pool',
    create_if_missing: true,
    create_if_missing_with_size: 8 * MIB,
    max_size: 16 * MIB,
    override_if_exists: false,
    alignment: 4096,
    sync: false,
    sync_writes: true,
    read_only: false,
    directio: false,
    abt_io: { concurrency: 8 },
  };

  it.each(['file', 'abtio', 'abt-io', 'pmem', 'pmdk'])(
    'are all valid for the type "%s", with one warning for abt_io',
    async (type) => {
      const config = daemonOf(type, { ...EVERY_KEY, require_pmem: true });
      const warnings = await checkConfig(config, { logLevel: 'off' });
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain('UV_THREADPOOL_SIZE');
    },
  );

  it('of a backend alone reach its medium, with their defaults', async () => {
    const properties = {
      path: { type: 'string' },
      size: { type: 'integer' },
      own: { type: 'string' },
      level: { type: 'integer', default: 3 },
    };
    const seen: Readonly<Record<string, unknown>>[] = [];
    const backend = definePoolBackend({
      type: 'ours',
      aliases: [],
      schema: { type: 'object', properties, required: ['path'], additionalProperties: false },
      capabilities: FILE_CAPABILITIES,
      defaultAlignment: 4096,
      defaultSyncWrites: false,
      load: () => (opened) => {
        seen.push(opened.settings);
        return new FileMedium(opened);
      },
    });
    const target = await makeTarget(
      backend,
      { path: 'pool', size: 8 * MIB, own: 'a' },
      { baseDirectory: home },
    );
    await target.open();
    await target.close();
    expect(seen).toEqual([{ path: 'pool', size: 8 * MIB, own: 'a', level: 3 }]);
  });

  nativeAddon.it('let a pool be switched between the types by the type alone', async () => {
    const made = await runDaemon('file', EVERY_KEY, [100]);
    const mapped = await runDaemon('pmem', EVERY_KEY);
    expect(mapped.lines).toContainEqual(expect.stringMatching(/^\[info\] .* sync: false has no effect/));
    expect(mapped.lines).toContain('[info] [warabi:42] Recovered 1 existing regions');
    const back = await runDaemon('abt-io', { ...EVERY_KEY, require_pmem: true });
    expect(back.lines).toContainEqual(expect.stringMatching(/^\[warning\] .* require_pmem has no effect/));
    expect(back.lines).toContain('[info] [warabi:42] Recovered 1 existing regions');
    expect(made.ids).toHaveLength(1);
  });

  needs('the native addon, and no PMEM_IS_PMEM_FORCE', hasAddon && !isForced).it(
    'refuse with require_pmem to map what is no persistent memory',
    async () => {
      const refused = { path: 'pool', create_if_missing_with_size: 8 * MIB, require_pmem: true };
      await expect(openError('pmem', refused)).resolves.toMatchObject({ code: 'START_FAILED' });
      await expect(openError('pmem', { ...refused, require_pmem: false })).resolves.toBeUndefined();
    },
  );

  it.each(BACKENDS)(
    'let a %s pool be made by create_if_missing, and not by a size beside false',
    async (type) => {
      const size = { create_if_missing_with_size: 8 * MIB };
      for (const config of [{}, { ...size, create_if_missing: false }, { create_if_missing: false }])
        await expect(openError(type, { path: 'pool', ...config })).resolves.toMatchObject({
          code: 'POOL_NOT_FOUND',
        });
      await expect(readdir(home)).resolves.toEqual([]);
      const { lines } = await runDaemon(type, { path: 'pool', create_if_missing: true });
      expect(lines[1]).toBe('[info] [warabi:42] Pool size: 64 MiB');
      const smaller = await runDaemon(type, { path: 'other', create_if_missing: true, ...size });
      expect(smaller.lines[1]).toBe('[info] [warabi:42] Pool size: 8 MiB');
    },
  );

  it('override a pool that is there, and with create_if_missing false only that', async () => {
    const config = { path: 'pool', create_if_missing_with_size: 8 * MIB, override_if_exists: true };
    const onlyThere = { ...config, create_if_missing: false };
    await expect(openError('file', onlyThere)).resolves.toMatchObject({ code: 'POOL_NOT_FOUND' });
    await runDaemon('file', config, [1]);
    const { lines } = await runDaemon('file', onlyThere);
    expect(lines[0]).toBe('[info] [warabi:42] Creating new file pool at …/pool');
  });
});

describe('the path of a pool', () => {
  const size = { create_if_missing_with_size: 8 * MIB };

  it('has its missing folders made below the folder of the configuration', async () => {
    await expect(openError('file', { path: 'data/deep/pool', ...size })).resolves.toBeUndefined();
    await expect(openError('file', { path: 'older/deep', size: 8 * MIB })).resolves.toBeUndefined();
    await expect(readdir(path.join(home, 'older/deep'))).resolves.toEqual(['pool.pmem']);
  });

  it('elsewhere is not made up, as a file system may not be mounted, except for the directory of a pool', async () => {
    const absent = path.join(home, 'not-mounted');
    const refused = { code: 'START_FAILED' };
    await expect(openError('file', { path: path.join(absent, 'pool'), ...size })).resolves.toMatchObject(
      refused,
    );
    await expect(
      openError('file', { path: path.join(absent, 'deep'), size: 8 * MIB }),
    ).resolves.toMatchObject(refused);
    await expect(readdir(home)).resolves.toEqual([]);
    await expect(openError('file', { path: absent, size: 8 * MIB })).resolves.toBeUndefined();
    await expect(readdir(absent)).resolves.toEqual(['pool.pmem']);
  });

  it.each([false, true])(
    'leads to a regular file, or is refused at once, with read_only %s',
    async (read_only) => {
      const at = (name: string): string => path.join(home, name);
      const sockets = createServer().listen(at('socket'));
      await new Promise((resolve) => sockets.on('listening', resolve));
      expect(spawnSync('mkfifo', [at('fifo')]).status).toBe(0);
      await mkdir(at('folder/pool.pmem'), { recursive: true });
      await symlink('/dev/null', at('device'));
      await symlink('/dev/null', at('dax0.0'));
      const messages: string[] = [];
      for (const name of ['socket', 'fifo', 'folder', 'device', 'dax0.0']) {
        const error = await openError('file', { path: name, ...size, read_only });
        expect(error).toMatchObject({ code: 'START_FAILED' });
        messages.push((error as Error).message);
      }
      expect(messages[4]).toContain('fsdax');
      await new Promise((resolve) => sockets.close(resolve));
    },
  );

  it('on a file system that copies on write gives a warning that names it, and no other does', async () => {
    const { logger, entries } = recordingLogger();
    const warn = (type: number): Promise<void> =>
      warnOfFileSystem('/mnt/pool', logger, () => Promise.resolve({ type }));
    // ext4, tmpfs, xfs, overlayfs.
    for (const type of [0xef53, 0x01021994, 0x58465342, 0x794c7630]) await warn(type);
    expect(entries).toEqual([]);
    for (const type of [0x9123683e, 0x2fc12fc1, 0xca451a4e, 0x9123683e | 0]) await warn(type);
    expect(entries.map(({ level }) => level)).toEqual(Array(4).fill('warning'));
    expect(entries.map(({ message }) => /is on (\w+)/.exec(message)?.[1])).toEqual([
      'btrfs',
      'zfs',
      'bcachefs',
      'btrfs',
    ]);
    await expect(warnOfFileSystem(home, logger)).resolves.toBeUndefined();
  });
});
