/** The library: the provider type `counter`. */
import { defineProvider } from 'bedrock-node';
import { CounterProvider } from './counter-provider.js';

/** @import { CounterConfig } from './counter-provider.js' */

export default defineProvider({
  apiVersion: 1,
  type: 'counter',
  schema: new URL('./schema.json', import.meta.url),
  dependencies: [{ name: 'store', type: 'warabi', updatable: true }],
  create: (/** @type {CounterConfig} */ config, context) => new CounterProvider(config, context),
});
