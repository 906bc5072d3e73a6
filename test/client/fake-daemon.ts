/**
 * A daemon over the Redis protocol that answers as a test tells it to, or does not. On a unix socket: what is written there is at the other
 * end at once, which no system promises over TCP.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Found, ReplyParser } from '../../core/redis-wire/reply-parser.js';
import type { Reply } from '../../core/redis-wire/reply.js';

/** What a command asks, as texts; large arguments are cut short. */
export type Words = readonly string[];

export type Answer = (words: Words, socket: Socket) => string | Buffer | undefined;

const LIMITS = JSON.stringify({
  max_bulk_bytes: 2 ** 26,
  max_arguments: 65536,
  max_request_bytes: 2 ** 22,
  max_uploads: 8,
});
const CAPABILITIES = {
  persistent: false,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: false,
  transactional: false,
};
/** One provider with a target, as both wires describe it. */
export const PROVIDERS = JSON.stringify({
  providers: [
    {
      name: 'store',
      type: 'warabi',
      provider_id: 1,
      tags: [],
      state: 'running',
      targets: [{ type: 'memory', state: 'open', capabilities: CAPABILITIES }],
    },
  ],
});

/** A bulk string. */
export function bulk(bytes: Uint8Array | string): Buffer {
  return Buffer.concat([
    Buffer.from(`$${Buffer.byteLength(bytes)}\r\n`),
    Buffer.from(bytes),
    Buffer.from('\r\n'),
  ]);
}

export class FakeDaemon {
  /** The commands on regions, in the order in which they came. */
  readonly commands: Words[] = [];
  readonly sockets = new Set<Socket>();
  /** How a connection is greeted, and what `connect` asks; an empty answer is none. */
  readonly handshake: Record<string, string | Buffer> = { ...HANDSHAKE };
  #answer: Answer = () => '+OK\r\n';
  /** Names of all commands that have come. */
  readonly #names: string[] = [];
  #arrived: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
  ) {
    server.on('connection', (socket) => this.#connected(socket));
  }

  static async start(): Promise<FakeDaemon> {
    const server = createServer();
    const daemon = new FakeDaemon(server, await mkdtemp(path.join(tmpdir(), 'bedrock-fake-')));
    await new Promise<void>((resolve) => server.listen(daemon.socketPath, resolve));
    return daemon;
  }

  get socketPath(): string {
    return path.join(this.folder, 'resp.sock');
  }

  get url(): string {
    return `resp+unix:${this.socketPath}`;
  }

  /** How commands on regions are answered from now on; undefined: not at all. */
  answers(answer: Answer): void {
    this.#answer = answer;
  }

  /** Resolves when so many commands of a name have come, those of the greeting included. */
  async arrival(name: string, count = 1): Promise<void> {
    while (this.#names.filter((each) => each === name).length < count)
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }

  /** Ends the connections; new ones are taken. */
  hangUp(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.hangUp();
    await new Promise((resolve) => this.server.close(resolve));
    await rm(this.folder, { recursive: true, force: true });
  }

  #connected(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => undefined);
    // A command has the form of an array of bulk strings.
    const parser = new ReplyParser({ maxReplyBytes: 2 ** 26 });
    let kept = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      const all = Buffer.concat([kept, bytes]);
      parser.position = 0;
      while (parser.next(all, all.length, undefined) === Found.reply) this.#command(parser.value, socket);
      kept = all.subarray(parser.position);
    });
  }

  #command(command: Reply, socket: Socket): void {
    const words = (command as readonly Buffer[]).map((word) => word.toString('latin1', 0, 64));
    const name = words[0] ?? '';
    this.#names.push(name);
    for (const resolve of this.#arrived.splice(0)) resolve();
    const known = this.handshake[name];
    if (known !== undefined) {
      if (known === '') return;
      socket.write(known);
      return;
    }
    this.commands.push(words);
    const answer = this.#answer(words, socket);
    if (answer !== undefined && !socket.destroyed) socket.write(answer);
  }
}

const HANDSHAKE: Readonly<Record<string, string | Buffer>> = {
  HELLO: '%0\r\n',
  SELECT: '+OK\r\n',
  'BEDROCK.HELLO': bulk(LIMITS),
  'BEDROCK.CONFIG': bulk('{}'),
  'BEDROCK.PROVIDERS': bulk(PROVIDERS),
};
