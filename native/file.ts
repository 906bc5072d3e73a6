/**
 * System calls that FileHandle lacks: allocation, holes, locks, the page cache, many writes in one
 * job. All but readNow run on the thread pool, on a duplicate of the file's descriptor: one made
 * for the call, or a held one.
 */
import { constants } from 'node:os';
import { types } from 'node:util';
import { addon } from './addon.js';
import type { FileBinding, HeldBinding } from './binding.js';
import { checkSize, invalidArgument, show, SystemError, systemError } from './errors.js';
import { lockHolders, type LockHolder } from './lock-holders.js';

/** A FileHandle, or a file descriptor. */
export type OpenFile = number | { readonly fd: number };

/**
 * A duplicate of a file's descriptor that several calls share. They still work when the process has
 * no descriptor left. It keeps a lock of the file too, so close it before the file. If it is never
 * closed, the garbage collector closes it.
 */
export class HeldFile {
  readonly #binding: HeldBinding;

  /** @throws INVALID_ARGUMENT, EBADF, EMFILE (no descriptor left) */
  constructor(file: OpenFile) {
    const fd = numberOf(file);
    try {
      this.#binding = addon.hold(fd);
    } catch (error) {
      throw systemError(error, 'hold');
    }
  }

  /** Calls in flight end normally; later ones fail with EBADF. */
  close(): void {
    addon.drop(this.#binding);
  }

  /** @internal */
  static bindingOf(file: OpenFile | HeldFile): FileBinding {
    const isHeld = file instanceof HeldFile && #binding in file;
    return isHeld ? file.#binding : numberOf(file);
  }
}

/** Another process, or another opening of the file, holds the lock. `code` is `EAGAIN`. */
export class LockedError extends SystemError {
  constructor(
    cause: SystemError,
    /** The holders, as far as the system shows them. */
    readonly holders: readonly LockHolder[],
  ) {
    const named = holders.map(
      ({ pid, command }) => `process ${pid}${command === undefined ? '' : ` (${command})`}`,
    );
    const by = named.length === 0 ? 'somebody else' : named.join(', ');
    super(cause.code, cause.errno, cause.syscall, `the file is locked by ${by}`, cause.path, cause);
  }
}

/**
 * Allocates space on the medium for a range of a file, and extends the file to the end of the range
 * if it is shorter (posix_fallocate(3)). Existing bytes stay. Afterwards a write into the range, or
 * a store into a mapping of it, cannot run out of space. If it fails, it frees what it allocated,
 * if the file system does that itself or reports what was allocated (FS_IOC_FIEMAP). Space that the
 * range had before stays. So nobody else may write to the range, or extend the file, meanwhile.
 * @throws INVALID_ARGUMENT; ENOSPC, EFBIG, EBADF, EINVAL (length 0), ENOTSUP without emulation
 */
export function allocate(
  file: OpenFile | HeldFile,
  offset: number,
  length: number,
  {
    emulate = true,
  }: {
    /**
     * Whether to write a byte into every block if the file system cannot allocate. This is slow,
     * and not safe with concurrent writers. Default: true.
     */
    emulate?: boolean;
  } = {},
): Promise<void> {
  return onFile('allocate', file, (fd) => {
    checkRange(offset, length);
    return addon.allocate(fd, offset, length, emulate);
  });
}

/**
 * Frees the space of a range. Its bytes then read as zeros, and the file keeps its size
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE). A store into a mapping of the range needs space again: if
 * there is none, the store is lost, and so is the mapping. Allocate first.
 * @throws INVALID_ARGUMENT; ENOTSUP, EBADF, EINVAL (length 0)
 */
export function punchHole(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('punchHole', file, (fd) => {
    checkRange(offset, length);
    return addon.punchHole(fd, offset, length);
  });
}

/**
 * Makes a range read as zeros without writing it, and allocates space for its holes. The file keeps
 * its size (fallocate(2), FALLOC_FL_ZERO_RANGE).
 * @throws INVALID_ARGUMENT; ENOTSUP (a file system that cannot, such as tmpfs: write zeros),
 *   ENOSPC, EBADF, EINVAL (length 0)
 */
export function zeroRange(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('zeroRange', file, (fd) => {
    checkRange(offset, length);
    return addon.zeroRange(fd, offset, length);
  });
}

/**
 * Allocates separate space for the parts of a range that another file shares, for example a reflink
 * copy by `cp`. The bytes stay (FS_IOC_FIEMAP; fallocate(2), FALLOC_FL_UNSHARE_RANGE). Afterwards a
 * write there cannot run out of space. Does nothing if nothing is shared, or if the file system
 * does not report it. If it fails, a part may have been unshared.
 * @throws INVALID_ARGUMENT; ENOSPC, ENOTSUP (btrfs, which copies on every write), EBADF
 */
export function unshare(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('unshare', file, (fd) => {
    checkRange(offset, length);
    return addon.unshare(fd, offset, length);
  });
}

/** Bytes and their position in a file. */
export interface Piece {
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** The bytes to write there; any length. */
  readonly bytes: Uint8Array;
}

/**
 * Writes many small pieces, each completely, in one job of the thread pool (pwrite(2)). A
 * FileHandle needs a job and a promise for each piece. Pieces are written in their order; adjacent
 * ones share a system call. The bytes are copied before it returns. If it fails, any of the pieces
 * may have been written.
 * @throws INVALID_ARGUMENT; ENOSPC, EIO, EBADF, ENOMEM (for the copy)…
 */
export function writeMany(file: OpenFile | HeldFile, pieces: readonly Piece[]): Promise<void> {
  return onFile('write', file, (fd) => {
    const { sources, offsets } = checkPieces(pieces);
    return addon.writeMany(fd, sources, offsets);
  });
}

function checkPieces(pieces: readonly Piece[]): { sources: Uint8Array[]; offsets: Float64Array } {
  const given: unknown = pieces;
  if (!Array.isArray(given)) throw invalidArgument(`pieces must be an array, not ${show(given)}`);
  const sources: Uint8Array[] = [];
  const offsets = new Float64Array(given.length);
  // By index, up to the present length: this also refuses an array with holes, or one that a
  // getter extends.
  for (let index = 0; index < offsets.length; index++) {
    const piece: unknown = given[index];
    if (typeof piece !== 'object' || piece === null)
      throw invalidArgument(`a piece must be {offset, bytes}, not ${show(piece)}`);
    const { offset, bytes } = piece as Piece;
    checkSize('offset', offset);
    // The addon would accept other typed arrays as bytes.
    if (!types.isUint8Array(bytes)) throw invalidArgument(`bytes must be a Uint8Array, not ${show(bytes)}`);
    sources.push(bytes);
    offsets[index] = offset;
  }
  return { sources, offsets };
}

/**
 * Writes bytes and makes them durable, and nothing else (pwritev2(2), RWF_DSYNC); then writes
 * pieces, in their order, without a guarantee of durability; then checks the file as `commit`
 * does. All in one job of the thread pool. The bytes are copied before it returns. If it fails,
 * any of them may have been written.
 * @returns whether the file still has its size, and the path leads to it
 * @throws INVALID_ARGUMENT; ENOSPC, EIO, EBADF, ENOMEM (for the copy), …
 */
export async function writeThrough(
  file: OpenFile | HeldFile,
  { path, size }: { readonly path: string; readonly size: number },
  { offset, bytes }: Piece,
  pieces: readonly Piece[],
): Promise<boolean> {
  let isSame = false;
  await onFile('pwritev2', file, async (fd) => {
    checkSize('size', size);
    checkSize('offset', offset);
    if (!types.isUint8Array(bytes)) throw invalidArgument(`bytes must be a Uint8Array, not ${show(bytes)}`);
    const { sources, offsets } = checkPieces(pieces);
    isSame = await addon.writeThrough(fd, path, size, bytes, offset, sources, offsets);
  });
  return isSame;
}

/** Of a file system, a kernel, or a sandbox without this call. */
const CANNOT_TELL: ReadonlySet<number> = new Set([
  constants.errno.EOPNOTSUPP,
  constants.errno.ENOSYS,
  constants.errno.EPERM,
]);

/**
 * Reads bytes of a file that are in the page cache, in the caller's thread: it never waits for a
 * disk (preadv2(2), RWF_NOWAIT). For up to 64 KiB this takes a few microseconds, where a job of the
 * thread pool takes tens of them.
 * @param into is filled from `offset` on
 * @returns whether all bytes were there; if not, `into` holds anything. Undefined if the file
 *   system cannot tell, as tmpfs: it never can
 * @throws INVALID_ARGUMENT; EIO, EBADF, …
 */
export function readNow(file: OpenFile | HeldFile, into: Uint8Array, offset: number): boolean | undefined {
  const fd = HeldFile.bindingOf(file);
  if (!types.isUint8Array(into)) throw invalidArgument(`into must be a Uint8Array, not ${show(into)}`);
  checkSize('offset', offset);
  const size = addon.readNow(fd, into, offset);
  if (size >= 0) return size === into.length;
  if (-size === constants.errno.EAGAIN) return false;
  if (CANNOT_TELL.has(-size)) return undefined;
  throw systemError(Object.assign(new Error('the file cannot be read'), { errno: -size }), 'preadv2');
}

/**
 * Offset of the first byte of a range that is not zero (lseek(2), SEEK_DATA: holes are not read).
 * Undefined if there is none, also after the end of the file.
 * @throws INVALID_ARGUMENT; EIO, EBADF (also if the file is not open for reading)
 */
export async function firstNonZero(
  file: OpenFile | HeldFile,
  offset: number,
  end: number,
): Promise<number | undefined> {
  let found = -1;
  await onFile('read', file, async (fd) => {
    checkSize('offset', offset);
    checkSize('end', end);
    found = await addon.firstNonZero(fd, offset, end);
  });
  return found < 0 ? undefined : found;
}

/**
 * Checks that an open file still has its bytes and its name, in one job of the thread pool.
 * @param known what it had: at least `size` bytes, and the name `path`
 * @throws ESTALE if it is now shorter, or if the path leads elsewhere or nowhere; INVALID_ARGUMENT, EBADF
 */
export function verify(
  file: OpenFile | HeldFile,
  { path, size }: { readonly path: string; readonly size: number },
): Promise<void> {
  return onFile('verify', file, (fd) => {
    checkKnown(path, size);
    return addon.verify(fd, path, size);
  });
}

/**
 * Makes everything written to a file durable (fdatasync(2)), then checks that it still has its
 * bytes and its name, in one job of the thread pool. So what is acknowledged is in the file that
 * the next open of the path finds.
 * @param known as for `verify`
 * @returns whether it has
 * @throws INVALID_ARGUMENT; EIO, ENOSPC, … if not everything may be durable; EBADF
 */
export async function commit(
  file: OpenFile | HeldFile,
  { path, size }: { readonly path: string; readonly size: number },
): Promise<boolean> {
  let isSame = false;
  await onFile('fdatasync', file, async (fd) => {
    checkKnown(path, size);
    isSame = await addon.commit(fd, path, size);
  });
  return isSame;
}

function checkKnown(path: unknown, size: unknown): void {
  if (typeof path !== 'string' || path.includes('\0'))
    throw invalidArgument(`path must be a string without NUL, not ${show(path)}`);
  checkSize('size', size);
}

/**
 * Drops the pages of a file from the page cache, so that the next reads come from the medium
 * (posix_fadvise(2), POSIX_FADV_DONTNEED). Dirty pages and mapped pages stay, so make the file
 * durable first. It is only advice: a file system may do nothing, as tmpfs does.
 * @throws INVALID_ARGUMENT; EBADF, ESPIPE (a pipe)
 */
export function dropCache(file: OpenFile | HeldFile): Promise<void> {
  return onFile('dropCache', file, (fd) => addon.dropCache(fd));
}

/**
 * Gives an open file another name, or its first name if it was opened with O_TMPFILE (linkat(2),
 * AT_SYMLINK_FOLLOW).
 * @throws INVALID_ARGUMENT; EEXIST, EXDEV, EPERM (a file system without hard links), ENOENT (a
 *   deleted file; a system without /proc), EBADF
 */
export function linkFile(file: OpenFile | HeldFile, path: string): Promise<void> {
  return onFile('link', file, (fd) => {
    const given: unknown = path;
    if (typeof given !== 'string' || given === '' || given.includes('\0'))
      throw invalidArgument(`path must be a string that is not empty and holds no NUL, not ${show(given)}`);
    return addon.linkFile(fd, path);
  });
}

/**
 * Locks a whole file (flock(2)); does not wait. The lock belongs to this opening of the file. It
 * ends when that is closed, at the latest with the process. A second opening by the same process
 * conflicts in the same way as one by another process.
 * @throws INVALID_ARGUMENT; LockedError if another opening holds the lock, EBADF
 */
export async function lock(
  file: OpenFile,
  {
    shared = false,
  }: {
    /** Whether others may hold the lock shared too. Default: false. */
    shared?: boolean;
  } = {},
): Promise<void> {
  try {
    await onFile('lock', file, (fd) => (shared ? addon.lockShared(fd) : addon.lockExclusive(fd)));
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EAGAIN') {
      throw new LockedError(error, lockHolders(numberOf(file)));
    }
    throw error;
  }
}

/** Releases the lock before the file is closed. */
export function unlock(file: OpenFile): Promise<void> {
  return onFile('unlock', file, (fd) => addon.unlock(fd));
}

async function onFile(
  name: string,
  file: OpenFile | HeldFile,
  call: (file: FileBinding) => Promise<void>,
): Promise<void> {
  const fd = HeldFile.bindingOf(file);
  try {
    await call(fd);
  } catch (error) {
    throw systemError(error, name);
  }
}

/** The descriptor. @throws EBADF if it is closed, INVALID_ARGUMENT */
export function numberOf(file: unknown): number {
  const fd = typeof file === 'object' && file !== null && 'fd' in file ? file.fd : file;
  // A closed FileHandle has -1.
  if (fd === -1)
    throw new SystemError('EBADF', -constants.errno.EBADF, 'fcntl', 'the file is closed', undefined);
  if (!Number.isInteger(fd) || (fd as number) < 0 || (fd as number) > 0x7fffffff) {
    throw invalidArgument(`a file must be a FileHandle or the number of an open file, not ${show(fd)}`);
  }
  return fd as number;
}

function checkRange(offset: unknown, length: unknown): void {
  checkSize('offset', offset);
  checkSize('length', length);
}
