/** A way to Redis on which answers get lost: the one to the next change of regions, and all that would follow on its connection. */
import { connect, createServer } from 'node:net';

/** @import { Socket } from 'node:net' */

export class DeafProxy {
  server = createServer((client) => this.#connect(client, connect(this.redis)));
  /** @type {Set<Socket>} */
  #sockets = new Set();
  /** Whether the next change is one whose answer is lost. */
  losesNext = false;

  /** @param {string} path where it listens @param {string} redis where Redis does */
  constructor(path, redis) {
    this.path = path;
    this.redis = redis;
  }

  /** @param {import('./redis-server.js').RedisServer} server */
  static async start({ folder, socket }) {
    const proxy = new DeafProxy(`${folder}/proxy.sock`, socket);
    await new Promise((resolve) => proxy.server.listen(proxy.path, () => resolve(undefined)));
    return proxy;
  }

  get url() {
    return `unix:${this.path}`;
  }

  /** @param {Socket} client @param {Socket} server */
  #connect(client, server) {
    let isDeaf = false;
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        (socket === client ? server : client).destroy();
      });
    }
    client.on('data', (bytes) => {
      if (this.losesNext && bytes.includes(':regions')) {
        this.losesNext = false;
        isDeaf = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!isDeaf) client.write(bytes);
    });
  }

  async stop() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
