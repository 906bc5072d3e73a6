/** The group file of a daemon. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { BedrockConfig, Daemon } from '../../core/index.js';

const STORES: NonNullable<BedrockConfig['providers']> = [7, 9].map((id) => ({
  name: `store${id}`,
  type: 'warabi',
  provider_id: id,
  config: { target: { type: 'memory', config: {} } },
}));

let folder: string;
const daemons: Daemon[] = [];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-group-'));
});
afterEach(() => Promise.all(daemons.splice(0).map((one) => one.close())));
afterAll(() => rm(folder, { recursive: true }));

async function start(bedrock: BedrockConfig['bedrock'], groupFile?: string): Promise<Daemon> {
  const daemon = await bootstrap(
    { bedrock: { ...bedrock }, providers: STORES },
    { address: 'http://127.0.0.1:0', logLevel: 'off', directory: folder, ...(groupFile && { groupFile }) },
  );
  daemons.push(daemon);
  return daemon;
}

async function group(name: string): Promise<unknown> {
  return JSON.parse(await readFile(path.join(folder, name), 'utf8'));
}

describe('the group file', () => {
  it('has the real address for each provider, and is gone after the stop', async () => {
    const daemon = await start({ group_file: 'group.json' });
    expect(await group('group.json')).toEqual({
      members: [7, 9].map((id) => ({ address: daemon.address, provider_id: id })),
    });
    expect(daemon.config.bedrock?.group_file).toBe(path.join(folder, 'group.json'));
    await daemon.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it('has no provider that does not run', async () => {
    const path = '/proc/no/such/folder';
    const target = { type: 'file', config: { path, create_if_missing_with_size: 2 ** 23 } };
    const lost = { name: 'lost', type: 'warabi', optional: true, config: { target } };
    const daemon = await bootstrap(
      { bedrock: { group_file: 'group.json' }, providers: [...STORES, lost] },
      { address: 'http://127.0.0.1:0', logLevel: 'off', directory: folder },
    );
    daemons.push(daemon);
    expect(await group('group.json')).toEqual({
      members: [7, 9].map((id) => ({ address: daemon.address, provider_id: id })),
    });
  });

  it('is the one that the program names', async () => {
    const daemon = await start({ group_file: 'group.json' }, path.join(folder, 'other.json'));
    expect(await readdir(folder)).toEqual(['other.json']);
    expect(daemon.config.bedrock?.group_file).toBe(path.join(folder, 'other.json'));
  });

  it('replaces the one that a killed daemon left, and stays if another daemon has replaced it', async () => {
    await writeFile(path.join(folder, 'group.json'), 'old');
    const first = await start({ group_file: 'group.json' });
    expect(await group('group.json')).toHaveProperty('members');
    const second = await start({ group_file: 'group.json' });
    await first.close();
    expect(await group('group.json')).toHaveProperty('members.0.address', second.address);
  });

  it('that cannot be written ends the start with START_FAILED, and leaves nothing', async () => {
    await mkdir(path.join(folder, 'taken'));
    for (const file of ['nowhere/group.json', 'taken'])
      await expect(start({ group_file: file })).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(await readdir(folder)).toEqual(['taken']);
    await rm(path.join(folder, 'taken'), { recursive: true });
  });
});
