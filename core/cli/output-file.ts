/**
 * Files that appear under their names only when they are whole. Order: fill a temporary file beside it -> fsync -> rename.
 * Whatever ends the command before the rename, the name holds what it held.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, fstatSync, write } from 'node:fs';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { print } from './output.js';

/** Pieces are gathered, so that the disk gets fewer and larger writes. */
const BUFFER_BYTES = 2 ** 20;

const writeTo = promisify(write);

/** @throws what the source throws, errors of the system, or what `signal` was aborted with */
export async function writeWholeFile(
  file: string,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const existing = await stat(file).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) {
    // A device or a pipe; there is no half file to be left.
    await pipeline(source, createWriteStream(file), { signal });
    return;
  }
  // The file that a link leads to is replaced, not the link.
  const place = existing === undefined ? file : await realpath(file);
  const temporary = path.join(path.dirname(place), `.bedrock-${randomBytes(6).toString('hex')}.part`);
  const handle = await open(temporary, 'wx');
  try {
    await drain(source, handle.fd, signal);
    if (existing !== undefined) await handle.chmod(existing.mode & 0o777);
    await handle.sync();
    await handle.close();
    signal.throwIfAborted();
    await rename(temporary, place);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

/** @throws OutputClosed, and as writeWholeFile does */
export async function writeStdout(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  if (fstatSync(process.stdout.fd).isFile()) {
    // process.stdout takes a write to a file for complete even if the disk became full half way.
    await drain(source, process.stdout.fd, signal);
    return;
  }
  for await (const piece of source) await print(piece, signal);
}

/**
 * Writes to an open file, which stays open. One buffer is written while the next one fills; when this ends, for whatever reason,
 * no write is under way, so that the file may be closed.
 *
 * No stream of Node's: destroyed by a signal it closes the file even with `autoClose: false`, and the second close that follows
 * hits whatever has got the number since.
 */
async function drain(source: AsyncIterable<Uint8Array>, fd: number, signal: AbortSignal): Promise<void> {
  let filling = Buffer.allocUnsafe(BUFFER_BYTES);
  let spare = Buffer.allocUnsafe(BUFFER_BYTES);
  let filled = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    signal.throwIfAborted();
    writing = writeAll(fd, filling.subarray(0, filled));
    // Its failure is met by the next await; until then it must not count as unhandled.
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
