/**
 * The definition of the rados backend: its type, its schema and how to create a target. Like every
 * built-in backend it comes through the library door. Its code is loaded when a configuration has
 * such a target, and its addon when one opens.
 */
import path from 'node:path';
import { defineBackend } from '../../core/index.js';
import type { RadosSettings } from './cluster.js';
import { RADOS_CAPABILITIES } from './capabilities.js';

export default defineBackend<RadosSettings>({
  apiVersion: 1,
  type: 'rados',
  schema: new URL('../../schemas/rados.schema.json', import.meta.url),
  capabilities: RADOS_CAPABILITIES,
  async diagnose(config, { baseDirectory }) {
    const { diagnoseRados } = await import('./diagnose.js');
    return diagnoseRados(withPaths(config, baseDirectory));
  },
  async create(config, context) {
    const { RadosTarget } = await import('./rados-target.js');
    return new RadosTarget(withPaths(config, context.baseDirectory), context, { poolId: context.poolId });
  },
});

function withPaths({ conf, keyring, ...config }: RadosSettings, directory: string): RadosSettings {
  const at = (file: string): string => path.resolve(directory, file);
  return { ...config, conf: at(conf), ...(keyring !== undefined && { keyring: at(keyring) }) };
}
