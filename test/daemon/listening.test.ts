/** Where a daemon listens: at every address of a host name, and at sockets that it takes from nobody and leaves to nobody. */
import { mkdtemp, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { Server, connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap, type Daemon } from '../../core/index.js';
import { closed, listenTcp } from '../../core/net/listening.js';
import { UnixSocket } from '../../core/net/unix-socket.js';

const listeners = new Set<Server>();
const make = (): Server => {
  const server = createServer((socket) => socket.destroy());
  listeners.add(server);
  return server;
};
afterEach(async () => {
  await Promise.all([...listeners].map(closed));
  listeners.clear();
});

describe('a name with several addresses', () => {
  const names = (addresses: string[]) => () => Promise.resolve(addresses);

  it('is listened to at all of them, with one port', async () => {
    const two = names(['127.0.0.1', '127.0.0.2']);
    const { port, addresses, servers } = await listenTcp(make, { host: 'both', port: 0 }, two);
    expect(addresses).toEqual(['127.0.0.1', '127.0.0.2']);
    expect(servers.map((server) => server.address())).toEqual(
      addresses.map((address) => ({ address, family: 'IPv4', port })),
    );
  });

  it('takes another free port where the first one is taken at the second address', async () => {
    // Every port that the first address is given is taken at the second one, three times.
    const taken: number[] = [];
    const makeLate = (): Server => {
      const server = make();
      if (taken.length === 3) return server;
      server.once('listening', () => {
        const { address, port } = server.address() as AddressInfo;
        if (address !== '127.0.0.1' || taken.length === 3) return;
        taken.push(port);
        make().listen(port, '127.0.0.2');
      });
      return server;
    };
    const { port } = await listenTcp(makeLate, { host: 'both', port: 0 }, names(['127.0.0.1', '127.0.0.2']));
    expect(taken).toHaveLength(3);
    expect(taken).not.toContain(port);
  });

  it('is listened to where this machine has it, and refused where it has none', async () => {
    const { addresses } = await listenTcp(make, { host: 'x', port: 0 }, names(['203.0.113.1', '127.0.0.1']));
    expect(addresses).toEqual(['127.0.0.1']);
    const nowhere = listenTcp(make, { host: 'x', port: 0 }, names(['203.0.113.1', '203.0.113.2']));
    await expect(nowhere).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('is refused where one of them is taken, and nothing is listened to then', async () => {
    const other = make();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.2', resolve));
    const { port } = other.address() as AddressInfo;
    const both = listenTcp(make, { host: 'both', port }, names(['127.0.0.1', '127.0.0.2']));
    await expect(both).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect([...listeners].filter((server) => server.listening)).toEqual([other]);
  });
});

describe('a socket', () => {
  let home: string;
  let place: string;
  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'bedrock-sockets-'));
    place = path.join(home, 'd.sock');
  });
  afterEach(async () => {
    await rm(place, { force: true });
    expect(await readdir(home)).toEqual([]);
  });
  afterAll(() => rm(home, { recursive: true }));

  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const probe = connect(place, () => {
        probe.destroy();
        resolve(true);
      });
      probe.on('error', () => resolve(false));
    });
  const start = (isResp: boolean): Promise<Daemon> =>
    isResp
      ? bootstrap({ bedrock: { resp: { unix: place } } }, { address: 'http://127.0.0.1:0', logLevel: 'off' })
      : bootstrap({}, { address: `unix:${place}`, logLevel: 'off' });

  describe.each([
    ['HTTP', false],
    ['the Redis protocol', true],
  ])('of %s', (_door, isResp) => {
    it('is that of its user alone, and gone when the daemon has stopped', async () => {
      const daemon = await start(isResp);
      expect((await stat(place)).mode & 0o777).toBe(0o600);
      expect(await readdir(home)).toEqual(['d.sock']);
      await daemon.close();
      expect(await readdir(home)).toEqual([]);
    });

    it('that another daemon has bound since is left to it', async () => {
      const first = await start(isResp);
      await unlink(place);
      const second = await start(isResp);
      await first.close();
      expect(await answers()).toBe(true);
      await second.close();
      expect(await answers()).toBe(false);
    });

    it('that answers is refused, and stays', async () => {
      const first = await start(isResp);
      await expect(start(isResp)).rejects.toMatchObject({ code: 'START_FAILED' });
      expect(await answers()).toBe(true);
      await first.close();
    });

    it('is no other file, which stays', async () => {
      await writeFile(place, 'mine');
      await expect(start(isResp)).rejects.toMatchObject({ code: 'START_FAILED' });
      expect((await stat(place)).size).toBe(4);
    });
  });

  it('may have the longest name that the system allows', async () => {
    const long = path.join(home, 'x'.repeat(107 - Buffer.byteLength(home) - 1));
    const server = make();
    const socket = await UnixSocket.bind(server, long);
    expect((await stat(long)).isSocket()).toBe(true);
    await socket.remove();
    expect(await readdir(home)).toEqual([]);
  });

  it('is had by one of two that begin at the same time', async () => {
    const [one, other] = [make(), make()];
    const bound = await Promise.allSettled([one, other].map((server) => UnixSocket.bind(server, place)));
    const won = bound.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(won).toHaveLength(1);
    // The other one would keep its process running.
    expect([one, other].filter((server) => server.listening)).toHaveLength(1);
    expect(await answers()).toBe(true);
    await won[0]?.remove();
  });
});

/** The servers of this process that listen, those of node:http too. */
function serversHere(): Server[] {
  const { _getActiveHandles: handles } = process as unknown as { _getActiveHandles: () => unknown[] };
  return handles().filter((handle) => handle instanceof Server);
}

it('a connection that cannot be accepted leaves both doors as they are', async () => {
  const resp = { address: '127.0.0.1:0' };
  const daemon = await bootstrap({ bedrock: { resp } }, { address: 'http://127.0.0.1:0', logLevel: 'off' });
  try {
    const servers = serversHere();
    expect(servers).toHaveLength(2);
    // As Node tells of it.
    for (const server of servers) server.emit('error', new Error('accept EMFILE'));
    expect(serversHere()).toEqual(servers);
  } finally {
    await daemon.close();
  }
});
