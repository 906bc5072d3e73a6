/**
 * System calls that a pool needs for its file, and Node's FileHandle lacks: the lock, space, holes,
 * many writes in one. With the native addon. Without it: the system's `flock` command on an
 * inherited descriptor, writing zeros, and a write per piece.
 */
import { spawn } from 'node:child_process';
import { type FileHandle, statfs } from 'node:fs/promises';
import type * as native from '../../native/index.js';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import { holderOfLock } from './lock-holder.js';

const ZEROS_BYTES = 2 ** 20;
/** Errors of flock(2) if the file system has no locks; ENOLCK if its server does not answer. */
const NO_LOCKS = ['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOLCK', 'EBADF'];
/** Exit status of flock(1) if the lock is held. */
const CONFLICT_STATUS = 75;

/**
 * System calls that a pool needs for its file, and Node's FileHandle lacks. Offsets and lengths are
 * in bytes.
 */
export interface FileOperations {
  /**
   * Locks the file as long as it is open, without waiting. @param path its name in errors
   * @throws POOL_IN_USE; NOT_SUPPORTED if its file system has no locks, NATIVE_UNAVAILABLE if there
   *   is no way to lock it
   */
  lock(file: FileHandle, path: string, shared: boolean): Promise<void>;
  /**
   * Holds a descriptor of the file for all calls on it, which then need none of their own; absent
   * if they never do. Close it before the file.
   */
  hold?(file: FileHandle): { close(): void };
  /**
   * Allocates space for a range that reads as zeros and that nobody else uses. Allocates nothing if
   * it fails.
   * @throws ENOSPC, …
   */
  allocate(file: FileHandle, offset: number, length: number): Promise<void>;
  /** The same for a range that contains bytes, which stay; absent if that is not possible. */
  fill?(file: FileHandle, offset: number, length: number): Promise<void>;
  /**
   * Allocates separate space for what a range shares with a reflink copy; the bytes stay. Absent if
   * that is not possible. @throws ENOSPC, ENOTSUP, …
   */
  unshare?(file: FileHandle, offset: number, length: number): Promise<void>;
  /** Zeros a range, and keeps its space allocated. */
  zero(file: FileHandle, offset: number, length: number): Promise<void>;
  /**
   * Zeros a range, and frees its space; absent if that is not possible.
   * @throws ENOTSUP if the file system cannot, …
   */
  discard?(file: FileHandle, offset: number, length: number): Promise<void>;
  /** Free space of the file's file system; absent, or undefined, if unknown. */
  freeBytes?(file: FileHandle, path: string): Promise<number | undefined>;
  /** Offset of the first byte of a range that is not zero; absent if holes would have to be read. */
  firstNonZero?(file: FileHandle, offset: number, end: number): Promise<number | undefined>;
  /**
   * Checks that the file has at least this size, and that the path leads to it; absent if that
   * takes more than one job.
   * @throws ESTALE
   */
  verify?(file: FileHandle, path: string, size: number): Promise<void>;
  /**
   * Makes all writes durable, then checks the same; absent if that takes more than one
   * job. @returns whether the file still has its size and name
   */
  commit?(file: FileHandle, path: string, size: number): Promise<boolean>;
  /**
   * Drops clean pages from the page cache, so that reads come from the medium; absent if that is
   * not possible.
   */
  dropCache?(file: FileHandle): Promise<void>;
  /**
   * Gives an open file a free name; absent if only a file with a name can get another.
   * @throws EEXIST, EPERM, …
   */
  link?(file: FileHandle, path: string): Promise<void>;
  /**
   * Writes pieces, each completely; absent if that is not faster than one by one. If it fails, any
   * of them may have been written.
   */
  writeMany?(file: FileHandle, pieces: readonly FilePiece[]): Promise<void>;
  /**
   * Writes bytes, and makes them durable and nothing else; then writes pieces without a guarantee;
   * then checks the file as `commit` does. Absent if it would cost as much as `commit`.
   * @returns whether the file still has its size and name
   */
  writeThrough?(
    file: FileHandle,
    known: { readonly path: string; readonly size: number },
    first: FilePiece,
    pieces: readonly FilePiece[],
  ): Promise<boolean>;
  /**
   * Fills `into` from the page cache, without waiting for the disk; absent if that is not possible.
   * @returns whether all bytes were there; undefined if the file system cannot tell
   * @throws errors of the system
   */
  readNow?(file: FileHandle, into: Uint8Array, offset: number): boolean | undefined;
}

/** Bytes, and their position in the file. */
export interface FilePiece {
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** The bytes to write there. */
  readonly bytes: Uint8Array;
}

/** Those of the addon, if it is available. */
export async function fileOperations(): Promise<FileOperations> {
  try {
    return nativeOperations(await import('../../native/index.js'));
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'NATIVE_UNAVAILABLE') return plainOperations;
    throw error;
  }
}

type Native = typeof native;

function nativeOperations({
  allocate,
  commit,
  dropCache,
  firstNonZero,
  linkFile,
  lock,
  punchHole,
  readNow,
  unshare,
  verify,
  writeMany,
  writeThrough,
  zeroRange,
  HeldFile,
  LockedError,
}: Native): FileOperations {
  const held = new WeakMap<FileHandle, InstanceType<Native['HeldFile']>>();
  const of = (file: FileHandle): FileHandle | InstanceType<Native['HeldFile']> => held.get(file) ?? file;
  return {
    hold(file) {
      const kept = new HeldFile(file);
      held.set(file, kept);
      return kept;
    },
    async lock(file, path, shared) {
      try {
        await lock(file, { shared });
      } catch (error) {
        if (error instanceof LockedError) throw await inUse(file, path, error);
        throw NO_LOCKS.includes(systemCodeOf(error) ?? '') ? noLocks(path, messageOf(error), error) : error;
      }
    },
    allocate: (file, offset, length) => allocate(of(file), offset, length),
    fill: (file, offset, length) => allocate(of(file), offset, length),
    unshare: (file, offset, length) => unshare(of(file), offset, length),
    discard: (file, offset, length) => punchHole(of(file), offset, length),
    writeMany: (file, pieces) => writeMany(of(file), pieces),
    writeThrough: (file, known, first, pieces) => writeThrough(of(file), known, first, pieces),
    readNow: (file, into, offset) => readNow(of(file), into, offset),
    dropCache: (file) => dropCache(of(file)),
    link: (file, path) => linkFile(of(file), path),
    verify: (file, path, size) => verify(of(file), { path, size }),
    commit: (file, path, size) => commit(of(file), { path, size }),
    firstNonZero: (file, offset, end) => firstNonZero(of(file), offset, end),
    freeBytes: freeBytesOf,
    async zero(file, offset, length) {
      try {
        await zeroRange(of(file), offset, length);
      } catch (error) {
        // If there is no room to allocate zeros, there may still be room to write them.
        if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOSPC'].includes(systemCodeOf(error) ?? '')) throw error;
        await writeZeros(file, offset, length);
      }
    },
  };
}

export const plainOperations: FileOperations = {
  lock: lockByCommand,
  allocate: writeZeros,
  zero: writeZeros,
  freeBytes: freeBytesOf,
};

/** Through the open file, as the name may belong to another file by now. Needs no descriptor. */
async function freeBytesOf(file: FileHandle, path: string): Promise<number | undefined> {
  const found = await statfs(`/proc/self/fd/${file.fd}`).catch(() => statfs(path).catch(() => undefined));
  // Space reserved for root, and for the file system's own records, is not available to pools.
  return found === undefined || found.blocks === 0 ? undefined : found.bsize * found.bavail;
}

/**
 * flock(1) on an inherited descriptor. The lock belongs to the open file description, so it stays
 * when the command ends.
 */
async function lockByCommand(file: FileHandle, path: string, shared: boolean): Promise<void> {
  let said = '';
  const status = await new Promise<number | null>((resolve, reject) => {
    const child = spawn('flock', ['-n', shared ? '-s' : '-x', '-E', String(CONFLICT_STATUS), '3'], {
      stdio: ['ignore', 'ignore', 'pipe', file.fd],
    });
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => (said += piece));
    child.on('error', reject);
    child.on('close', resolve);
  }).catch((error: unknown) => {
    throw new BedrockError(
      'NATIVE_UNAVAILABLE',
      `${path} cannot be locked: neither the native addon nor the command flock is available (${messageOf(error)}); ` +
        'run `npx bedrock native build`, or install util-linux',
      { cause: error },
    );
  });
  if (status === CONFLICT_STATUS) throw await inUse(file, path);
  if (status !== 0) throw noLocks(path, said.trim() || `flock ended with status ${String(status)}`);
}

function noLocks(path: string, why: string, cause?: unknown): BedrockError {
  return new BedrockError(
    'NOT_SUPPORTED',
    `${path} cannot be locked (${why}), and without a lock two daemons could open one pool and ruin it; put the pool on a local file ` +
      'system, or mount this one with locks (NFS: version 4, or local_lock=flock)',
    { details: { path }, ...(cause !== undefined && { cause }) },
  );
}

async function inUse(file: FileHandle, path: string, cause?: unknown): Promise<BedrockError> {
  const who = (await holderOfLock(file)) ?? 'another process';
  return new BedrockError(
    'POOL_IN_USE',
    `the pool ${path} is in use: ${who} has it open; stop that, or choose another path`,
    { details: { path }, ...(cause !== undefined && { cause }) },
  );
}

async function writeZeros(file: FileHandle, offset: number, length: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(length, ZEROS_BYTES));
  for (let at = 0; at < length;) {
    const { bytesWritten } = await file.write(zeros, 0, Math.min(zeros.length, length - at), offset + at);
    at += bytesWritten;
  }
}
