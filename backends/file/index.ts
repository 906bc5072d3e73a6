/** The definition of the file backend: its type, its schema and the medium of its pools. */
import { statfs } from 'node:fs/promises';
import { BedrockError, definePoolBackend, type Capabilities, type OpenedPoolFile } from '../../core/index.js';
import { FileMedium } from './file-medium.js';

export const FILE_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: true,
  importable: true,
  snapshots: false,
  named: true,
  transactional: true,
};

export default definePoolBackend({
  type: 'file',
  aliases: ['abtio', 'abt-io'],
  schema: new URL('../../schemas/file.schema.json', import.meta.url),
  capabilities: FILE_CAPABILITIES,
  // A page, the unit of disk writes.
  defaultAlignment: 4096,
  defaultSyncWrites: false,
  load: () => async (opened) => {
    const { io, size, sync, syncWrites, requiresPmem, logger } = opened;
    if (requiresPmem)
      logger.warning(
        'require_pmem has no effect on the backend "file", which maps no memory; use "pmem" for it',
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
      overwrites: await overwrites(opened),
    });
  },
});

/**
 * File systems that overwrite bytes where they are, by the numbers of statfs(2): ext2 to ext4, XFS,
 * tmpfs. On others an overwrite may need new space, and be refused.
 */
const OVERWRITING: ReadonlySet<number> = new Set([0xef53, 0x5846_5342, 0x0102_1994]);

async function overwrites({ io, path }: OpenedPoolFile): Promise<boolean> {
  const found = await statfs(`/proc/self/fd/${io.file.fd}`).catch(() => statfs(path).catch(() => undefined));
  return found !== undefined && OVERWRITING.has(found.type);
}

/**
 * Allocates all space of the pool. If that fails, the pool is served nevertheless, and a region
 * gets its space when it is created.
 */
async function hasSpace({ io, path, size, capacity, isReadOnly, logger }: OpenedPoolFile): Promise<boolean> {
  if (isReadOnly) return true;
  try {
    // A truncated file is not extended: its lost regions would come back as zeros.
    await io.space.fillHoles(Math.min(size, capacity));
    return true;
  } catch (error) {
    if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
    logger.warning(
      `the pool ${path} has holes, like a sparse copy, and not all of them can get space: ${error.message}; new regions get space when they are created, but writes to regions that are holes may fail`,
    );
    return false;
  }
}
