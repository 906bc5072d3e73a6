/**
 * The provider type `yokan`: a key-value store, modelled on Mochi's component of that name, with
 * its configuration. It is a thin layer over one target with names: a key is a name, and its value
 * is the region that has the name. So the doors also serve the pairs as regions.
 */
import {
  API_VERSION,
  defineProvider,
  type ConfigCheck,
  type Provider,
  type ProviderContext,
} from '../../core/index.js';
import type { YokanConfig, YokanDatabaseConfig } from '../../schemas/generated/yokan.js';
import { YokanProvider } from './yokan-provider.js';

/** Yokan's types of database, and the backend that each one means here. */
const BACKENDS: Readonly<Record<string, string>> = {
  map: 'memory',
  unordered_map: 'memory',
  pmem: 'pmem',
  file: 'file',
};

function backendOf({ database }: YokanConfig): string | undefined {
  return Object.hasOwn(BACKENDS, database.type) ? BACKENDS[database.type] : undefined;
}

function validate(config: YokanConfig, check: ConfigCheck): void {
  const type = backendOf(config);
  if (type === undefined)
    check.report(['database', 'type'], config.database.type, Object.keys(BACKENDS).join(', '));
  else check.backend(['database'], { type, config: settingsOf(config.database) });
}

/** Settings of the database's type. The schema has filled in the defaults. */
function settingsOf({ config = {} }: YokanDatabaseConfig): Record<string, unknown> {
  return config;
}

async function create(config: YokanConfig, context: ProviderContext): Promise<Provider> {
  const target = await context.createTarget(backendOf(config) as string, settingsOf(config.database));
  return new YokanProvider(target, config as Required<YokanConfig>, context);
}

export default defineProvider<YokanConfig>({
  apiVersion: API_VERSION,
  type: 'yokan',
  schema: new URL('../../schemas/yokan.schema.json', import.meta.url),
  validate,
  create,
});
