/** The file backend, as a library brings it: its type, its schema and the medium of its pools. */
import { BedrockError, definePoolBackend, type Capabilities, type OpenedPoolFile } from '../../core/index.js';
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
  load: () => async (opened) => {
    const { io, size, sync, syncWrites, requiresPmem, logger } = opened;
    if (requiresPmem)
      logger.warning(
        'require_pmem asks nothing of the backend "file", which maps no memory; "pmem" keeps it',
      );
    const reclaims = opened.reclaims && io.space.canDiscard;
    if (opened.reclaims && !reclaims)
      logger.warning('reclaim needs the native addon; the space of erased regions stays in the pool');
    return new FileMedium({
      io,
      size,
      sync,
      syncWrites,
      reclaims,
      isSparse: reclaims || !(await hasSpace(opened)),
    });
  },
});

/** Sees to it that the whole pool has its space. Without it the pool is served all the same, and a region that is made gets its space then. */
async function hasSpace({ io, path, size, capacity, isReadOnly, logger }: OpenedPoolFile): Promise<boolean> {
  if (isReadOnly) return true;
  try {
    // A file that was cut off is not made longer: its lost regions would come back as zeros.
    await io.space.fillHoles(Math.min(size, capacity));
    return true;
  } catch (error) {
    if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
    logger.warning(
      `the pool ${path} has holes, as a sparse copy has, and not all can be given space: ${error.message}; new regions get theirs when they are made, but writes to regions that are holes may fail`,
    );
    return false;
  }
}
