/** Daemons that migrate to each other, in this process, and what a migration must keep. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import {
  type BedrockConfig,
  BedrockError,
  connect,
  type Daemon,
  type RegionId,
  type Target,
} from '../../core/index.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

export type Backend = 'memory' | 'file' | 'pmem';
export type Protocol = 'http' | 'resp';

type Target_ = { type: string; config: Record<string, unknown> };

/** A folder with daemons, each of which can be restarted. */
export class Daemons {
  readonly #opened = new Set<Daemon>();

  private constructor(readonly folder: string) {}

  static async open(): Promise<Daemons> {
    return new Daemons(await mkdtemp(path.join(tmpdir(), 'bedrock-migrate-')));
  }

  /** @param name of the daemon's folder @param backends of its targets */
  async start(name: string, backends: readonly Backend[], more: object = {}): Promise<Daemon> {
    const directory = path.join(this.folder, name);
    await mkdir(directory, { recursive: true });
    const targets = backends.map((type, index) => targetOf(type, index));
    const config: BedrockConfig = {
      margo: { mercury: { address: 'http://127.0.0.1:0' } },
      bedrock: { resp: { address: '127.0.0.1:0' } },
      providers: [
        { name: 'store', type: 'warabi', provider_id: 42, config: { targets, ...more } },
        { name: 'pairs', type: 'yokan', provider_id: 43, config: { database: { type: 'map' } } },
      ],
    };
    const daemon = await bootstrap(config, { logger: recordingLogger().logger, directory });
    this.#opened.add(daemon);
    return daemon;
  }

  async stop(daemon: Daemon): Promise<void> {
    this.#opened.delete(daemon);
    await daemon.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened].map((daemon) => this.stop(daemon)));
    await rm(this.folder, { recursive: true });
  }
}

function targetOf(type: Backend, index: number): Target_ {
  if (type === 'memory') return { type, config: {} };
  const config = { path: `pool${index}`, create_if_missing_with_size: 2 ** 24, max_size: 2 ** 26 };
  return { type, config };
}

/** Address of a daemon, as a migration takes it. */
export function addressOf(daemon: Daemon, protocol: Protocol): string {
  const { margo, bedrock } = daemon.config;
  return protocol === 'http' ? String(margo?.mercury?.address) : `resp://${String(bedrock?.resp?.address)}`;
}

/** Names that are hard to pass on. */
export const NAMES = [
  'plain',
  'with space/and/slash',
  'ü–日本–🙂',
  ' "\\\r\n\u0000\u007f',
  'n'.repeat(1024),
  '__proto__',
];

/** Fills a target: named and unnamed, empty, small and large regions, and slots that were used before. @returns erased IDs */
export async function fill(target: Target, large = 300_000): Promise<RegionId[]> {
  const erased: RegionId[] = [];
  for (let i = 0; i < 5; i++) erased.push(await target.createAndWrite(Buffer.alloc(10 + i, i)));
  for (const id of erased) await target.erase(id);
  const again = await target.createAndWrite(Buffer.from('in a slot that was used before'));
  await target.create(0);
  await target.create(100);
  await target.createAndWrite(bytesOf(large, 1), { persist: true });
  for (const [index, name] of NAMES.entries()) await target.put(name, bytesOf(50 + index, index));
  erased.push(again);
  await target.erase(again);
  return erased;
}

export function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 17 + (i >>> 8)) & 0xff;
  return bytes;
}

/** All that a target holds. */
export async function contentsOf(target: Target): Promise<Record<string, object>> {
  const contents: Record<string, object> = {};
  const { regions } = await target.list({ limit: 100_000 });
  for (const { id, size, createdAt, name } of regions) {
    const bytes = Buffer.from(await target.read(id, 0, size)).toString('base64');
    contents[id.toString()] = { size, createdAt, name: name ?? null, bytes };
  }
  return contents;
}

/** Migrates by the client, as `bedrock migrate` does. */
export async function migrate(
  from: Daemon,
  address: string,
  options: Record<string, unknown> = {},
  provider: string | number = 'store',
): Promise<void> {
  const service = await connect(addressOf(from, 'http'));
  try {
    await service.provider('store').migrate({ address, provider, options });
  } finally {
    await service.close();
  }
}

/** The code of an error; undefined if there is none. */
export async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof BedrockError) return error.code;
    throw error;
  }
}
