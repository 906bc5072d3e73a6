/** The memory backend, as a library brings it: its type, its schema and how to make a target. */
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
