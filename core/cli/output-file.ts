/**
 * Files that appear under their names only when they are complete. Order: fill a temporary file
 * next to it -> fsync -> rename. If the command ends before the rename, for any reason, the name
 * still has its former contents.
 */
import {
  constants,
  createWriteStream,
  fstatSync,
  open as openPlain,
  type Stats,
  write as writePiece,
} from 'node:fs';
import { open, readlink, realpath, rename, rm, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemCodeOf } from '../base/errors.js';
import { ofWrittenFile } from './failure.js';
import { print } from './output.js';
import { stagedIn } from './staging.js';

/** Pieces are collected into fewer and larger writes. */
const BUFFER_BYTES = 2 ** 20;

/** Interval for checking whether a pipe has a reader. */
const READER_POLL_MS = 50;

const openDescriptor = promisify(openPlain);
const writeTo = promisify(writePiece);

/** @throws what the source throws, errors of the system, or what `signal` was aborted with */
export function writeWholeFile(
  file: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  return ofWrittenFile(file, () => write(file, source, signal));
}

async function write(file: string, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const existing = await stat(file).catch((error: unknown) => {
    // After any other error, such as a loop of links, it is unknown whether the file exists.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  });
  if (existing !== undefined && !existing.isFile()) {
    // A pipe cannot be left half-written.
    await pipeline(source, existing.isFIFO() ? await openPipe(file, signal) : createWriteStream(file), {
      signal,
    });
    return;
  }
  const own =
    existing && [process.stdout.fd, process.stderr.fd].find((fd) => isSameFile(fstatSync(fd), existing));
  if (own !== undefined) {
    // For example /dev/stdout: other output to it, such as a log, would otherwise continue into a
    // file without a name.
    await drain(source, own, signal);
    return;
  }
  const destination = existing === undefined ? await unmade(file) : await realpath(file);
  const temporary = stagedIn(path.dirname(destination));
  const handle = await open(temporary, 'wx');
  try {
    await drain(source, handle.fd, signal);
    if (existing !== undefined) await handle.chmod(existing.mode & 0o777);
    await handle.sync();
    await handle.close();
    signal.throwIfAborted();
    await rename(temporary, destination);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Replaces or creates the file that a link leads to, not the link: /dev/stdout is a link, and leads
 * nowhere if standard output is closed.
 */
async function unmade(file: string): Promise<string> {
  const to = await readlink(file).catch(() => undefined);
  return to === undefined ? file : unmade(path.resolve(path.dirname(file), to));
}

/**
 * Opens a named pipe once it has a reader. With Node's own calls the process could not end while
 * there is no reader, or while the reader reads nothing: it waits for its pool's threads, and one
 * of them waits for the reader.
 */
async function openPipe(file: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    try {
      const fd = await openDescriptor(file, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd, readable: false, writable: true });
    } catch (error) {
      if (systemCodeOf(error) !== 'ENXIO') throw error;
    }
    await delay(READER_POLL_MS, undefined, { signal });
  }
}

function isSameFile(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** @throws OutputClosed, and as writeWholeFile does */
export async function writeStdout(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  if (fstatSync(process.stdout.fd).isFile()) {
    // process.stdout reports a write to a file as complete even if the disk became full half-way.
    await ofWrittenFile('standard output', () => drain(source, process.stdout.fd, signal));
    return;
  }
  for await (const piece of source) await print(piece, signal);
}

/**
 * Writes to an open file, which stays open. One buffer is written while the next one fills. When
 * this ends, for any reason, no write is in progress, so the file may be closed.
 *
 * Not a stream of Node.js: if a signal destroys it, it closes the file even with
 * `autoClose: false`, and the second close would then hit whatever file has that number by now.
 */
export async function drain(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  fd: number,
  signal: AbortSignal,
): Promise<void> {
  let filling = Buffer.allocUnsafe(BUFFER_BYTES);
  let spare = Buffer.allocUnsafe(BUFFER_BYTES);
  let filled = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    signal.throwIfAborted();
    writing = writeAll(fd, filling.subarray(0, filled));
    // The next await meets its failure; until then it must not count as unhandled.
    writing.catch(() => undefined);
    [filling, spare] = [spare, filling];
    filled = 0;
  };
  try {
    for await (const piece of source) {
      for (let at = 0; at < piece.length;) {
        const taken = piece.subarray(at, at + BUFFER_BYTES - filled);
        filling.set(taken, filled);
        filled += taken.length;
        at += taken.length;
        if (filled === BUFFER_BYTES) await flush();
      }
    }
    await flush();
    await writing;
  } finally {
    await writing.catch(() => undefined);
  }
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await writeTo(fd, bytes, at, bytes.length - at)).bytesWritten;
}
