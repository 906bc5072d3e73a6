/**
 * The file of a pool: found, made, locked. Both backends that keep pools in files open them here.
 *
 * Creation, so that nobody ever finds half a pool under its name: a temporary file beside it -> lock -> length and space -> format ->
 * fsync -> link under the name (whoever finds the name taken opens what is there) -> fsync of the directory. Overriding locks the old
 * pool first, and renames over it. Every opener checks after locking that the name still leads to the file that it has locked.
 */
import { randomBytes } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { link, mkdir, open, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import type { Logger } from '../logging.js';
import { HEADER_BYTES } from '../pool/extent.js';
import { formatPool } from '../pool/format.js';
import { chooseHeader } from '../pool/header-choice.js';
import type { FileOperations } from './file-operations.js';

/** Name of the pool in a directory, as Warabi has it. */
const POOL_NAME = 'pool.pmem';
const GONE_TRIES = 8;

export interface PoolFileOptions {
  /** As configured. */
  path: string;
  /** Folder that a relative path counts from. */
  baseDirectory: string;
  /** Whether the path is that of a directory if nothing is there yet; it is also if it ends in a slash. */
  isDirectory: boolean;
  /** Size of a pool that has to be made, bytes; undefined: it must be there. */
  createBytes: number | undefined;
  /** Most that it may grow to. */
  maxBytes: number;
  overrideIfExists: boolean;
  isReadOnly: boolean;
  /** Of a pool that is made, bytes. */
  alignment: number;
  /** Of a pool that is made, 8 bytes; random unless told. */
  poolId?: Uint8Array | undefined;
  /** Backend that asks, for the log. */
  type: string;
}

export interface PoolFile {
  readonly path: string;
  readonly file: FileHandle;
  /** Bytes. */
  readonly size: number;
}

/** @throws POOL_NOT_FOUND, POOL_IN_USE, NATIVE_UNAVAILABLE (no lock), OUT_OF_SPACE, what the system says */
export async function openPoolFile(
  options: PoolFileOptions,
  operations: FileOperations,
  logger: Logger,
): Promise<PoolFile> {
  const file = await placeOf(options);
  const found = await openExisting(file, options, operations);
  if (found !== undefined && !options.overrideIfExists) {
    logger.info(`Opening existing ${options.type} pool at ${file}`);
    return found;
  }
  try {
    return await create(file, found !== undefined, options, operations, logger);
  } finally {
    await found?.file.close();
  }
}

export type Place = Pick<PoolFileOptions, 'path' | 'baseDirectory' | 'isDirectory'>;

/**
 * Opens a pool that must be there, locked: shared to look at it, alone to change it. Nothing is made, and its length stays.
 * @throws POOL_NOT_FOUND, POOL_IN_USE, POOL_CORRUPT (no regular file), NATIVE_UNAVAILABLE (no lock), what the system says
 */
export async function openPoolAsItIs(
  given: string,
  isReadOnly: boolean,
  operations: FileOperations,
): Promise<PoolFile> {
  const file = await placeOf({ path: given, baseDirectory: process.cwd(), isDirectory: false });
  // Before it is opened, as opening a pipe would wait for somebody at its other end.
  const there = await stat(file).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const opened =
    there?.isFile() === false
      ? noPool(file)
      : await openExisting(file, { isReadOnly, maxBytes: 0 }, operations);
  if (opened !== undefined) return opened;
  throw new BedrockError(
    'POOL_NOT_FOUND',
    `there is no pool at ${file}; give the path of a pool's file, or of the directory with ${POOL_NAME} inside`,
    { details: { path: file } },
  );
}

function noPool(file: string): never {
  throw new BedrockError('POOL_CORRUPT', `${file} is no pool: it is no regular file`, {
    details: { path: file, absent: true },
  });
}

/** The pool's file: the path itself, or pool.pmem in the directory that it names. */
export async function placeOf({ path: given, baseDirectory, isDirectory }: Place): Promise<string> {
  const place = path.resolve(baseDirectory, given);
  const there = await stat(place).catch(() => undefined);
  const holdsPool = there === undefined ? isDirectory || given.endsWith('/') : there.isDirectory();
  return holdsPool ? path.join(place, POOL_NAME) : place;
}

async function openExisting(
  file: string,
  { isReadOnly, maxBytes }: Pick<PoolFileOptions, 'isReadOnly' | 'maxBytes'>,
  operations: FileOperations,
): Promise<PoolFile | undefined> {
  for (let attempt = 0; attempt < GONE_TRIES; attempt++) {
    const handle = await open(file, isReadOnly ? constants.O_RDONLY : constants.O_RDWR).catch(
      (error: unknown) => {
        if (systemCodeOf(error) === 'ENOENT') return undefined;
        throw openFailure(file, error);
      },
    );
    if (handle === undefined) return undefined;
    try {
      const own = await handle.stat({ bigint: true });
      if (!own.isFile()) throw new BedrockError('START_FAILED', `${file} is no file that could hold a pool`);
      await operations.lock(handle, file, isReadOnly);
      if (await isStill(file, own)) {
        return {
          path: file,
          file: handle,
          size: await roomFor(handle, Number(own.size), isReadOnly ? 0 : maxBytes),
        };
      }
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

/**
 * Gives a pool that may grow its length. Only a pool, and only one that is whole: what a file that was cut off has lost would come
 * back as zeros.
 */
async function roomFor(file: FileHandle, size: number, maxBytes: number): Promise<number> {
  if (maxBytes <= size || (await capacityOf(file)) > size) return size;
  await file.truncate(maxBytes);
  return maxBytes;
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
  const { createBytes: bytes, isReadOnly, type, alignment, poolId } = options;
  if (bytes === undefined || isReadOnly) {
    throw new BedrockError(
      'POOL_NOT_FOUND',
      `there is no pool at ${file}; give create_if_missing_with_size to have one made`,
      { details: { path: file } },
    );
  }
  const size = Math.max(bytes, options.maxBytes);
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  const handle = await open(temporary, 'wx+', 0o600).catch((error: unknown) => {
    throw openFailure(temporary, error);
  });
  try {
    logger.info(`Creating new ${type} pool at ${file}`);
    logger.info(`Pool size: ${bytes} bytes${size > bytes ? `, growing up to ${size}` : ''}`);
    await operations.lock(handle, temporary, false);
    await handle.truncate(size);
    await operations.allocate(handle, 0, bytes).catch((error: unknown) => {
      throw noSpace(file, bytes, error);
    });
    const format = formatPool({ capacity: bytes, alignment, createdAt: Date.now(), poolId });
    for (const { offset, bytes: part } of format) {
      await writeWhole(handle, part, offset);
    }
    await handle.sync();
    await publish(temporary, file, replaces);
    return { path: file, file: handle, size };
  } catch (error) {
    await handle.close();
    await unlink(temporary).catch(() => undefined);
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    // Another process was faster.
    const winner = await openExisting(file, options, operations);
    if (winner !== undefined) return winner;
    throw error;
  }
}

/** Gives a file that is whole its name, durably when this ends. @param replaces whether it takes the place of one that is there */
export async function publish(temporary: string, file: string, replaces: boolean): Promise<void> {
  if (replaces) {
    await rename(temporary, file);
  } else {
    await link(temporary, file);
    await unlink(temporary);
  }
  const directory = await open(path.dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
}

/** Bytes that the pool takes, as its header says. @throws POOL_CORRUPT, NOT_SUPPORTED */
export async function capacityOf(file: FileHandle): Promise<number> {
  const [copy0, copy1] = [Buffer.alloc(HEADER_BYTES), Buffer.alloc(HEADER_BYTES)];
  await file.read(copy0, 0, HEADER_BYTES, 0);
  await file.read(copy1, 0, HEADER_BYTES, HEADER_BYTES);
  return chooseHeader(copy0, copy1).header.capacity;
}

/** Deletes the pool's file; nobody has it open. */
export async function deletePoolFile(place: Place): Promise<void> {
  await unlink(await placeOf(place)).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
}

function noSpace(file: string, requested: number, cause: unknown): unknown {
  if (systemCodeOf(cause) !== 'ENOSPC') return cause;
  return new BedrockError(
    'OUT_OF_SPACE',
    `the file system of ${file} has no ${requested} bytes for the pool`,
    {
      details: { requested },
      cause,
    },
  );
}

function openFailure(file: string, cause: unknown): BedrockError {
  return new BedrockError('START_FAILED', `the pool ${file} cannot be opened: ${messageOf(cause)}`, {
    details: { path: file },
    cause,
  });
}
