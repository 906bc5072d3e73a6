/** The file backend, as a library brings it: its type, its schema and how to make a target. */
import {
  PoolFileIo,
  PoolTarget,
  defineBackend,
  deletePoolFile,
  fileOperations,
  openPoolFile,
  type Capabilities,
} from '../../core/index.js';
import type { FileConfig } from '../../schemas/generated/file.js';
import { FileMedium } from './file-medium.js';

export const FILE_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: true,
  importable: true,
  snapshots: false,
};

/** A page, the unit in which disks are written. */
const DEFAULT_ALIGNMENT = 4096;

export default defineBackend<FileConfig>({
  apiVersion: 1,
  type: 'file',
  schema: new URL('../../schemas/file.schema.json', import.meta.url),
  capabilities: FILE_CAPABILITIES,
  create(config, { logger, clock, baseDirectory, poolId }) {
    const place = { path: config.path, isDirectory: config.size !== undefined, baseDirectory };
    const isReadOnly = config.read_only ?? false;
    const maxBytes = config.max_size ?? 0;
    return new PoolTarget({
      type: 'file',
      capabilities: FILE_CAPABILITIES,
      isReadOnly,
      logger,
      clock,
      storage: {
        async open() {
          const operations = await fileOperations();
          const opened = await openPoolFile(
            {
              ...place,
              createBytes: config.create_if_missing_with_size ?? config.size,
              maxBytes,
              overrideIfExists: config.override_if_exists ?? false,
              isReadOnly,
              alignment: config.alignment ?? DEFAULT_ALIGNMENT,
              poolId,
              type: 'file',
            },
            operations,
            logger,
          );
          const { sync = true, sync_writes: syncWrites = false } = config;
          const io = new PoolFileIo(opened, operations);
          return { medium: new FileMedium({ io, size: opened.size, sync, syncWrites }), maxBytes };
        },
        destroy: () => deletePoolFile(place),
      },
    });
  },
});
