/**
 * The pools that this process has open, and their providers: the system shows only the process that
 * holds a lock, which may be this one.
 */
import type { FileHandle } from 'node:fs/promises';

/** The identity of a file. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

interface OpenPool extends Identity {
  readonly file: FileHandle;
  readonly owner: string;
}

const pools = new Set<OpenPool>();

/** Registers a pool until its file is closed. @param owner the provider's name */
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
