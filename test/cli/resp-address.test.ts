/** Whatever takes the address of a daemon takes one of the Redis protocol too: commands, and dependencies of providers. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { BackendContext, BedrockConfig, Daemon, ProviderDependency } from '../../core/index.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { codeOf, type Ended, TWO_STORES } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

const LIBRARIES = path.resolve(import.meta.dirname, '../fixtures/libraries');

let daemon: Daemon;
let address: string;
beforeAll(async () => {
  const config = { ...TWO_STORES, bedrock: { resp: { address: '127.0.0.1:0' } } };
  daemon = await bootstrap(config, { address: 'http://127.0.0.1:0', logLevel: 'off' });
  address = `resp://${daemon.config.bedrock?.resp?.address ?? ''}`;
});
afterAll(() => daemon.close());

describe('a command', () => {
  it('makes, changes, reads and removes a region', async () => {
    const region = async (line: string, stdin?: string): Promise<Ended> =>
      run(['region', ...line.split(' '), '-p', 'store', '-a', address], stdin === undefined ? {} : { stdin });
    const created = await region('create - --size 11 --persist', 'hello world');
    const id = created.stdout.trim();
    await expect(region(`write ${id} --offset 6 --size 5`, 'there')).resolves.toMatchObject({ status: 0 });
    await expect(region(`read ${id}`)).resolves.toMatchObject({ stdout: 'hello there' });
    await expect(region(`rm ${id}`)).resolves.toMatchObject({ status: 0 });
    expect(codeOf(await region(`stat ${id}`))).toBe('REGION_NOT_FOUND');
  });

  it.each([[['providers', '--json']], [['stats', '--json']]])('%j says the same', async (args) => {
    const [overResp, overHttp] = await Promise.all(
      [address, daemon.address ?? ''].map((where) => run([...args, '--address', where])),
    );
    expect(overResp?.status).toBe(0);
    // What the machine has free changes in between.
    const told = (ended?: Ended): string | undefined =>
      ended?.stdout.replaceAll(/("(?:free|largestFree)Bytes":)\d+/g, '$1…');
    expect(told(overResp)).toBe(told(overHttp));
  });

  it('says UNREACHABLE where there is no daemon, and INVALID_ARGUMENT where there is no address', async () => {
    const [nowhere, nothing] = await Promise.all(
      ['resp://127.0.0.1:1', 'resp://nowhere'].map((where) => run(['providers', '-a', where])),
    );
    expect(nowhere && codeOf(nowhere)).toBe('UNREACHABLE');
    expect(nothing && codeOf(nothing)).toBe('INVALID_ARGUMENT');
  });
});

describe('an address of another scheme', () => {
  it.each(['redis://127.0.0.1:1', 'rediss://user:secret@127.0.0.1:1/0'])(
    '%s is told in the right form',
    async (where) => {
      const ended = await run(['providers', '-a', where]);
      expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'INVALID_ARGUMENT' });
      expect(ended.stderr).toMatch(/ resps?:\/\/127\.0\.0\.1:1/);
    },
  );

  it.each(['redis://127.0.0.1:0', 'resp://127.0.0.1:0'])('%s is none to serve HTTP at', async (where) => {
    const ended = await run(['start', where]);
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'CONFIG_INVALID' });
    expect(ended.stderr).toContain('--resp-address');
  });
});

describe('a dependency', () => {
  it.each(['store', 'warabi:42'])('%s is found by an address of RESP', async (provider) => {
    const { logger, entries } = recordingLogger();
    const dependant = {
      type: 'dependant',
      name: 'd',
      dependencies: { store: `${provider}@${address}` },
    };
    const config = { libraries: ['./array.mjs'], providers: [dependant] } as BedrockConfig;
    const other = await bootstrap(config, { listen: false, logger, directory: LIBRARIES });
    const context = entries.find(({ fields }) => fields.context !== undefined)?.fields
      .context as BackendContext;
    const store = context.dependencies.store as ProviderDependency;
    const id = await store.targets[0]?.createAndWrite(Buffer.from('afar'));
    if (id === undefined) throw new Error('no target');
    expect(Buffer.from(await daemon.target('store').read(id, 0, 4)).toString()).toBe('afar');
    await other.close();
    await expect(store.targets[0]?.stat(id)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('is DEPENDENCY_UNRESOLVED where there is none', async () => {
    const dependant = { type: 'dependant', name: 'd', dependencies: { store: 'store@resp://127.0.0.1:1' } };
    const config = { libraries: ['./array.mjs'], providers: [dependant] } as BedrockConfig;
    const started = bootstrap(config, { listen: false, logLevel: 'off', directory: LIBRARIES });
    await expect(started).rejects.toMatchObject({ cause: { code: 'DEPENDENCY_UNRESOLVED' } });
  });
});
