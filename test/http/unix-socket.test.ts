/** Listening at a unix socket. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, runDaemon, type RunningDaemon } from './running-daemon.js';

let folder: string;
let socket: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  socket = path.join(folder, 'socket');
});
afterEach(async () => {
  await closeDaemons();
  await rm(folder, { recursive: true });
});

const run = (): Promise<RunningDaemon> => runDaemon({ address: `unix:${socket}` });

describe('a daemon at a unix socket', () => {
  it('serves there, says so, and removes the socket when it stops', async () => {
    const daemon = await run();
    expect(daemon.daemon.address).toBe(`unix:${socket}`);
    const place = await daemon.regionOf(Buffer.from('contents'));
    expect((await daemon.call('GET', place)).bytes.toString()).toBe('contents');
    const { margo } = (await daemon.call('GET', '/v1/config')).json() as {
      margo: { mercury: { address: string } };
    };
    expect(margo.mercury.address).toBe(`unix:${socket}`);
    await daemon.daemon.close();
    expect(existsSync(socket)).toBe(false);
  });

  it('is its owner’s alone', async () => {
    await run();
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
  });

  it('serves any Host, as no browser can come that way, but no foreign Origin', async () => {
    await run();
    const connection = await RawConnection.open({ path: socket });
    for (const host of ['evil.example', '', socket]) {
      connection.send(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect((await connection.answer()).status).toBe(200);
    }
    connection.send(head('GET /healthz', 'Origin: https://evil.example'));
    expectProblem(await connection.answer(), 403, 'FORBIDDEN');
    connection.destroy();
  });

  it('replaces the socket of a process that was killed', async () => {
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', script]);
    expect((await stat(socket)).isSocket()).toBe(true);
    const daemon = await run();
    expect((await daemon.call('GET', '/healthz')).status).toBe(200);
  });

  it('refuses to start at the socket of another that lives, with START_FAILED', async () => {
    const first = await run();
    await expect(run()).rejects.toMatchObject({ code: 'START_FAILED' });
    expect((await first.call('GET', '/healthz')).status).toBe(200);
  });

  it('refuses to start at a socket whose owner lives but is too busy to answer, with START_FAILED', async () => {
    const script = `require('net').createServer().listen({ path: ${JSON.stringify(socket)}, backlog: 1 }, () => console.log())`;
    const owner = spawn(process.execPath, ['-e', script]);
    const waiting: RawConnection[] = [];
    try {
      await once(owner.stdout, 'data');
      owner.kill('SIGSTOP');
      // Until the system lets no more of them wait.
      const isQueued = async (): Promise<boolean> =>
        RawConnection.open({ path: socket }).then(
          (connection) => waiting.push(connection) > 0,
          () => false,
        );
      while (await isQueued()) expect(waiting.length).toBeLessThan(1000);
      await expect(run()).rejects.toMatchObject({ code: 'START_FAILED' });
      expect((await stat(socket)).isSocket()).toBe(true);
    } finally {
      owner.kill('SIGKILL');
      for (const connection of waiting) connection.destroy();
      if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit');
    }
  });

  it('refuses to start where another file is, and leaves it alone, with START_FAILED', async () => {
    await writeFile(socket, 'precious');
    await expect(run()).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(await readFile(socket, 'utf8')).toBe('precious');
    await expect(runDaemon({ address: `unix:${folder}` })).rejects.toMatchObject({ code: 'START_FAILED' });
    expect((await stat(folder)).isDirectory()).toBe(true);
    await rm(socket);
    await symlink('/dev/null', socket);
    await expect(run()).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  it('refuses to start in a folder that does not exist, with START_FAILED', async () => {
    await expect(runDaemon({ address: `unix:${folder}/no/socket` })).rejects.toMatchObject({
      code: 'START_FAILED',
    });
  });
});

describe('a daemon at a port', () => {
  it('refuses to start where another listens, with START_FAILED', async () => {
    const first = await runDaemon();
    await expect(runDaemon({ address: first.url })).rejects.toMatchObject({ code: 'START_FAILED' });
    expect((await first.call('GET', '/healthz')).status).toBe(200);
  });

  it('refuses to start at an address that is not this machine’s, with START_FAILED', async () => {
    await expect(runDaemon({ address: 'http://198.51.100.7:0', insecure: true })).rejects.toMatchObject({
      code: 'START_FAILED',
    });
  });
});
