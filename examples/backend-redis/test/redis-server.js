/** A real redis-server for the tests, at a socket in a folder of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Why the tests cannot run here; false if they can. */
export const skip =
  spawnSync('redis-server', ['--version']).status !== 0 &&
  'redis-server is not installed: apt-get install redis-server';

export class RedisServer {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
    this.socket = path.join(folder, 'redis.sock');
    this.url = `unix:${this.socket}`;
  }

  /** @param {string[]} [options] */
  static async start(options = ['--appendonly', 'yes', '--appendfsync', 'always']) {
    const server = new RedisServer(await mkdtemp(path.join(tmpdir(), 'bedrock-redis-')));
    await server.launch(options);
    return server;
  }

  /** @param {string[]} options */
  async launch(options = this.options ?? []) {
    this.options = options;
    const fixed = ['--port', '0', '--unixsocket', this.socket, '--dir', this.folder, '--save', ''];
    const child = spawn('redis-server', [...fixed, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.child = child;
    let log = '';
    await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', () => reject(new Error(`redis-server ended:\n${log}`)));
      child.stdout.setEncoding('utf8').on('data', (text) => {
        log += text;
        if (/ready to accept connections/i.test(log)) resolve(undefined);
      });
    });
  }

  /** @param {NodeJS.Signals} [signal] */
  async stop(signal = 'SIGTERM') {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await exit;
  }

  async remove() {
    await this.stop('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}
