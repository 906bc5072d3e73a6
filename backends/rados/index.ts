/**
 * The definition of the rados backend: its type, its schema and how to create a target. The addon
 * is loaded when a target opens.
 */
import path from 'node:path';
import { defineBackend } from '../../core/index.js';
import type { RadosSettings } from './cluster.js';
import { diagnoseRados } from './diagnose.js';
import { RADOS_CAPABILITIES, RadosTarget } from './rados-target.js';

export default defineBackend<RadosSettings>({
  apiVersion: 1,
  type: 'rados',
  schema: new URL('../../schemas/rados.schema.json', import.meta.url),
  capabilities: RADOS_CAPABILITIES,
  diagnose: (config, { baseDirectory }) => diagnoseRados(withPaths(config, baseDirectory)),
  create: (config, context) => new RadosTarget(withPaths(config, context.baseDirectory), context),
});

function withPaths({ conf, keyring, ...config }: RadosSettings, directory: string): RadosSettings {
  const at = (file: string): string => path.resolve(directory, file);
  return { ...config, conf: at(conf), ...(keyring !== undefined && { keyring: at(keyring) }) };
}
