/** How a daemon shows other daemons who it is: tokens for dependencies and migrations, and whom they are kept from. */
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  bootstrap,
  type BedrockError,
  connect,
  type RegionId,
  type BedrockConfig,
  type Daemon,
  type Target,
} from '../../core/index.js';
import { newToken } from '../../core/security/token.js';
import { changeTokenFile } from '../../core/security/token-file.js';
import { Authority, openssl } from '../fixtures/certificates.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { stores } from '../fixtures/notes-library.js';
import { closeSecured, Secured } from './secured-daemon.js';

const daemons = new Set<Daemon>();
afterEach(async () => {
  await Promise.all([...daemons].map((daemon) => daemon.close()));
  daemons.clear();
  await closeSecured();
});

type RemoteTokens = NonNullable<NonNullable<BedrockConfig['bedrock']>['remote_tokens']>;

/** Its provider type depends on a warabi provider, but not necessarily. */
const LIBRARY = fileURLToPath(new URL('../fixtures/notes-library.ts', import.meta.url));

/** A file with a token, for its owner alone. */
async function fileWith(folder: string, text: string, name = 'there.token'): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  return file;
}

async function runHere(
  remoteTokens: RemoteTokens,
  more: { bedrock?: object; providers?: BedrockConfig['providers']; libraries?: string[] } = {},
): Promise<{ daemon: Daemon; log: () => string[] }> {
  const { logger, entries } = recordingLogger();
  const daemon = await bootstrap(
    {
      ...(more.libraries !== undefined && { libraries: more.libraries }),
      bedrock: { remote_tokens: remoteTokens, ...more.bedrock },
      providers: more.providers ?? [
        { name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } },
      ],
    },
    { logger, address: 'http://127.0.0.1:0' },
  );
  daemons.add(daemon);
  return { daemon, log: () => entries.map(({ message }) => message) };
}

/** The daemon whose provider `reader` depends on `store` of another one. */
function readerOf(address: string, tokens: RemoteTokens, bedrock: object = {}): ReturnType<typeof runHere> {
  return runHere(tokens, {
    libraries: [LIBRARY],
    bedrock,
    providers: [{ name: 'reader', type: 'notes', dependencies: { store: `store@${address}` } }],
  });
}

/** What `reader` finds in a region of its dependency, or the code of its failure. */
async function read(id: RegionId): Promise<string> {
  const [target] = stores.get('reader')?.targets ?? [];
  if (target === undefined) return 'no dependency';
  return target.read(id, 0, 8).then(
    (bytes) => Buffer.from(bytes).toString(),
    (error: unknown) => (error as BedrockError).code,
  );
}

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Makes a further token of a daemon, or replaces one. */
async function grant(there: Secured, id: string): Promise<string> {
  const { text, stored } = newToken(id);
  await changeTokenFile(path.join(there.folder, 'tokens.json'), (all) => [
    ...all.filter((one) => one.id !== id),
    { id, ...stored, grants: [{ scope: 'admin' }], createdAt: 0 },
  ]);
  await there.daemon.hangUp();
  return text;
}

function regionOf(target: Target): Promise<RegionId> {
  return target.createAndWrite(Buffer.from('contents'));
}

describe('a dependency on a daemon that asks for tokens', () => {
  it.each<[string, (there: Secured) => string]>([
    ['HTTP', ({ url }) => url],
    ['the Redis protocol', ({ respUrl }) => respUrl],
  ])('presents one, and its successor without a new connection, over %s', async (_door, addressOf) => {
    const there = await Secured.start();
    const address = addressOf(there);
    const id = await regionOf(there.daemon.target('store'));
    const file = await fileWith(there.folder, there.tokens.reader ?? '');
    await readerOf(address, [{ address, token_file: file }]);
    expect(await read(id)).toBe('contents');
    await there.revoke('reader');
    expect(await read(id)).toBe('UNAUTHENTICATED');
    await fileWith(there.folder, await grant(there, 'reader'));
    await until(async () => (await read(id)) === 'contents');
  });

  openssl.it('presents one over TLS, revoked and renewed while it runs', async () => {
    const authority = await Authority.make();
    try {
      const there = await Secured.start({
        bedrock: {
          auth: { tokens: 'tokens.json' },
          resp: { address: '127.0.0.1:0' },
          tls: await authority.sign(),
        },
      });
      const id = await regionOf(there.daemon.target('store'));
      for (const address of [there.url, there.respUrl.replace('resp:', 'resps:')]) {
        const file = await fileWith(there.folder, await grant(there, 'app'));
        await readerOf(address, [{ address, token_file: file }], {
          remote_tls: { ca: authority.cert },
        });
        expect(await read(id)).toBe('contents');
        await there.revoke('app');
        expect(await read(id)).toBe('UNAUTHENTICATED');
        await fileWith(there.folder, await grant(there, 'app'));
        await until(async () => (await read(id)) === 'contents');
      }
    } finally {
      await authority.remove();
    }
  });

  it('is refused without one, and with one for another address', async () => {
    const there = await Secured.start();
    const file = await fileWith(there.folder, there.tokens.reader ?? '');
    for (const tokens of [[], [{ address: there.respUrl, token_file: file }]]) {
      const { daemon, log } = await readerOf(there.url, tokens);
      expect(stores.get('reader')).toBeUndefined();
      expect(log().some((line) => line.includes('the dependency is optional'))).toBe(true);
      await daemon.close();
    }
  });

  it('is refused with a file that others can read, or that has no token, without showing it', async () => {
    const there = await Secured.start();
    const token = there.tokens.reader ?? '';
    const open = await fileWith(there.folder, token, 'open');
    await chmod(open, 0o644);
    const wrong = await fileWith(there.folder, `${token}x`, 'wrong');
    for (const file of [open, wrong, path.join(there.folder, 'none')]) {
      const { log } = await readerOf(there.url, [{ address: there.url, token_file: file }]);
      const line = log().find((one) => one.includes('the dependency is optional')) ?? '';
      expect([line.includes(file), log().join('').includes(token)]).toEqual([true, false]);
      expect(stores.get('reader')).toBeUndefined();
    }
  });

  it('keeps its token while the file cannot be used, and says so once', async () => {
    const there = await Secured.start();
    const id = await regionOf(there.daemon.target('store'));
    const file = await fileWith(there.folder, there.tokens.reader ?? '');
    const { log } = await readerOf(there.url, [{ address: there.url, token_file: file }]);
    await chmod(file, 0o644);
    const said = (): string[] => log().filter((line) => line.startsWith('the token for other daemons stays'));
    await until(() => Promise.resolve(said().length > 0));
    expect(await read(id)).toBe('contents');
    expect([
      said().length,
      log()
        .join('')
        .includes(there.tokens.reader ?? ''),
    ]).toEqual([1, false]);
  });
});

describe('a migration to a daemon that asks for tokens', () => {
  it.each<[string, (there: Secured) => string]>([
    ['HTTP', ({ url }) => url],
    ['the Redis protocol', ({ respUrl }) => respUrl],
  ])('moves with a token that the configuration lends it, over %s', async (_door, addressOf) => {
    const there = await Secured.start();
    const address = addressOf(there);
    const file = await fileWith(there.folder, there.tokens.admin ?? '');
    const { daemon } = await runHere([{ address, token_file: file, migrate: true }]);
    const id = await regionOf(daemon.target('store'));
    await daemon.migrate('store', { address, provider: 'store' });
    expect(Buffer.from(await there.daemon.target('store').read(id, 0, 8)).toString()).toBe('contents');
  });

  it('between two daemons that ask for them takes an administrator here, and what the token allows there', async () => {
    const there = await Secured.start();
    const file = await fileWith(there.folder, there.tokens.other ?? '');
    const here = await Secured.start({
      bedrock: {
        auth: { tokens: 'tokens.json' },
        remote_tokens: [{ address: there.url, token_file: file, migrate: true }],
      },
    });
    const move = (who: string, provider: string): Promise<string> =>
      here.asked(
        who,
        'POST',
        '/v1/providers/other/migrate',
        JSON.stringify({ address: there.url, provider }),
      );
    const id = await regionOf(here.daemon.target('other'));
    expect(await move('writer', 'other')).toBe('403 PERMISSION_DENIED');
    expect(await move('admin', 'store')).toMatch(/^40[34] /);
    expect(await move('other', 'other')).toMatch(/^20/);
    expect(Buffer.from(await there.daemon.target('other').read(id, 0, 8)).toString()).toBe('contents');
  });

  it('has no use of a token that is for dependencies', async () => {
    const there = await Secured.start();
    const file = await fileWith(there.folder, there.tokens.admin ?? '');
    const { daemon } = await runHere([{ address: there.url, token_file: file }]);
    await expect(daemon.migrate('store', { address: there.url, provider: 'store' })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  it('sends no token to another place that its caller names', async () => {
    const there = await Secured.start();
    const seen: (string | undefined)[] = [];
    const trap = createServer(({ headers }, response) => {
      seen.push(headers.authorization);
      response.writeHead(500).end();
    }).listen(0, '127.0.0.1');
    await once(trap, 'listening');
    const address = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
    const file = await fileWith(there.folder, there.tokens.admin ?? '');
    const { daemon } = await runHere([{ address: there.url, token_file: file, migrate: true }]);
    await expect(daemon.migrate('store', { address, provider: 'store' })).rejects.toThrow();
    trap.close();
    expect([seen.length > 0, seen.filter((header) => header !== undefined)]).toEqual([true, []]);
  });
});

describe('the configuration of tokens for other daemons', () => {
  it('names each address once, and shows paths alone', async () => {
    const there = await Secured.start();
    const file = await fileWith(there.folder, there.tokens.admin ?? '');
    const one = { address: there.url, token_file: file };
    for (const tokens of [[one, { ...one, address: `${there.url}/` }], [{ ...one, address: 'ftp://there' }]])
      await expect(runHere(tokens)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const { daemon } = await runHere([{ ...one, migrate: true }]);
    expect(daemon.config.bedrock?.remote_tokens).toEqual([{ ...one, migrate: true }]);
  });

  it('gives a client a token that may change', async () => {
    const there = await Secured.start();
    const id = await regionOf(there.daemon.target('store'));
    for (const url of [there.url, there.respUrl]) {
      let token = there.tokens.reader ?? '';
      const service = await connect(url, { token: () => token });
      const store = service.target('store');
      token = there.tokens.nobody ?? '';
      await expect(store.read(id, 0, 8)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      token = there.tokens.reader ?? '';
      expect(Buffer.from(await store.read(id, 0, 8)).toString()).toBe('contents');
      await service.close();
    }
  });
});
