/** The definition of the pmem backend: its type, its schema and the medium of its pools. */
import { BedrockError, definePoolBackend, type Capabilities, type OpenedPoolFile } from '../../core/index.js';
import type { Mapping, mapFile } from '../../native/index.js';
import { PmemMedium } from './pmem-medium.js';

export const PMEM_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: true,
  growable: true,
  importable: true,
  snapshots: false,
  named: true,
  transactional: true,
};

export default definePoolBackend({
  type: 'pmem',
  aliases: ['pmdk'],
  schema: new URL('../../schemas/pmem.schema.json', import.meta.url),
  capabilities: PMEM_CAPABILITIES,
  // The fastest access size of persistent memory is also where regions begin.
  defaultAlignment: 256,
  defaultSyncWrites: true,
  async accept({ file, path, requiresPmem }) {
    const { mapFile: map } = await import('../../native/index.js');
    const mapping = await map(path, { file });
    await mapping.close();
    checkPmem(path, mapping, requiresPmem);
  },
  async load() {
    const native = await import('../../native/index.js');
    return async (opened) => {
      const { io, sync, syncWrites, reclaims, logger } = opened;
      const mapping = await mapPool(opened, native.mapFile);
      const { libpmem, libpmemReason } = native.attributes();
      if (libpmem === null)
        logger.info(`libpmem is not used (${libpmemReason}): regions become durable by msync`);
      if (!sync)
        logger.info('sync: false has no effect on the backend "pmem": its regions are durable in any case');
      if (reclaims)
        logger.info(
          'reclaim has no effect on the backend "pmem", whose file is mapped: the space of erased regions stays in the pool',
        );
      return new PmemMedium({ io, mapping, syncWrites });
    };
  },
});

/** @throws OUT_OF_SPACE, START_FAILED, errors of the system */
async function mapPool(
  { path, file, io, size, capacity, isReadOnly, requiresPmem }: OpenedPoolFile,
  map: typeof mapFile,
): Promise<Mapping> {
  // Holes, for example from `file` with reclaim, must be allocated before they are mapped. A
  // truncated file is not extended: its lost regions would come back as zeros.
  if (!isReadOnly) await io.space.fillHoles(Math.min(size, capacity));
  // By its descriptor, which is that of the locked file.
  const mapping = await map(path, { file, readOnly: isReadOnly });
  try {
    checkPmem(path, mapping, requiresPmem);
    return mapping;
  } catch (error) {
    await mapping.close();
    throw error;
  }
}

/** @throws START_FAILED */
function checkPmem(path: string, { isPmem }: Mapping, requiresPmem: boolean): void {
  if (!requiresPmem || isPmem) return;
  throw new BedrockError(
    'START_FAILED',
    `${path} is not on persistent memory, which require_pmem requires; put it on a DAX file system, or set require_pmem to false`,
  );
}
