/**
 * The file of a pool: found, made (new-pool-file.ts), locked. Both backends that keep pools in files open them here.
 *
 * Every opener checks after locking that the name still leads to the file that it has locked. Overriding locks the old pool first, and puts
 * the new one, when it is whole, in its place.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import type { Logger } from '../base/logging.js';
import { HEADER_BYTES } from '../pool/extent.js';
import { chooseHeader } from '../pool/header-choice.js';
import type { FileOperations } from './file-operations.js';
import { removeLeftovers } from './leftovers.js';
import { makePoolFile, type NewPoolFile } from './new-pool-file.js';
import { noteOpenPool, ownerOf } from './open-pools.js';
import {
  checkKind,
  entryOf,
  nameOf,
  placeOf,
  POOL_NAME,
  type PoolPlace,
  warnOfFileSystem,
} from './pool-place.js';

const GONE_TRIES = 8;
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export interface PoolFileOptions extends PoolPlace {
  /** Size of a pool that has to be made, bytes; undefined: it must be there. */
  createBytes: number | undefined;
  /** Size of a pool that takes the place of one that is there, bytes; undefined: that one is opened. */
  overrideBytes: number | undefined;
  /** Most that it may grow to. */
  maxBytes: number;
  isReadOnly: boolean;
  /** Of a pool that is made, bytes. */
  alignment: number;
  /** Of a pool that is made, 8 bytes; random unless told. */
  poolId?: Uint8Array | undefined;
  /** Of a pool that is made. */
  accept?: NewPoolFile['accept'];
  /** Backend that asks, for the log. */
  type: string;
  /** Name of the provider that asks. */
  owner: string;
}

/** A file that may hold a pool, open and locked. */
export interface FoundFile {
  readonly path: string;
  readonly file: FileHandle;
  /** Length of the file, bytes. */
  readonly size: number;
}

export interface PoolFile extends FoundFile {
  /** The path that was configured, by which the next start looks for the file. */
  readonly name?: string;
  /** Bytes that the pool takes of it, as its header says; a file that was cut off has fewer. */
  readonly capacity: number;
}

/** @throws POOL_NOT_FOUND, POOL_IN_USE, POOL_CORRUPT, NATIVE_UNAVAILABLE (no lock), OUT_OF_SPACE, START_FAILED */
export async function openPoolFile(
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const file = await placeOf(options);
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
 * Opens a pool that must be there, locked: shared to look at it, alone to change it. Nothing is made, and its length stays.
 * @throws POOL_NOT_FOUND, POOL_IN_USE, NATIVE_UNAVAILABLE (no lock), START_FAILED (no file that could hold a pool)
 */
export async function openPoolAsItIs(
  given: string,
  isReadOnly: boolean,
  operations: FileOperations,
): Promise<FoundFile> {
  const place: PoolPlace = { path: given, baseDirectory: process.cwd(), isDirectory: false };
  const file = await placeOf(place);
  const opened = await openExisting(file, { isReadOnly }, operations);
  if (opened !== undefined) return opened;
  throw new BedrockError(
    'POOL_NOT_FOUND',
    `there is no pool at ${nameOf(place, file)}; give the path of a pool's file, or of the directory with ${POOL_NAME} inside`,
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
      // Asked under the lock: whoever had it before may have made the file longer.
      const { size } = await handle.stat();
      if (await isStill(file, own)) return { path: file, file: handle, size };
    } catch (error) {
      await handle.close();
      throw error;
    }
    // Another process has replaced it in between.
    await handle.close();
  }
  throw new BedrockError('POOL_IN_USE', `the pool ${file} is being replaced again and again`, {
    details: { path: file },
  });
}

/** A lock that this process holds itself is named by its provider. */
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

/** Opens what is there, without waiting for the other end of a FIFO. @throws START_FAILED */
async function openRegular(file: string, isReadOnly: boolean): Promise<FileHandle | undefined> {
  try {
    // Before it is opened, as opening is an act on some devices.
    checkKind(file, await stat(file));
    const access = isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
    // Where links lead was found out before; one that was put here since leads elsewhere.
    return await open(file, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error instanceof BedrockError ? error : openFailure(file, error);
  }
}

/** Readies a pool that is there, and says what it is beside what is configured. */
async function useExisting(
  { path: file, file: handle, size }: FoundFile,
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const { type, createBytes = 0, maxBytes, isReadOnly } = options;
  try {
    logger.info(`Opening existing ${type} pool at ${nameOf(options, file)}`);
    await forgetCached(handle, isReadOnly, operations);
    const capacity = await capacityOf(handle);
    const mayGrowTo = isReadOnly ? capacity : Math.max(capacity, maxBytes);
    logger.info(
      sizeLine(capacity, mayGrowTo) +
        differenceOf({ capacity, configured: Math.max(createBytes, maxBytes), mayGrowTo }),
      { capacity, mayGrowTo },
    );
    return { path: file, file: handle, size: await roomFor(handle, size, capacity, mayGrowTo), capacity };
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
 * What the medium has is what recovery may believe, and not what only the kernel's cache has: after a failed write-back Linux calls
 * pages clean that never arrived. What is still to be written goes out first.
 */
async function forgetCached(
  file: FileHandle,
  isReadOnly: boolean,
  operations: FileOperations,
): Promise<void> {
  if (!isReadOnly) await file.datasync();
  await operations.dropCache?.(file);
}

/**
 * Gives a pool that may grow its length. Only a whole one: what a file that was cut off has lost would come back as zeros.
 */
async function roomFor(file: FileHandle, size: number, capacity: number, mayGrowTo: number): Promise<number> {
  if (mayGrowTo <= size || capacity > size) return size;
  await file.truncate(mayGrowTo);
  return mayGrowTo;
}

function sizeLine(capacity: number, mayGrowTo: number): string {
  const growth = mayGrowTo > capacity ? `, growing up to ${inUnits(mayGrowTo)}` : '';
  return `Pool size: ${inUnits(capacity)}${growth}`;
}

interface Sizes {
  capacity: number;
  /** The largest that the settings name; 0 if none. */
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

/** 67108864 is `64 MiB`; two digits behind the point at most. */
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

/** Bytes that the pool takes, as its header says. @throws POOL_CORRUPT, NOT_SUPPORTED */
export async function capacityOf(file: FileHandle): Promise<number> {
  return chooseHeader(await readHeader(file, 0), await readHeader(file, HEADER_BYTES)).header.capacity;
}

/** One copy; what the medium has lost of it is damage, as the other may be whole. */
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

/** Deletes the pool's file; nobody has it open. */
export async function deletePoolFile(place: PoolPlace): Promise<void> {
  await unlink(await placeOf(place)).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
}

function openFailure(file: string, cause: unknown): BedrockError {
  return new BedrockError('START_FAILED', `the pool ${file} cannot be opened: ${withCure(cause)}`, {
    details: { path: file },
    cause,
  });
}
