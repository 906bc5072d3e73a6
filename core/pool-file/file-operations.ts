/**
 * What a pool asks of its file and Node's FileHandle lacks: the lock, space, holes, many writes in one. By the native addon; without it by
 * the system's `flock` command on the descriptor it inherits, by writing zeros, and by a write for each.
 */
import { spawn } from 'node:child_process';
import { type FileHandle, statfs } from 'node:fs/promises';
import type * as native from '../../native/index.js';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';

const ZEROS_BYTES = 2 ** 20;
/** What flock(2) says where the file system has none; ENOLCK where its server does not answer. */
const NO_LOCKS = ['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOLCK', 'EBADF'];
/** How flock(1) ends if the lock is held. */
const CONFLICT_STATUS = 75;

export interface FileOperations {
  /**
   * Locks the file as long as it is open, without waiting. @param path what it is called in errors
   * @throws POOL_IN_USE; NOT_SUPPORTED if its file system has no locks, NATIVE_UNAVAILABLE if nothing is there to lock it by
   */
  lock(file: FileHandle, path: string, shared: boolean): Promise<void>;
  /** Keeps a file at hand for all calls on it, which need no descriptor of their own then; absent where they do not. Let go before it is closed. */
  hold?(file: FileHandle): { close(): void };
  /** Gives a range its space that reads as zeros, and that nobody else has. If it fails, it has taken none. @throws ENOSPC, … */
  allocate(file: FileHandle, offset: number, length: number): Promise<void>;
  /** The same for a range with bytes, which stay; absent where that cannot be. */
  fill?(file: FileHandle, offset: number, length: number): Promise<void>;
  /** Gives what a range shares with a reflinked copy its own space; the bytes stay. Absent where nothing can. @throws ENOSPC, ENOTSUP, … */
  unshare?(file: FileHandle, offset: number, length: number): Promise<void>;
  /** Makes a range zero, and leaves it its space. */
  zero(file: FileHandle, offset: number, length: number): Promise<void>;
  /** Makes a range zero, and gives its space back; absent where that cannot be. @throws ENOTSUP if the file system cannot, … */
  discard?(file: FileHandle, offset: number, length: number): Promise<void>;
  /** What the file system of a file has left; absent, or nothing, where it does not say. */
  freeBytes?(file: FileHandle, path: string): Promise<number | undefined>;
  /** The first place of a range where a byte is not zero; absent where holes would have to be read. */
  firstNonZero?(file: FileHandle, offset: number, end: number): Promise<number | undefined>;
  /** Looks whether the file is at least so long, and what the path leads to; absent where that takes more than one job. @throws ESTALE */
  verify?(file: FileHandle, path: string, size: number): Promise<void>;
  /** Makes what was written durable, and does the same; absent where that takes more than one job. @returns whether the file is what it was */
  commit?(file: FileHandle, path: string, size: number): Promise<boolean>;
  /** Drops what is durable from the system's cache, so that reads are of the medium; absent where nothing can. */
  dropCache?(file: FileHandle): Promise<void>;
  /** Gives an open file a name that is free; absent where only a file that has one can get another. @throws EEXIST, EPERM, … */
  link?(file: FileHandle, path: string): Promise<void>;
  /** Writes pieces, each whole; absent where that is no faster than one by one. If it fails, any of them may be there. */
  writeMany?(file: FileHandle, pieces: readonly FilePiece[]): Promise<void>;
}

export interface FilePiece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The addon's, if it is there. */
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
  unshare,
  verify,
  writeMany,
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
        if (error instanceof LockedError) throw inUse(path, error.message, error);
        throw NO_LOCKS.includes(systemCodeOf(error) ?? '') ? noLocks(path, messageOf(error), error) : error;
      }
    },
    allocate: (file, offset, length) => allocate(of(file), offset, length),
    fill: (file, offset, length) => allocate(of(file), offset, length),
    unshare: (file, offset, length) => unshare(of(file), offset, length),
    discard: (file, offset, length) => punchHole(of(file), offset, length),
    writeMany: (file, pieces) => writeMany(of(file), pieces),
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
        // What lacks a range of zeros may have room for zeros.
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

/** By what is open, as the name may be another file's by now; it takes no descriptor. */
async function freeBytesOf(file: FileHandle, path: string): Promise<number | undefined> {
  const found = await statfs(`/proc/self/fd/${file.fd}`).catch(() => statfs(path).catch(() => undefined));
  // What is set aside for root, and for the file system's own records, is not for pools.
  return found === undefined || found.blocks === 0 ? undefined : found.bsize * found.bavail;
}

/** flock(1) on a descriptor that it inherits; the lock belongs to the opening of the file, so it stays when the command ends. */
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
      `${path} cannot be locked: neither the native addon nor the command flock is there (${messageOf(error)}); ` +
        'run `npx bedrock native build`, or install util-linux',
      { cause: error },
    );
  });
  if (status === CONFLICT_STATUS) throw inUse(path, 'another process has it open');
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

function inUse(path: string, who: string, cause?: unknown): BedrockError {
  return new BedrockError('POOL_IN_USE', `the pool ${path} is in use: ${who}`, {
    details: { path },
    ...(cause !== undefined && { cause }),
  });
}

async function writeZeros(file: FileHandle, offset: number, length: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(length, ZEROS_BYTES));
  for (let at = 0; at < length;) {
    const { bytesWritten } = await file.write(zeros, 0, Math.min(zeros.length, length - at), offset + at);
    at += bytesWritten;
  }
}
