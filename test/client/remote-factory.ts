/**
 * Remote targets for the conformance suite, each with a daemon behind it. Starting one takes far longer than a test, so a daemon
 * goes on to the next target, with its own emptied.
 */
import { rm } from 'node:fs/promises';
import type { TargetFactory } from '../../core/conformance/index.js';
import { bootstrap, connect, type Daemon, type Service, type Target } from '../../core/index.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { poolFolder, spaceOf, type PoolBackend } from '../backends/pool-factory.js';

const ROOM_BYTES = 16 * 2 ** 20;
/** What a pool needs beside the regions' room. */
const POOL_BYTES = 24 * 2 ** 20;
const LEAST_POOL_BYTES = 8 * 2 ** 20;

export type Transport = 'TCP' | 'a unix socket' | 'RESP' | 'RESP on a unix socket';

interface Server {
  readonly bytes: number;
  readonly home: string;
  daemon: Daemon;
  /** Targets over it that are not disposed of. */
  targets: number;
}

interface Behind {
  readonly server: Server;
  readonly service: Service;
}

export class RemoteFactory implements TargetFactory {
  readonly isRemote = true;
  readonly isThorough = isThorough;
  readonly maxRegionBytes = ROOM_BYTES;
  readonly reopen?: (target: Target) => Promise<Target>;
  readonly #behind = new Map<Target, Behind>();
  readonly #idle: Server[] = [];

  constructor(
    private readonly type: 'memory' | PoolBackend,
    private readonly transport: Transport,
  ) {
    if (type !== 'memory') this.reopen = (target) => this.#reopen(target);
  }

  create(): Promise<Target> {
    return this.createBounded(this.type === 'memory' ? ROOM_BYTES : POOL_BYTES);
  }

  async createBounded(capacityBytes: number): Promise<Target> {
    const bytes = this.type === 'memory' ? capacityBytes : Math.max(LEAST_POOL_BYTES, capacityBytes);
    const at = this.#idle.findIndex((server) => server.bytes === bytes);
    const [idle] = at < 0 ? [] : this.#idle.splice(at, 1);
    return this.#connect(idle ?? (await this.#start(bytes)));
  }

  async dispose(target: Target): Promise<void> {
    const behind = this.#behind.get(target);
    if (behind === undefined) return;
    this.#behind.delete(target);
    await behind.service.close();
    const { server } = behind;
    if (--server.targets > 0) return;
    const own = server.daemon.target('store');
    await own.destroy();
    await own.open();
    this.#idle.push(server);
  }

  spaceOf(size: number): number {
    return this.type === 'memory' ? size : spaceOf(this.type, size);
  }

  /** Stops the daemons. */
  async end(): Promise<void> {
    for (const { daemon, home } of this.#idle) {
      await daemon.close();
      await rm(home, { recursive: true });
    }
  }

  async #reopen(target: Target): Promise<Target> {
    const { server } = this.#behind.get(target) as Behind;
    await server.daemon.close();
    server.daemon = await this.#launch(server);
    return this.#connect(server);
  }

  async #start(bytes: number): Promise<Server> {
    const home = await poolFolder('memory');
    return { bytes, home, daemon: await this.#launch({ bytes, home }), targets: 0 };
  }

  #launch({ bytes, home }: Pick<Server, 'bytes' | 'home'>): Promise<Daemon> {
    const settings =
      this.type === 'memory' ? { max_bytes: bytes } : { path: 'pool', create_if_missing_with_size: bytes };
    const config = { target: { type: this.type, config: settings } };
    // What is too large is the target's to refuse here, not the front door's.
    const http = { max_body_bytes: Number.MAX_SAFE_INTEGER };
    const address = this.transport === 'a unix socket' ? `unix:${home}/socket` : 'http://127.0.0.1:0';
    const resp = {
      RESP: { resp: { address: '127.0.0.1:0' } },
      'RESP on a unix socket': { resp: { unix: `${home}/resp.sock` } },
      TCP: {},
      'a unix socket': {},
    }[this.transport];
    return bootstrap(
      { bedrock: { http, ...resp }, providers: [{ name: 'store', type: 'warabi', config }] },
      { address, logLevel: 'off', directory: home },
    );
  }

  #urlOf({ daemon, home }: Server): string {
    if (this.transport === 'RESP') return `resp://${daemon.config.bedrock?.resp?.address ?? ''}`;
    return this.transport === 'RESP on a unix socket'
      ? `resp+unix:${home}/resp.sock`
      : (daemon.address ?? '');
  }

  async #connect(server: Server): Promise<Target> {
    const service = await connect(this.#urlOf(server));
    const target = service.target('store');
    await target.close();
    server.targets++;
    this.#behind.set(target, { server, service });
    return target;
  }
}
