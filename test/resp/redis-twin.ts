/**
 * A real redis-server beside a door of ours, for tests that compare what they answer: in a temporary folder, on a unix socket, without
 * persistence.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RawClient } from './raw-client.js';

export class RedisTwin {
  private constructor(
    private readonly folder: string,
    private readonly server: ChildProcess,
  ) {}

  static async start(): Promise<RedisTwin> {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-redis-'));
    const options = ['--port', '0', '--unixsocket', 'redis.sock', '--save', '', '--appendonly', 'no'];
    const server = spawn('redis-server', [...options, '--dir', folder], { cwd: folder, stdio: 'ignore' });
    return new RedisTwin(folder, server);
  }

  /** Waits until it listens. */
  async client(): Promise<RawClient> {
    for (;;) {
      if (this.server.exitCode !== null) throw new Error(`redis-server ended with ${this.server.exitCode}`);
      try {
        return await RawClient.connect({ path: path.join(this.folder, 'redis.sock') });
      } catch {
        await sleep(10);
      }
    }
  }

  async stop(): Promise<void> {
    if (this.server.exitCode === null && this.server.signalCode === null) {
      this.server.kill();
      await once(this.server, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
