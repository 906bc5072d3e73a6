/**
 * The pools that this process has open, and for whom: a lock tells of its holder no more than the process, which may be this one.
 */
import type { FileHandle } from 'node:fs/promises';

/** What tells a file from all others. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

interface OpenPool extends Identity {
  readonly file: FileHandle;
  readonly owner: string;
}

const pools = new Set<OpenPool>();

/** Notes a pool, until its file is closed. @param owner the provider's name */
export async function noteOpenPool(file: FileHandle, owner: string): Promise<void> {
  for (const pool of pools) if (pool.file.fd < 0) pools.delete(pool);
  const { dev, ino } = await file.stat({ bigint: true });
  pools.add({ file, owner, dev, ino });
}

/** The provider that has a file open. */
export function ownerOf({ dev, ino }: Identity): string | undefined {
  for (const pool of pools) if (pool.file.fd >= 0 && pool.dev === dev && pool.ino === ino) return pool.owner;
  return undefined;
}
