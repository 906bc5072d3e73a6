/** A migration that makes its destination, by `new_root` and `merge_config`. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connect, type Daemon } from '../../core/index.js';
import { addressOf, type Backend, codeOf, contentsOf, Daemons, fill, migrate } from './migration-daemons.js';

let daemons: Daemons;
let destination: Daemon;
beforeEach(async () => {
  daemons = await Daemons.open();
  destination = await daemons.start('destination', ['memory']);
});
afterEach(() => daemons.close());

const to = (): string => addressOf(destination, 'http');

/** Migrates to a provider `made` that is not there, and compares what arrived. */
async function moves(from: Backend, options: Record<string, unknown>): Promise<Record<string, unknown>> {
  const source = await daemons.start('source', [from]);
  await fill(source.target('store'), 1000);
  const before = await contentsOf(source.target('store'));
  await migrate(source, to(), options, 'made');
  expect(await contentsOf(destination.target('made'))).toEqual(before);
  return destination.config.providers?.find(({ name }) => name === 'made')?.config ?? {};
}

describe('a migration to a provider that is not there', () => {
  test('makes it with new_root, its file under that folder', async () => {
    const root = path.join(daemons.folder, 'elsewhere');
    await mkdir(root);
    const config = await moves('file', { new_root: root });
    expect(config).toMatchObject({
      targets: [{ type: 'file', config: { path: path.join(root, 'pool0'), max_size: 2 ** 26 } }],
    });
    expect(await readdir(root)).toEqual(['pool0']);
  });

  test('makes it with merge_config for the settings of its target', async () => {
    const config = await moves('file', { merge_config: { path: 'other.pool', max_size: 2 ** 25 } });
    expect(config).toMatchObject({ targets: [{ config: { path: 'other.pool', max_size: 2 ** 25 } }] });
    expect(existsSync(path.join(daemons.folder, 'destination/other.pool'))).toBe(true);
  });

  test('makes it with merge_config for the settings of the provider, with another backend', async () => {
    const target = { type: 'file', config: { path: 'x.pool', create_if_missing_with_size: 2 ** 24 } };
    const config = await moves('memory', {
      merge_config: { target, transfer_manager: { type: 'pipeline' } },
    });
    expect(config).toMatchObject({ target, transfer_manager: { type: 'pipeline' } });
    expect(config).not.toHaveProperty('targets');
  });

  test('finds what it has made when it is repeated', async () => {
    const source = await daemons.start('source', ['file']);
    const options = { new_root: daemons.folder };
    const service = await connect(addressOf(source, 'resp'));
    const request = { address: to(), provider: 77, options };
    await service.provider('store').migrate({ ...request, provider: 'made' });
    expect(await codeOf(service.provider('store').migrate({ ...request, provider: 'made' }))).toBeUndefined();
    await service.close();
  });

  test('says in a plan what it would make, and makes nothing', async () => {
    const source = await daemons.start('source', ['file']);
    const service = await connect(addressOf(source, 'http'));
    const json = { address: to(), provider: 'made', options: { new_root: '/nowhere' } };
    const plan = service.provider('store').request({ method: 'POST', path: '/migration/plan', json });
    expect(await plan).toMatchObject({
      provider: 'made',
      targets: [{ from: 'file', to: 'file', freeBytes: null }],
      faults: [],
    });
    await service.close();
    expect(destination.providers.map(({ name }) => name)).toEqual(['store', 'pairs']);
  });

  test('leaves nothing there, and the source as it was, if it is refused', async () => {
    const source = await daemons.start('source', ['memory']);
    const id = await source.target('store').create(1);
    const targets = [{ type: 'memory' }, { type: 'memory' }];
    // As the settings are wrong, and as the targets are too many.
    const refusals = [
      [{ merge_config: { no_such_key: 1 } }, 'CONFIG_INVALID'],
      [{ merge_config: { targets } }, 'CONFLICT'],
      [
        { merge_config: { target: { type: 'file', config: { path: '/no/such/folder/x', size: 2 ** 24 } } } },
        'START_FAILED',
      ],
    ] as const;
    for (const [options, code] of refusals)
      expect([options, await codeOf(migrate(source, to(), options, 'made'))]).toEqual([options, code]);
    expect(destination.providers.map(({ name }) => name)).toEqual(['store', 'pairs']);
    expect((await source.target('store').stat(id)).size).toBe(1);
  });
});

describe('the options new_root and merge_config', () => {
  test.each([
    [{ new_root: '/x' }, 'INVALID_ARGUMENT'],
    [{ new_root: '' }, 'INVALID_ARGUMENT'],
    [{ new_root: 1 }, 'INVALID_ARGUMENT'],
    [{ merge_config: [] }, 'INVALID_ARGUMENT'],
    [{ merge_config: { target: { type: 'memory' }, max_bytes: 1 } }, 'INVALID_ARGUMENT'],
  ])('are refused where they mean nothing: %j', async (options, code) => {
    const source = await daemons.start('source', ['memory']);
    expect(await codeOf(migrate(source, to(), options, 'made'))).toBe(code);
  });

  test('must agree with a provider that is there', async () => {
    const source = await daemons.start('source', ['memory']);
    const options = { merge_config: { max_bytes: 12_345_678 } };
    expect(await codeOf(migrate(source, to(), options, 'store'))).toBe('CONFLICT');
    expect(await codeOf(migrate(source, to(), { merge_config: {} }, 'store'))).toBeUndefined();
  });
});
