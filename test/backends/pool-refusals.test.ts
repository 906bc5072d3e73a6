/**
 * What a pool refuses, it refuses for the reason that counts: slots and not bytes, another provider
 * of this process and not "somebody".
 */
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { link, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { bootstrap, type Daemon } from '../../core/index.js';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { addonState } from '../../native/load.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';
import { poolFolder, poolTarget, type PoolBackend } from './pool-factory.js';

const MIB = 2 ** 20;
const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];

let home: string;
beforeEach(async () => {
  home = await poolFolder();
});
afterEach(() => rm(home, { recursive: true, force: true }));

it.each(BACKENDS)('a %s pool without a free slot says so of a region of no bytes', async (type) => {
  const config = { path: 'pool', create_if_missing_with_size: 8 * MIB, sync: false, sync_writes: false };
  const target = await poolTarget(type, config, home);
  await target.open();
  const { freeBytes } = await target.stats();
  await target.create((freeBytes as number) - 8192);
  let made = 1;
  const failure = await (async (): Promise<unknown> => {
    for (;;) {
      try {
        await target.create(0);
        made++;
      } catch (error) {
        return error;
      }
    }
  })();
  expect(made).toBe(1024);
  expect(failure).toMatchObject({ code: 'OUT_OF_SPACE', details: { requested: 0 } });
  expect((failure as Error).message).toContain('all 1024 are taken');
  expect((await target.stats()).regions).toBe(1024);
  await target.close();
});

it('names the provider of this process that has the pool, by whatever name the file goes', async () => {
  const pool = path.join(home, 'pool');
  const start = (name: string, settings: Record<string, unknown>): Promise<Daemon> => {
    const target = { type: 'file', config: { create_if_missing_with_size: 8 * MIB, ...settings } };
    const config: BedrockConfig = { providers: [{ name, type: 'warabi', config: { target } }] };
    return bootstrap(config, { listen: false, logLevel: 'off' });
  };
  const first = await start('first', { path: pool });
  await link(pool, path.join(home, 'other'));
  await symlink('pool', path.join(home, 'link'));
  for (const name of ['pool', 'other', 'link']) {
    const failure: unknown = await start('second', { path: path.join(home, name) }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'START_FAILED' });
    expect((failure as Error).message).toContain('the provider "first" of this process');
  }
  await first.close();
  const [one, two] = [
    await start('one', { path: pool, create_if_missing_with_size: undefined, read_only: true }),
    await start('two', { path: pool, create_if_missing_with_size: undefined, read_only: true }),
  ];
  await one.close();
  await expect(start('third', { path: pool })).rejects.toThrow('the provider "two" of this process');
  await two.close();
  await (await start('third', { path: pool })).close();
});

it('pool copy refuses to copy a pool over itself, by whatever name, and says why', async () => {
  const target = await poolTarget('file', { path: 'pool', create_if_missing_with_size: 8 * MIB }, home);
  await target.open();
  await target.close();
  const pool = path.join(home, 'pool');
  await symlink('pool', path.join(home, 'link'));
  for (const [to, ...options] of [
    [pool, '--override'],
    [path.join(home, 'link'), '--override'],
  ] as const) {
    const ended = await run(['pool', 'copy', pool, to, ...options]);
    expect(codeOf(ended)).toBe('INVALID_ARGUMENT');
    expect(ended.stderr).toContain('the same pool');
  }
  expect(codeOf(await run(['pool', 'copy', path.join(home, 'none'), path.join(home, 'none')]))).toBe(
    'POOL_NOT_FOUND',
  );
});
