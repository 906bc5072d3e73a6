/** What the daemon loads by `libraries`: the target type "sample". */
import { defineBackend } from 'bedrock-node';
import type { SampleConfig } from './config.js';
import { SAMPLE_CAPABILITIES, SampleTarget } from './sample-target.js';

export default defineBackend<SampleConfig>({
  apiVersion: 1,
  type: 'sample',
  schema: new URL('../schema.json', import.meta.url),
  capabilities: SAMPLE_CAPABILITIES,
  create: (config, context) => new SampleTarget(config, context),
});
