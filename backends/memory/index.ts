/** The definition of the memory backend: its type, its schema and how to create a target. */
import { defineBackend } from '../../core/index.js';
import type { MemoryConfig } from '../../schemas/generated/memory.js';
import { MEMORY_CAPABILITIES, MemoryTarget } from './memory-target.js';

export default defineBackend<MemoryConfig>({
  apiVersion: 1,
  type: 'memory',
  schema: new URL('../../schemas/memory.schema.json', import.meta.url),
  capabilities: MEMORY_CAPABILITIES,
  create: (config, context) => new MemoryTarget(config, context),
});
