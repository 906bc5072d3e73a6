/** What the daemon loads by `libraries`: the provider type "sample". */
import { defineProvider } from 'bedrock-node';
import type { SampleConfig } from './config.js';
import { SAMPLE_SCHEMA, SampleProvider } from './sample-provider.js';

export default defineProvider({
  apiVersion: 1,
  type: 'sample',
  schema: SAMPLE_SCHEMA,
  // Under this key the configuration names a warabi provider that stands before this one, or one of another daemon.
  dependencies: [{ name: 'store', type: 'warabi' }],
  create: (config: SampleConfig, context) => new SampleProvider(config, context),
});
