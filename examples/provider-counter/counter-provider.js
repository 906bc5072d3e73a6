/**
 * A provider that is no blob store: counters over HTTP, below `/v1/providers/{name}/counters`, kept in a region of the warabi
 * provider that it depends on, which may be one of another daemon.
 */
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { Answer, BedrockError, RegionId, defineRoute, makeFolders, optionalJsonBody } from 'bedrock-node';
import { CounterTable } from './counter-table.js';

/**
 * @import {
 *   Dependency, JsonBody, Provider, ProviderContext, ProviderDependency, RestoreRequest, SnapshotRequest, Target
 * } from 'bedrock-node'
 */
/** @typedef {{ max_counters: number, target: number, region?: string }} CounterConfig */

const SNAPSHOT = 'counters.json';

const INCREMENT = {
  type: 'object',
  additionalProperties: false,
  properties: {
    by: {
      type: 'integer',
      minimum: -(2 ** 53 - 1),
      maximum: 2 ** 53 - 1,
      default: 1,
      description: 'What to add.',
    },
  },
};

/** @implements {Provider} */
export class CounterProvider {
  /** It holds regions itself for nobody. */
  targets = /** @type {Target[]} */ ([]);
  /** @type {CounterTable | undefined} */
  #table;
  /** Settles when the table that is being replaced has been. @type {Promise<void> | undefined} */
  #replacing;
  #store;

  /** @param {CounterConfig} config @param {ProviderContext<{ store: ProviderDependency }>} context */
  constructor(config, { providerName, logger, metrics, dependencies }) {
    this.config = config;
    this.name = providerName;
    this.logger = logger;
    this.#store = this.#targetOf(dependencies.store);
    this.increments = metrics.counter({ name: 'counter_increments_total', help: 'Increments acknowledged.' });
    this.counters = metrics.gauge({ name: 'counter_counters', help: 'Counters that there are.' });
  }

  /** @param {ProviderDependency} store @returns {Target} */
  #targetOf({ targets }) {
    const target = targets[this.config.target];
    if (target !== undefined) return target;
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `store has ${targets.length} targets, and target is ${this.config.target}`,
    );
  }

  routes = [
    defineRoute({
      method: 'GET',
      path: '/counters',
      summary: 'All counters',
      handle: () => ({ counters: this.table.values }),
    }),
    defineRoute({
      method: 'GET',
      path: '/counters/:name',
      summary: 'The value of a counter',
      handle: ({ params: { name } }) => {
        const value = this.table.get(name);
        if (value === undefined) throw unknown(name);
        return { name, value };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/counters/:name',
      summary: 'Add to a counter, which is made if it is not there; durable when it is answered',
      body: /** @type {JsonBody<{ by: number }>} */ (optionalJsonBody(INCREMENT)),
      handle: async ({ params: { name }, body: { by } }) => {
        const { isNew, value } = await this.#change(async (table) => ({
          isNew: table.get(name) === undefined,
          value: await table.add(name, by),
        }));
        this.increments.inc(1);
        this.counters.set(this.table.size);
        return new Answer(isNew ? 201 : 200, { name, value });
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/counters/:name',
      summary: 'Remove a counter',
      handle: async ({ params: { name } }) => {
        if (!(await this.#change((table) => table.remove(name)))) throw unknown(name);
        this.counters.set(this.table.size);
      },
    }),
  ];

  /**
   * Changes the table, after the end of a replacement that is under way. The change begins in the step that has looked: a replacement
   * that begins later waits for it.
   * @template T @param {(table: CounterTable) => Promise<T>} change @returns {Promise<T>}
   */
  async #change(change) {
    while (this.#replacing !== undefined) await this.#replacing;
    return change(this.table);
  }

  /** @returns {CounterTable} */
  get table() {
    if (this.#table === undefined) throw new BedrockError('NOT_READY', 'the counters are not there yet');
    return this.#table;
  }

  async start() {
    const { region, max_counters } = this.config;
    const found =
      region === undefined
        ? await CounterTable.find(this.#store, this.name)
        : await CounterTable.open(this.#store, this.name, RegionId.parse(region));
    if (found === undefined && region !== undefined)
      throw new BedrockError('INVALID_ARGUMENT', `region ${region} holds no counters of ${this.name}`);
    this.#table = found ?? (await CounterTable.create(this.#store, this.name, max_counters));
    this.counters.set(this.#table.size);
    this.logger.info(`${this.#table.size} counters in region ${this.#table.id.toString()}`);
  }

  stop() {
    // What was acknowledged is durable; the store closes after this provider.
    this.#table = undefined;
    return Promise.resolve();
  }

  /** With the region that was found or made, so that the next start need not look for it. */
  getConfig() {
    const { config } = this;
    return this.#table === undefined ? config : { ...config, region: this.#table.id.toString() };
  }

  /** Moves to another store. @param {string} _name @param {Dependency | readonly Dependency[]} dependency */
  async changeDependency(_name, dependency) {
    const store = this.#targetOf(/** @type {ProviderDependency} */ (dependency));
    await this.#replace(store, (values) => values);
    this.#store = store;
  }

  /**
   * Puts another table in the place of the present one: as a whole, or not at all if it throws. Requests that come meanwhile wait.
   * @param {Target} store @param {(values: Record<string, number>) => Record<string, number>} change
   */
  async #replace(store, change) {
    const from = this.table;
    const replaced = this.#replaceNow(from, store, change);
    this.#replacing = replaced.catch(() => undefined);
    try {
      await replaced;
    } finally {
      this.#replacing = undefined;
    }
    // It is of no account from here on; a crash before this is done leaves it to the next start.
    await from.target.erase(from.id);
  }

  /** @param {CounterTable} from @param {Target} store @param {(values: Record<string, number>) => Record<string, number>} change */
  async #replaceNow(from, store, change) {
    await from.settle();
    const values = change(from.values);
    this.#table = await CounterTable.create(store, this.name, from.capacity, from.generation + 1n, values);
    this.counters.set(this.#table.size);
  }

  /** @param {SnapshotRequest} request */
  async snapshot({ path: folder, removeSource }) {
    const { values } = this.table;
    await makeFolders(folder);
    const file = path.join(folder, SNAPSHOT);
    // Whole or not at all, and on the disk.
    const handle = await open(`${file}.new`, 'w');
    try {
      await handle.writeFile(`${JSON.stringify({ counters: values }, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${file}.new`, file);
    if (removeSource) await this.#replace(this.#store, () => ({}));
  }

  /** @param {RestoreRequest} request */
  async restore({ path: folder }) {
    const values = await readSnapshot(path.join(folder, SNAPSHOT));
    await this.#replace(this.#store, () => values);
  }
}

/** @param {string} file @returns {Promise<Record<string, number>>} */
async function readSnapshot(file) {
  try {
    const { counters } = JSON.parse(await readFile(file, 'utf8'));
    if (Object.values(counters).every(Number.isSafeInteger)) return counters;
  } catch (cause) {
    throw new BedrockError('INVALID_ARGUMENT', `${file} cannot be read as a snapshot`, { cause });
  }
  throw new BedrockError('INVALID_ARGUMENT', `${file} holds values that are no whole numbers`);
}

/** @param {string} name */
function unknown(name) {
  return new BedrockError('NOT_FOUND', `there is no counter ${name}`);
}
