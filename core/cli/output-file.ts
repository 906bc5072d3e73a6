/**
 * Files that appear under their names only when they are whole. Order: fill a temporary file beside it -> fsync -> rename.
 * Whatever ends the command before the rename, the name holds what it held.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, fstatSync } from 'node:fs';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { print } from './output.js';

/** Pieces that arrive while the disk is busy are written together, up to this many bytes. */
const BUFFER_BYTES = 2 ** 22;
const STDOUT = 1;

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
  if (fstatSync(STDOUT).isFile()) {
    // process.stdout takes a write to a file for complete even if the disk became full half way.
    await drain(source, STDOUT, signal);
    return;
  }
  for await (const piece of source) await print(piece, signal);
}

/** Writes to an open file, which stays open. Its number and not a handle: a handle that a stream has used does not close. */
function drain(source: AsyncIterable<Uint8Array>, fd: number, signal: AbortSignal): Promise<void> {
  const output = createWriteStream('', { fd, autoClose: false, highWaterMark: BUFFER_BYTES });
  return pipeline(source, output, { signal });
}
