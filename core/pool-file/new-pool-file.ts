/**
 * Creates a pool's file: nobody ever finds half a pool under its name, and a refused pool leaves
 * nothing behind.
 *
 * Order: the folder -> a file without its name, locked (unfinished-file.ts) -> length -> checks
 * that may refuse it -> space -> format -> fsync -> its name, unless that is taken -> fsync of the
 * folder.
 */
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../base/clock.js';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { unmakeFolders } from '../base/folders.js';
import { withCure } from '../base/system-cure.js';
import type { Logger } from '../base/logging.js';
import { formatPool } from '../pool/format.js';
import type { FileOperations } from './file-operations.js';
import { makeFolder, nameOf, type PoolPath } from './pool-path.js';
import { makeFile } from './unfinished-file.js';

export interface NewPoolFile extends PoolPath {
  /** Its first capacity, bytes, and the length of the file, which it may grow to. */
  capacity: number;
  size: number;
  alignment: number;
  /** 8 bytes; default random. */
  poolId?: Uint8Array | undefined;
  /** Whether the pool replaces an existing one, which is locked. */
  replaces: boolean;
  /**
   * Throws to refuse a file in which the backend cannot keep its pool. It has its length, but no
   * space yet.
   */
  accept?: ((file: FileHandle, path: string) => Promise<void>) | undefined;
}

/**
 * @param file path of the pool's file
 * @returns the file, open and locked; undefined if another process was faster
 * @throws OUT_OF_SPACE, NOT_SUPPORTED (no locks there), START_FAILED, what `accept` throws
 */
export async function makePoolFile(
  file: string,
  options: NewPoolFile,
  operations: FileOperations,
  logger: Logger,
): Promise<FileHandle | undefined> {
  const { replaces } = options;
  const madeFolder = await makeFolder(options, file);
  try {
    const made = await makeFile(file, operations, replaces, (handle) =>
      fill(handle, file, options, operations),
    );
    if (!made.isDurable)
      logger.warning(
        `${path.dirname(file)} is on a file system that cannot make names durable: after a power failure, ${file} may have lost its name`,
      );
    return made.file;
  } catch (error) {
    if (!replaces && systemCodeOf(error) === 'EEXIST') return undefined;
    await unmakeFolders(path.dirname(file), madeFolder);
    if (error instanceof BedrockError) throw error;
    throw new BedrockError(
      'START_FAILED',
      `no pool can be made at ${nameOf(options, file)}: ${withCure(error)}`,
      { details: { path: file }, cause: error },
    );
  }
}

async function fill(
  handle: FileHandle,
  file: string,
  { accept, capacity, size, alignment, poolId }: NewPoolFile,
  operations: FileOperations,
): Promise<void> {
  await handle.truncate(size);
  await accept?.(handle, file);
  await operations.allocate(handle, 0, capacity).catch((error: unknown) => {
    throw noSpace(file, capacity, error);
  });
  const format = formatPool({ capacity, alignment, createdAt: systemClock.now(), poolId });
  for (const { offset, bytes } of format) await writeWhole(handle, bytes, offset);
  await handle.sync();
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
}

function noSpace(file: string, requested: number, cause: unknown): unknown {
  const code = systemCodeOf(cause);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return cause;
  return new BedrockError(
    'OUT_OF_SPACE',
    `the file system of ${file} has no ${requested} bytes for the pool`,
    { details: { requested }, cause },
  );
}
