/** The pmem backend, as a library brings it: its type, its schema and how to make a target. */
import {
  BedrockError,
  PoolFileIo,
  PoolTarget,
  capacityOf,
  defineBackend,
  deletePoolFile,
  fileOperations,
  openPoolFile,
  type Capabilities,
  type OpenedStorage,
} from '../../core/index.js';
import type { PmemConfig } from '../../schemas/generated/pmem.js';
import { PmemMedium } from './pmem-medium.js';

export const PMEM_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: true,
  growable: true,
  importable: true,
  snapshots: false,
};

/** The size at which persistent memory is fastest, 256 bytes, is also where regions begin. */
const DEFAULT_ALIGNMENT = 256;

export default defineBackend<PmemConfig>({
  apiVersion: 1,
  type: 'pmem',
  schema: new URL('../../schemas/pmem.schema.json', import.meta.url),
  capabilities: PMEM_CAPABILITIES,
  async create(config, { logger, clock, baseDirectory, poolId }) {
    // Now, so that a daemon that lacks it says so before it opens anything.
    const { mapFile } = await import('../../native/index.js');
    const place = { path: config.path, isDirectory: config.size !== undefined, baseDirectory };
    const isReadOnly = config.read_only ?? false;
    const maxBytes = config.max_size ?? 0;

    const open = async (): Promise<OpenedStorage> => {
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
          type: 'pmem',
        },
        operations,
        logger,
      );
      const { file, path, size } = opened;
      try {
        // What `file` has punched must be backed again before it is mapped. A file that was cut off is not made longer: its lost
        // regions would come back as zeros.
        if (!isReadOnly) await operations.allocate(file, 0, Math.min(size, await capacityOf(file)));
        // By its descriptor, which is the file that is locked.
        const mapping = await mapFile(`/proc/self/fd/${file.fd}`);
        if (config.require_pmem === true && !mapping.isPmem) {
          await mapping.close();
          throw new BedrockError(
            'START_FAILED',
            `${path} is not on persistent memory, and require_pmem asks for it; put it on a DAX file system, or use the backend "file"`,
          );
        }
        const syncWrites = config.sync_writes ?? true;
        const io = new PoolFileIo(opened, operations);
        return { medium: new PmemMedium({ io, mapping, syncWrites }), maxBytes };
      } catch (error) {
        await file.close();
        throw error;
      }
    };

    return new PoolTarget({
      type: 'pmem',
      capabilities: PMEM_CAPABILITIES,
      isReadOnly,
      logger,
      clock,
      storage: { open, destroy: () => deletePoolFile(place) },
    });
  },
});
