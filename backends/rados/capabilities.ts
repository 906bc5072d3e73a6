/** What every rados target can do: apart from the target, so that this is known before that is loaded. */
import type { Capabilities } from '../../core/index.js';

export const RADOS_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: true,
  snapshots: false,
  named: true,
  transactional: false,
};
