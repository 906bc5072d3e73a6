/** What the daemon loads by `libraries`: the provider type "sample". */
import { defineProvider } from 'bedrock-node';
import type { SampleConfig } from './config.js';
import { SampleProvider } from './sample-provider.js';

export default defineProvider<SampleConfig>({
  apiVersion: 1,
  type: 'sample',
  schema: new URL('../schema.json', import.meta.url),
  // Under this key the configuration names a warabi provider that stands before this one.
  dependencies: [{ name: 'store', type: 'warabi' }],
  create: (config, context) => new SampleProvider(config, context),
});
