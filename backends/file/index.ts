/** The file backend, as a library brings it: its type, its schema and the medium of its pools. */
import { definePoolBackend, type Capabilities } from '../../core/index.js';
import { FileMedium } from './file-medium.js';

export const FILE_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: true,
  importable: true,
  snapshots: false,
};

export default definePoolBackend({
  type: 'file',
  aliases: ['abtio', 'abt-io'],
  schema: new URL('../../schemas/file.schema.json', import.meta.url),
  capabilities: FILE_CAPABILITIES,
  // A page, the unit in which disks are written.
  defaultAlignment: 4096,
  defaultSyncWrites: false,
  load:
    () =>
    ({ io, size, sync, syncWrites, requiresPmem, logger }) => {
      if (requiresPmem)
        logger.warning(
          'require_pmem asks nothing of the backend "file", which maps no memory; "pmem" keeps it',
        );
      return new FileMedium({ io, size, sync, syncWrites });
    },
});
