/**
 * What FileHandle lacks: allocation, holes, locks, the cache, many writes in one. All run on the thread pool, on a duplicate of the
 * file's descriptor: one that is made for the call, or one that is held.
 */
import { constants } from 'node:os';
import { types } from 'node:util';
import { addon } from './addon.js';
import type { FileBinding, HeldBinding } from './binding.js';
import { checkSize, invalidArgument, show, SystemError, systemError } from './errors.js';
import { lockHolders, type LockHolder } from './lock-holders.js';

/** A FileHandle, or the number of an open file. */
export type OpenFile = number | { readonly fd: number };

/**
 * A duplicate of a file's descriptor that calls take instead of making one each: so they go on to work when the process has no descriptor
 * left. It keeps a lock of the file as well, so let go of it before the file is closed; one that is forgotten is closed by the garbage collector.
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

  /** Calls in flight end as if it were open still; later ones get EBADF. */
  close(): void {
    addon.drop(this.#binding);
  }

  /** @internal */
  static bindingOf(file: OpenFile | HeldFile): FileBinding {
    const isHeld = file instanceof HeldFile && #binding in file;
    return isHeld ? file.#binding : numberOf(file);
  }
}

/** The lock is held by another. `code` is `EAGAIN`. */
export class LockedError extends SystemError {
  constructor(
    cause: SystemError,
    /** Who holds it, as far as the system tells. */
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
 * Gives a range of a file its space on the medium, and the file at least the size that ends it (posix_fallocate(3)). Bytes that
 * are there stay. A write into the range, or a store into a mapping of it, cannot run out of space afterwards. If it fails, what it took is
 * given back, where the file system undoes it by itself or tells what was taken (FS_IOC_FIEMAP), and what the range had before stays; so nobody
 * else may write there, or extend the file, meanwhile.
 * @param options.emulate whether a file system that cannot allocate may be made to by writing a byte into every block (which is
 *   slow, and not safe beside other writers); unless told it may
 * @throws INVALID_ARGUMENT; ENOSPC, EFBIG, EBADF, EINVAL (length 0), ENOTSUP without emulation
 */
export function allocate(
  file: OpenFile | HeldFile,
  offset: number,
  length: number,
  { emulate = true }: { emulate?: boolean } = {},
): Promise<void> {
  return onFile('allocate', file, (fd) => {
    checkRange(offset, length);
    return addon.allocate(fd, offset, length, emulate);
  });
}

/**
 * Gives the space of a range back; its bytes read as zero, the file keeps its size (fallocate(2), FALLOC_FL_PUNCH_HOLE). A store
 * into a mapping of the range needs space anew: where there is none, it goes nowhere and the mapping is lost. Allocate first.
 * @throws INVALID_ARGUMENT; ENOTSUP, EBADF, EINVAL (length 0)
 */
export function punchHole(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('punchHole', file, (fd) => {
    checkRange(offset, length);
    return addon.punchHole(fd, offset, length);
  });
}

/**
 * Makes a range read as zero without writing it, and gives its holes their space; the file keeps its size (fallocate(2),
 * FALLOC_FL_ZERO_RANGE).
 * @throws INVALID_ARGUMENT; ENOTSUP (a file system that cannot, such as tmpfs: write zeros), ENOSPC, EBADF, EINVAL (length 0)
 */
export function zeroRange(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('zeroRange', file, (fd) => {
    checkRange(offset, length);
    return addon.zeroRange(fd, offset, length);
  });
}

/**
 * Gives what a range shares with another file, as with a copy that `cp` made by reflink, space of its own; the bytes stay (FS_IOC_FIEMAP;
 * fallocate(2), FALLOC_FL_UNSHARE_RANGE). A write there cannot run out of space afterwards. Does nothing where nothing is shared, or the file
 * system does not tell. If it fails, a part may have been unshared.
 * @throws INVALID_ARGUMENT; ENOSPC, ENOTSUP (btrfs, which copies on every write), EBADF
 */
export function unshare(file: OpenFile | HeldFile, offset: number, length: number): Promise<void> {
  return onFile('unshare', file, (fd) => {
    checkRange(offset, length);
    return addon.unshare(fd, offset, length);
  });
}

/** Bytes and their place in a file. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Writes many small pieces, each whole, in one job of the thread pool (pwrite(2)), where a FileHandle takes a job and a promise for each.
 * They are written in their order; those that follow on one another by one call. The bytes are copied before it returns. If it fails, any of them
 * may be there.
 * @throws INVALID_ARGUMENT; ENOSPC, EIO, EBADF, ENOMEM (for the copy)…
 */
export function writeMany(file: OpenFile | HeldFile, pieces: readonly Piece[]): Promise<void> {
  return onFile('write', file, (fd) => {
    const given: unknown = pieces;
    if (!Array.isArray(given)) throw invalidArgument(`pieces must be an array, not ${show(given)}`);
    const sources: Uint8Array[] = [];
    const offsets = new Float64Array(given.length);
    // By number, as many as there are now: an array without an element in some place, or that grows by a getter, is refused as well.
    for (let index = 0; index < offsets.length; index++) {
      const piece: unknown = given[index];
      if (typeof piece !== 'object' || piece === null)
        throw invalidArgument(`a piece must be {offset, bytes}, not ${show(piece)}`);
      const { offset, bytes } = piece as Piece;
      checkSize('offset', offset);
      // The addon takes other typed arrays for bytes.
      if (!types.isUint8Array(bytes)) throw invalidArgument(`bytes must be a Uint8Array, not ${show(bytes)}`);
      sources.push(bytes);
      offsets[index] = offset;
    }
    return addon.writeMany(fd, sources, offsets);
  });
}

/**
 * The first place of a range where a byte is not zero (lseek(2), SEEK_DATA: holes are not read); nothing if there is none, also behind
 * the file's end.
 * @throws INVALID_ARGUMENT; EIO, EBADF (also of a file that is not open for reading)
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
 * Looks whether an open file still has its bytes and its name, in one job of the thread pool.
 * @param known what it had: at least `size` bytes, and the name `path`
 * @throws ESTALE if it is shorter now, or if the path leads elsewhere or nowhere; INVALID_ARGUMENT, EBADF
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
 * Makes what was written to a file durable (fdatasync(2)), and looks then whether it still has its bytes and its name, in one job of the
 * thread pool: what is acknowledged is in the file that the next one to open the path finds.
 * @param known as of `verify`
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
 * Drops a file's pages from the system's cache, so that what is read next comes from the medium (posix_fadvise(2),
 * POSIX_FADV_DONTNEED). Pages that were written and are not durable yet stay, and so do those that are mapped; so make the file
 * durable first. Advice only: a file system may do nothing, as one in memory does.
 * @throws INVALID_ARGUMENT; EBADF, ESPIPE (a pipe)
 */
export function dropCache(file: OpenFile | HeldFile): Promise<void> {
  return onFile('dropCache', file, (fd) => addon.dropCache(fd));
}

/**
 * Gives an open file a name, one more or, if it was opened with O_TMPFILE, its first (linkat(2), AT_SYMLINK_FOLLOW).
 * @throws INVALID_ARGUMENT; EEXIST, EXDEV, EPERM (a file system without hard links), ENOENT (a file that was deleted; a system without
 *   /proc), EBADF
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
 * Locks a whole file (flock(2)); does not wait. The lock belongs to this opening of the file and ends when it is closed, at the
 * latest with the process. A second opening by the same process conflicts as another process's does.
 * @param options.shared whether others may hold it shared too
 * @throws INVALID_ARGUMENT; LockedError if another holds it, EBADF
 */
export async function lock(file: OpenFile, { shared = false }: { shared?: boolean } = {}): Promise<void> {
  try {
    await onFile('lock', file, (fd) => (shared ? addon.lockShared(fd) : addon.lockExclusive(fd)));
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EAGAIN') {
      throw new LockedError(error, lockHolders(numberOf(file)));
    }
    throw error;
  }
}

/** Gives a lock up before the file is closed. */
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
  // So says a FileHandle that is closed.
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
