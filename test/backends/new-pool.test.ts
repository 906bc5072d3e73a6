/**
 * A pool is made whole or not at all, on whatever file system, and of a start that was killed the
 * next one leaves nothing.
 */
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { link, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addonState } from '../../native/load.js';
import { failingSystem } from '../fixtures/failing-system.js';
import { needs } from '../fixtures/needs.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { endPrograms, isKilledAt, openPools, type Attempt } from './new-pool-program.js';
import { poolFolder, poolTarget, type PoolBackend } from './pool-factory.js';

const MIB = 2 ** 20;
const system = failingSystem();
const hasAddon = addonState().attributes !== undefined;
const BACKENDS: PoolBackend[] = hasAddon ? ['file', 'pmem'] : ['file'];
const compiler = needs('a C compiler', system !== undefined);
const NO_ADDON = { BEDROCK_NATIVE_ADDON: '/nowhere' };

let home: string;
beforeEach(async () => {
  home = await poolFolder();
});
afterEach(() => rm(home, { recursive: true, force: true }));
afterAll(async () => {
  await endPrograms();
  system?.dispose();
});

const attempt = (type: PoolBackend = 'file', config: Attempt['config'] = {}): Attempt => ({ type, config });

/** What a start says that it removed; in this process, as another one takes longer than all else. */
async function openHere(folder: string): Promise<string[]> {
  const { logger, entries } = recordingLogger();
  const config = { path: 'pool', create_if_missing_with_size: 8 * MIB };
  const target = await poolTarget('file', config, folder, logger);
  await target.open();
  await target.close();
  return entries.map(({ message }) => message).filter((message) => message.startsWith('removed'));
}

compiler.describe('on a file system that lacks something', () => {
  it.each(['EPERM', 'EOPNOTSUPP'] as const)('makes pools where hard links fail with %s', async (code) => {
    const override = { override_if_exists: true };
    const attempts = [
      ...BACKENDS.map((type) => attempt(type, { path: type })),
      attempt('file', { path: 'file', ...override }),
    ];
    const outcomes = await openPools(system, home, attempts, { link: code });
    expect(outcomes.map(({ message }) => message)).toEqual(attempts.map(() => undefined));
    expect((await readdir(home)).sort()).toEqual([...BACKENDS].sort());
    // The name was taken meanwhile, as far as the one knows that was slower.
    const again = await openPools(system, home, [attempt('file', { path: 'file' })], { link: code });
    expect(again[0]?.code).toBeUndefined();
  });

  it('makes pools where neither the addon nor a link is there', async () => {
    const attempts = [attempt(), attempt('file', { override_if_exists: true })];
    const outcomes = await openPools(system, home, attempts, { link: 'EPERM' }, NO_ADDON);
    expect(outcomes.map(({ message }) => message)).toEqual([undefined, undefined]);
    await expect(readdir(home)).resolves.toEqual(['pool']);
  });

  it.each(['EINVAL', 'ENOTSUP'] as const)(
    'makes pools in folders whose fsync fails with %s, and says so',
    async (code) => {
      const outcomes = await openPools(system, home, [attempt('file', { path: 'a/b/' })], {
        fsyncFolder: code,
      });
      expect(outcomes[0]?.code).toBeUndefined();
      expect(outcomes[0]?.log.join('\n')).toMatch(/cannot make names durable/);
    },
  );

  it('leaves nothing of a pool whose folder fails to be made durable', async () => {
    const outcomes = await openPools(system, home, [attempt()], { fsyncFolder: 'EIO' });
    expect(outcomes[0]).toMatchObject({ code: 'START_FAILED' });
    await expect(readdir(home)).resolves.toEqual([]);
  });

  it.each([
    ['the addon', {}],
    ['flock(1)', NO_ADDON],
  ])('refuses one without locks before anything is made, with a cure, by %s', async (_how, env) => {
    await writeFile(path.join(home, 'there'), 'x');
    const attempts = [attempt('file', { path: 'a/b/' }), attempt('file', { path: 'there' })];
    const outcomes = await openPools(system, home, attempts, { flock: 'ENOSYS' }, env);
    for (const [index, name] of ['a/b/pool.pmem', 'there'].entries()) {
      expect(outcomes[index]).toMatchObject({ code: 'START_FAILED' });
      expect(outcomes[index]?.message).toContain(path.join(home, name));
      expect(outcomes[index]?.message).toMatch(/put the pool on a local file system/);
    }
    await expect(readdir(home)).resolves.toEqual(['there']);
  });

  // The long test kills at every call.
  it.each([
    { call: 'posix_fallocate', nth: 1, tmpfile: true },
    { call: 'unlink', nth: 1, tmpfile: false },
  ])(
    'leaves nothing of a start that is killed at $call $nth; O_TMPFILE: $tmpfile',
    async ({ tmpfile, ...at }) => {
      const kill = { ...at, within: home };
      const failures = { kill, ...(!tmpfile && { tmpfile: 'EOPNOTSUPP' as const }) };
      await expect(isKilledAt(system, home, attempt(), failures)).resolves.toBe(true);
      const left = (await readdir(home)).filter((name) => name !== 'pool');
      expect(left).toHaveLength(tmpfile && hasAddon ? 0 : 1);
      await expect(openHere(home)).resolves.toHaveLength(left.length);
      await expect(readdir(home)).resolves.toEqual(['pool']);
    },
  );
});

describe('what a killed process has left', () => {
  const DIGITS = '0123456789ab';
  const open = (): Promise<string[]> => openHere(home);
  const at = (name: string): string => path.join(home, name);
  const exists = async (name: string): Promise<boolean> =>
    stat(at(name)).then(
      () => true,
      () => false,
    );

  it('is removed, and nothing else is', async () => {
    await open();
    const ours = [`pool.${DIGITS}.new`, `pool.repair-3.${DIGITS}.new`, '.bedrock-copy-AbC012'];
    await writeFile(at(ours[0] as string), Buffer.alloc(8192));
    await writeFile(at(ours[1] as string), '{"format":"bedrock-pool-repair","version":1}\n');
    await mkdir(at(ours[2] as string));
    await writeFile(
      path.join(at(ours[2] as string), 'pool'),
      Buffer.concat([Buffer.from('BDRKPOOL'), Buffer.alloc(99)]),
    );
    const others = [
      'other.0123456789ab.new',
      'pool.0123456789.new',
      `pool.${DIGITS}.new.bak`,
      'pool.0123456789AB.new',
      'pool.fedcba987654.new',
      '.bedrock-copy-notes1',
    ];
    for (const name of others.slice(0, 4)) await writeFile(at(name), Buffer.alloc(100));
    // The right name, and something that is no pool.
    await writeFile(at(others[4] as string), 'my notes');
    await mkdir(at(others[5] as string));
    await writeFile(path.join(at(others[5] as string), 'notes'), '');
    const told = await open();
    expect(told).toHaveLength(ours.length);
    for (const name of ours) {
      expect(told.join('\n')).toContain(name);
      await expect(exists(name)).resolves.toBe(false);
    }
    for (const name of others) await expect(exists(name)).resolves.toBe(true);
  });

  it('is a second name of the pool: that alone goes, and the pool stays', async () => {
    await open();
    await link(at('pool'), at(`pool.${DIGITS}.new`));
    await expect(open()).resolves.toHaveLength(1);
    await expect(readdir(home)).resolves.toEqual(['pool']);
    await expect(open()).resolves.toEqual([]);
  });

  it('stays while somebody is at work on it', async () => {
    await open();
    const busy = await poolTarget(
      'file',
      { path: `pool.${DIGITS}.new`, create_if_missing_with_size: 8 * MIB },
      home,
    );
    await busy.open();
    await expect(open()).resolves.toEqual([]);
    await busy.close();
    await expect(open()).resolves.toHaveLength(1);
  });
});

describe.each(BACKENDS)('a %s pool that is refused', (type) => {
  it('leaves neither file nor folder, and the pool that it was to replace stays', async () => {
    const refused = type === 'pmem' ? { require_pmem: true } : { create_if_missing_with_size: 2 ** 52 };
    const code = type === 'pmem' ? 'START_FAILED' : undefined;
    for (const place of ['pool', 'a/b/'])
      await expect(
        (
          await poolTarget(type, { path: place, create_if_missing_with_size: 8 * MIB, ...refused }, home)
        ).open(),
      ).rejects.toMatchObject(code === undefined ? {} : { code });
    await expect(readdir(home)).resolves.toEqual([]);
    const config = { path: 'pool', create_if_missing_with_size: 8 * MIB };
    const first = await poolTarget(type, config, home);
    await first.open();
    const id = await first.create(10);
    await first.close();
    const override = { ...config, ...refused, override_if_exists: true };
    await expect((await poolTarget(type, override, home)).open()).rejects.toMatchObject({});
    await first.open();
    expect((await first.stat(id)).size).toBe(10);
    await first.close();
    await expect(readdir(home)).resolves.toEqual(['pool']);
  });
});
