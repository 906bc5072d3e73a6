/** Daemons for the tests, in this process: memory in front of a pool file, or of memory with little room. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap } from 'bedrock-node';

/** @import { Daemon } from 'bedrock-node' */

const LIBRARY = path.resolve(import.meta.dirname, '../index.js');

/** A tiered target and what it lies on. */
export class Tiers {
  /** @param {string} folder @param {object} store @param {object} settings */
  constructor(folder, store, settings) {
    this.folder = folder;
    this.store = store;
    this.settings = settings;
  }

  /** @param {object} [store] the store's target; a pool file unless told @param {object} [settings] of the tiered target */
  static async make(store, settings = { cache_bytes: 2 ** 20, block_bytes: 4096 }) {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-tiered-'));
    const config = {
      path: 'store.pool',
      create_if_missing_with_size: 2 ** 26,
      sync_writes: false,
    };
    return new Tiers(folder, store ?? { type: 'file', config }, settings);
  }

  async start() {
    /** @param {string} name @param {object} target @param {Record<string, string>} [dependencies] */
    const provider = (name, target, dependencies = {}) => ({
      name,
      type: 'warabi',
      dependencies,
      config: { target },
    });
    this.daemon = await bootstrap(
      {
        libraries: [LIBRARY],
        providers: [
          provider('fast', { type: 'memory', config: { max_bytes: 2 ** 20 } }),
          provider('slow', this.store),
          provider('tiered', { type: 'tiered', config: this.settings }, { cache: 'fast', store: 'slow' }),
        ],
      },
      { listen: false, logLevel: 'off', directory: this.folder },
    );
    return this.daemon;
  }

  /** The target, closed, over a store that was closed and opened again. */
  async target() {
    await this.daemon?.close();
    const target = (await this.start()).target('tiered');
    await target.close();
    return target;
  }

  async remove() {
    await this.daemon?.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
