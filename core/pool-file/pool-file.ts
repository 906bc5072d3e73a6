/**
 * The file of a pool: found, created (new-pool-file.ts), locked. Both backends with pool files open
 * them here.
 *
 * After locking, every opener checks that the name still leads to the locked file. An override
 * first locks the old pool, and replaces it with the new one when that is complete.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import type { Logger } from '../base/logging.js';
import { HEADER_BYTES } from '../pool/extent.js';
import { chooseHeader } from '../pool/header-choice.js';
import type { FileOperations } from './file-operations.js';
import { isFull } from './file-space.js';
import { removeLeftovers } from './leftovers.js';
import { makePoolFile, type NewPoolFile } from './new-pool-file.js';
import { noteOpenPool, ownerOf } from './open-pools.js';
import {
  checkKind,
  entryOf,
  nameOf,
  fileOf,
  POOL_NAME,
  type PoolPath,
  warnOfFileSystem,
} from './pool-path.js';

const GONE_TRIES = 8;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export interface PoolFileOptions extends PoolPath {
  /** Size of a pool to create, bytes; undefined: it must exist. */
  createBytes: number | undefined;
  /** Size of a pool that replaces an existing one, bytes; undefined: the existing one is opened. */
  overrideBytes: number | undefined;
  /** Maximum size, bytes. */
  maxBytes: number;
  isReadOnly: boolean;
  /** Alignment of a new pool, bytes. */
  alignment: number;
  /** Pool id of a new pool, 8 bytes; default random. */
  poolId?: Uint8Array | undefined;
  /** For a new pool. */
  accept?: NewPoolFile['accept'];
  /** Type of the backend, for the log. */
  type: string;
  /** Name of the provider. */
  owner: string;
}

/** The file of a pool, open and locked. */
export interface PoolFile {
  /** Its absolute path. */
  readonly path: string;
  /** The open file, which holds the lock. */
  readonly file: FileHandle;
  /** Length of the file, bytes. */
  readonly size: number;
  /** The configured path, which the next start will use. */
  readonly name?: string;
  /** Bytes that the pool uses, according to its header; a truncated file has fewer. */
  readonly capacity: number;
}

/** A file that may hold a pool, open and locked. */
export type FoundFile = Pick<PoolFile, 'path' | 'file' | 'size'>;

/**
 * @throws POOL_NOT_FOUND, POOL_IN_USE, POOL_CORRUPT, NATIVE_UNAVAILABLE (no lock), OUT_OF_SPACE,
 *   START_FAILED
 */
export async function openPoolFile(
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const file = await fileOf(options);
  const found = await openExisting(file, options, operations);
  const opened =
    found !== undefined && options.overrideBytes === undefined
      ? await useExisting(found, options, operations, logger)
      : await replace(file, found, options, operations, logger);
  try {
    await noteOpenPool(opened.file, options.owner);
    if (options.isReadOnly) return opened;
    const name = await entryOf(options);
    await warnOfFileSystem(file, logger);
    await removeLeftovers(file, opened.file, operations, logger);
    return { ...opened, name };
  } catch (error) {
    await opened.file.close();
    throw openFailure(file, error);
  }
}

async function replace(
  file: string,
  found: FoundFile | undefined,
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  try {
    return await create(file, found !== undefined, options, operations, logger);
  } finally {
    await found?.file.close();
  }
}

/**
 * Opens an existing pool, locked: shared for reading, exclusive for changes. Creates nothing, and
 * does not change its length.
 * @throws POOL_NOT_FOUND, POOL_IN_USE, NATIVE_UNAVAILABLE (no lock), START_FAILED (not a file that
 *   could hold a pool)
 */
export async function openPoolAsItIs(
  given: string,
  isReadOnly: boolean,
  operations: FileOperations,
): Promise<FoundFile> {
  const poolPath: PoolPath = { path: given, baseDirectory: process.cwd(), isDirectory: false };
  const file = await fileOf(poolPath);
  const opened = await openExisting(file, { isReadOnly }, operations);
  if (opened !== undefined) return opened;
  throw new BedrockError(
    'POOL_NOT_FOUND',
    `there is no pool at ${nameOf(poolPath, file)}; give the path of a pool's file, or of the directory with ${POOL_NAME} inside`,
    { details: { path: file } },
  );
}

async function openExisting(
  file: string,
  { isReadOnly }: Pick<PoolFileOptions, 'isReadOnly'>,
  operations: FileOperations,
): Promise<FoundFile | undefined> {
  for (let attempt = 0; attempt < GONE_TRIES; attempt++) {
    const handle = await openRegular(file, isReadOnly);
    if (handle === undefined) return undefined;
    try {
      const own = await handle.stat({ bigint: true });
      checkKind(file, own);
      await operations.lock(handle, file, isReadOnly).catch((error: unknown) => {
        throw inUseByUs(file, own, error);
      });
      // Read under the lock: the previous holder may have extended the file.
      const { size } = await handle.stat();
      if (await isStill(file, own)) return { path: file, file: handle, size };
    } catch (error) {
      await handle.close();
      throw error;
    }
    // Another process has replaced it meanwhile.
    await handle.close();
  }
  throw new BedrockError('POOL_IN_USE', `the pool ${file} is being replaced again and again`, {
    details: { path: file },
  });
}

/** If this process holds the lock itself, the error names the provider. */
function inUseByUs(file: string, own: BigIntStats, error: unknown): unknown {
  if (!(error instanceof BedrockError) || error.code !== 'POOL_IN_USE') return error;
  const owner = ownerOf(own);
  if (owner === undefined) return error;
  return new BedrockError(
    'POOL_IN_USE',
    `the pool ${file} is in use: the provider "${owner}" of this process has it open, and a pool belongs to one target alone; give ` +
      'one of them another path',
    { details: { path: file, provider: owner }, cause: error },
  );
}

/** Opens an existing file, without waiting for the other end of a FIFO. @throws START_FAILED */
async function openRegular(file: string, isReadOnly: boolean): Promise<FileHandle | undefined> {
  try {
    // Before it is opened, as opening some devices has side effects.
    checkKind(file, await stat(file));
    const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
    // Links were resolved before; a link that was put here since leads elsewhere.
    return await open(file, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error instanceof BedrockError ? error : openFailure(file, error);
  }
}

/** Prepares an existing pool, and logs how it differs from the configuration. */
async function useExisting(
  found: FoundFile,
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const { path: file, file: handle } = found;
  const { type, createBytes = 0, maxBytes, isReadOnly } = options;
  try {
    logger.info(`Opening existing ${type} pool at ${nameOf(options, file)}`);
    await forgetCached(found, isReadOnly, operations, logger);
    const capacity = await capacityOf(handle);
    const mayGrowTo = isReadOnly ? capacity : Math.max(capacity, maxBytes);
    logger.info(
      sizeLine(capacity, mayGrowTo) +
        differenceOf({ capacity, configured: Math.max(createBytes, maxBytes), mayGrowTo }),
      { capacity, mayGrowTo },
    );
    return { path: file, file: handle, size: await roomFor(found, capacity, mayGrowTo, logger), capacity };
  } catch (error) {
    await handle.close();
    if (!(error instanceof BedrockError)) throw openFailure(file, error);
    const cure = error.details.absent === true ? '; give another path, or move the file away' : '';
    throw new BedrockError(error.code, `the pool ${file} cannot be opened: ${error.message}${cure}`, {
      details: { ...error.details, path: file },
      cause: error,
    });
  }
}

/**
 * Recovery must believe only what the medium has, not what only the page cache has: after a failed
 * write-back Linux marks pages clean that never arrived. Dirty pages are written first.
 *
 * What a full file system refuses of them was never acknowledged as durable. So it is dropped, if
 * possible, and the pool is served from the medium. A second refusal leaves it unknown what the
 * medium has.
 */
async function forgetCached(
  { path: file, file: handle }: FoundFile,
  isReadOnly: boolean,
  operations: FileOperations,
  logger: Logger,
): Promise<void> {
  try {
    if (!isReadOnly) await handle.datasync();
  } catch (error) {
    if (!isFull(error) || operations.dropCache === undefined) throw error;
    logger.warning(
      `bytes that were stored in the pool ${file}, and not made durable, are dropped: ${withCure(error)}`,
    );
    await operations.dropCache(handle);
    await handle.datasync();
  }
  await operations.dropCache?.(handle);
}

/**
 * Extends the file of a pool that may grow. Only if the file is whole: the lost part of a truncated
 * file would come back as zeros. Without room for a longer file the pool is served as it is, and
 * does not grow.
 */
async function roomFor(
  { path: file, file: handle, size }: FoundFile,
  capacity: number,
  mayGrowTo: number,
  logger: Logger,
): Promise<number> {
  if (mayGrowTo <= size || capacity > size) return size;
  try {
    await handle.truncate(mayGrowTo);
    return mayGrowTo;
  } catch (error) {
    if (!isFull(error)) throw error;
    logger.warning(`the pool ${file} does not grow until it is opened again: ${withCure(error)}`);
    return size;
  }
}

function sizeLine(capacity: number, mayGrowTo: number): string {
  const growth = mayGrowTo > capacity ? `, growing up to ${inUnits(mayGrowTo)}` : '';
  return `Pool size: ${inUnits(capacity)}${growth}`;
}

interface Sizes {
  capacity: number;
  /** The largest size in the settings; 0 if none. */
  configured: number;
  mayGrowTo: number;
}

function differenceOf({ capacity, configured, mayGrowTo }: Sizes): string {
  if (configured > mayGrowTo)
    return `; the configured ${inUnits(configured)} are for a new pool, and max_size lets this one grow`;
  if (configured > 0 && configured < capacity)
    return `; ${inUnits(configured)} are configured, but a pool never shrinks`;
  return '';
}

/** 67108864 is `64 MiB`; at most two decimals. */
function inUnits(bytes: number): string {
  const power = UNITS.findLastIndex((_unit, index) => bytes >= 1024 ** index);
  return `${Number((bytes / 1024 ** power).toFixed(2))} ${UNITS[power] ?? ''}`;
}

async function isStill(file: string, { dev, ino }: BigIntStats): Promise<boolean> {
  const named = await stat(file, { bigint: true }).catch(() => undefined);
  return named?.dev === dev && named.ino === ino;
}

async function create(
  file: string,
  replaces: boolean,
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const { isReadOnly, type, maxBytes, ...others } = options;
  const capacity = replaces ? options.overrideBytes : options.createBytes;
  if (capacity === undefined || isReadOnly) {
    const cure = isReadOnly
      ? 'read_only makes none'
      : 'give create_if_missing_with_size to have one made, or correct the path';
    throw new BedrockError('POOL_NOT_FOUND', `there is no pool at ${nameOf(options, file)}; ${cure}`, {
      details: { path: file },
    });
  }
  const size = Math.max(capacity, maxBytes);
  logger.info(`Creating new ${type} pool at ${nameOf(options, file)}`);
  logger.info(sizeLine(capacity, size), { capacity, mayGrowTo: size });
  const handle = await makePoolFile(file, { ...others, capacity, size, replaces }, operations, logger);
  if (handle !== undefined) return { path: file, file: handle, size, capacity };
  // Another process was faster.
  const winner = await openExisting(file, options, operations);
  if (winner !== undefined) return useExisting(winner, options, operations, logger);
  throw new BedrockError('START_FAILED', `the pool ${file} was deleted again as soon as it was made`, {
    details: { path: file },
  });
}

/** Bytes that the pool uses, according to its header. @throws POOL_CORRUPT, NOT_SUPPORTED */
export async function capacityOf(file: FileHandle): Promise<number> {
  return chooseHeader(await readHeader(file, 0), await readHeader(file, HEADER_BYTES)).header.capacity;
}

/** One copy. If the medium has lost it, it counts as damaged, as the other copy may be whole. */
async function readHeader(file: FileHandle, offset: number): Promise<Uint8Array | undefined> {
  const bytes = Buffer.alloc(HEADER_BYTES);
  try {
    for (let at = 0; at < HEADER_BYTES;) {
      const { bytesRead } = await file.read(bytes, at, HEADER_BYTES - at, offset + at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  } catch {
    return undefined;
  }
}

/** Deletes the pool's file; nobody may have it open. */
export async function deletePoolFile(poolPath: PoolPath): Promise<void> {
  await unlink(await fileOf(poolPath)).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
}

/** Converts a system error while a pool was opened to the daemon's error. */
export function openFailure(file: string, cause: unknown): BedrockError {
  const readable = isFull(cause) ? '; with read_only it can be read as it is' : '';
  return new BedrockError(
    'START_FAILED',
    `the pool ${file} cannot be opened: ${withCure(cause)}${readable}`,
    {
      details: { path: file },
      cause,
    },
  );
}
