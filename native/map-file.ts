/** mapFile: options, flags and errors. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { addon } from './addon.js';
import type { MappingBinding } from './binding.js';
import { numberOf, type OpenFile } from './file.js';
import { invalidArgument, isSize, show, systemError } from './errors.js';
import { BedrockError } from '../core/base/errors.js';
import { Mapping } from './mapping.js';

/** The rules are those of pmem_map_file(3). */
export interface MapFileOptions {
  /** Bytes. Required with `create`, refused without it: then the whole file is mapped. */
  readonly size?: number;
  /**
   * Open or create the file, extend or truncate it to `size` bytes, and allocate all of them unless
   * `sparse` is set.
   */
  readonly create?: boolean;
  /** With `create`: fail with EEXIST if the file exists. */
  readonly exclusive?: boolean;
  /**
   * With `create`: leave holes. A store into a hole that the disk has no room for is lost, and so
   * is the mapping. So allocate a range before you store there.
   */
  readonly sparse?: boolean;
  /** With `create`: an unnamed file in the directory `path`. It is deleted when it is closed. */
  readonly tmpfile?: boolean;
  /** Permissions of a new file. Default: 0o666, less the umask of the process. */
  readonly mode?: number;
  /**
   * Open the file for reading only, and refuse methods that store with READ_ONLY. The mapping is
   * private: a store through a window stays in this process and never reaches the file. Not with
   * `create`.
   */
  readonly readOnly?: boolean;
  /**
   * An open file to map. `path` is then not opened, and only names the file in errors. The file may
   * be closed afterwards. Not with `create`.
   */
  readonly file?: OpenFile;
}

const FLAGS = { create: 1, exclusive: 2, sparse: 4, tmpfile: 8, readOnly: 16 } as const;
const NAMES = ['size', 'mode', 'file', ...Object.keys(FLAGS)];

/**
 * Maps a whole file into memory; shared, for reading and writing, unless `readOnly` is set
 * (pmem_map_file(3)). Runs on the thread pool, as allocation may take seconds.
 * @throws INVALID_ARGUMENT for wrong types; EINVAL for contradictory options; otherwise the
 *   system's error: ENOENT, EEXIST, EACCES, EISDIR, ENOSPC, EFBIG, ENOMEM (no address space left),
 *   ENOTSUP, …; NOT_SUPPORTED for an open file where there is no /proc
 */
export async function mapFile(path: string, options: MapFileOptions = {}): Promise<Mapping> {
  const { size = 0, mode = 0o666, flags, fd } = check(path, options);
  let binding: MappingBinding;
  try {
    binding = await addon.mapFile(path, size, flags, mode, fd);
  } catch (error) {
    throw (fd === undefined ? undefined : withoutProc(error)) ?? systemError(error, 'mapFile', path);
  }
  return Mapping.of(path, binding);
}

/** @returns an error that names the cause, if a file that is open has no path */
function withoutProc(thrown: unknown): BedrockError | undefined {
  // libpmem maps by path, and that of an open file is in /proc.
  const isMissing = (thrown as { errno?: unknown }).errno === constants.errno.ENOENT;
  if (!isMissing || existsSync('/proc/self/fd')) return undefined;
  const message = 'a file is mapped through /proc, which is not there; mount it: mount -t proc proc /proc';
  return new BedrockError('NOT_SUPPORTED', message, { cause: thrown });
}

interface Checked {
  size?: number;
  mode?: number;
  flags: number;
  fd: number | undefined;
}

function check(path: unknown, options: MapFileOptions): Checked {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidArgument(`path must be a string that is not empty and holds no NUL, not ${show(path)}`);
  }
  const given: unknown = options;
  if (typeof given !== 'object' || given === null)
    throw invalidArgument(`options must be an object, not ${show(given)}`);
  const unknown = Object.keys(given).find((name) => !NAMES.includes(name));
  if (unknown !== undefined)
    throw invalidArgument(`unknown option ${unknown}; there are: ${NAMES.join(', ')}`);
  // Read once: a getter may return something else the second time.
  const { size, mode, file } = options;
  if (size !== undefined && !isSize(size)) {
    throw invalidArgument(`size must be a whole number from 0 to 2^53 - 1, not ${show(size)}`);
  }
  if (mode !== undefined && !(isSize(mode) && mode <= 0o7777)) {
    throw invalidArgument(`mode must be a number from 0 to 0o7777, not ${show(mode)}`);
  }
  let flags = 0;
  for (const [name, bit] of Object.entries(FLAGS)) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && typeof value !== 'boolean') {
      throw invalidArgument(`${name} must be true or false, not ${show(value)}`);
    }
    if (value === true) flags |= bit;
  }
  if (file !== undefined && (flags & FLAGS.create) !== 0)
    throw invalidArgument('create opens a file by its path, so it does not go with file');
  const fd = file === undefined ? undefined : numberOf(file);
  return { flags, fd, ...(size !== undefined && { size }), ...(mode !== undefined && { mode }) };
}
