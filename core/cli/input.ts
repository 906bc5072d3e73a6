/**
 * Contents for a region from a file or from standard input, with their size, which must be known
 * before the first byte.
 */
import { constants, createReadStream, fstatSync, open as openPlain, readSync, type Stats } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import type { RegionSource } from '../contract/target.js';
import { ofNamedFile, UsageError } from './failure.js';
import { spooled } from './spool.js';

const INPUT_PIECE_BYTES = 256 * 1024;
const openDescriptor = promisify(openPlain);

/** When to show what the command is waiting for. */
const HINT_MS = 2000;

/**
 * @param file name, or `-` for standard input
 * @param size value of `--size`
 * @throws UsageError if the size is unknown or differs from the announced one, errors of the system
 */
export async function openContents(file: string, size: number | undefined): Promise<RegionSource> {
  const { size: known, source } = await look(file, size);
  if (known !== undefined) return { size: known, source };
  throw new UsageError(`${nameOf(file)} has no known length; give it with --size`);
}

/** The same, but an input of unknown size is first read into a temporary file. @param signal ends that */
export async function openAllContents(
  file: string,
  size: number | undefined,
  signal: AbortSignal,
): Promise<RegionSource> {
  const { size: known, source } = await look(file, size);
  return known === undefined ? spooled(source, signal) : { size: known, source };
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}

/** Contents, perhaps of a size that the system does not know. */
type Found = Pick<RegionSource, 'source'> & { size: number | undefined };

async function look(file: string, size: number | undefined): Promise<Found> {
  if (file === '-') {
    const found = fstatSync(process.stdin.fd);
    const known = sizeOf(found, nameOf(file), size, found.isFile() && (found.size > 0 || isStdinEmpty()));
    return { size: known, source: process.stdin as AsyncIterable<Uint8Array> };
  }
  const found = await ofNamedFile(file, async () => {
    await access(file, constants.R_OK);
    return stat(file);
  });
  const isSized = found.isFile() && (found.size > 0 || (await isEmpty(file)));
  const known = sizeOf(found, file, size, isSized);
  if (known === 0 && isSized) return { size: 0, source: [] };
  // A file that grows meanwhile is read up to its original size.
  const end = isSized && known !== undefined ? known - 1 : Infinity;
  return { size: known, source: found.isFIFO() ? piecesOfPipe(file) : piecesOf(file, end) };
}

/**
 * Opens a named pipe without waiting for its writer. With Node's own calls a thread of its pool
 * would wait, and the process could not end meanwhile. The first piece comes when there is a
 * writer, the end when the last writer has closed the pipe.
 */
async function* piecesOfPipe(file: string): AsyncGenerator<Uint8Array> {
  const fd = await ofNamedFile(file, () => openDescriptor(file, constants.O_RDONLY | constants.O_NONBLOCK));
  yield* new Socket({ fd, readable: true, writable: false }) as AsyncIterable<Uint8Array>;
}

/** Opens the file with the first piece, so that a transfer that never begins leaves nothing open. */
async function* piecesOf(file: string, end: number): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: INPUT_PIECE_BYTES, end }) as AsyncIterable<Uint8Array>;
}

/**
 * Whether a file of size 0 is really empty: those of /proc, for example, are generated when they
 * are read.
 */
async function isEmpty(file: string): Promise<boolean> {
  const handle = await ofNamedFile(file, () => open(file));
  try {
    return (await handle.read(Buffer.alloc(1), 0, 1, 0)).bytesRead === 0;
  } finally {
    await handle.close();
  }
}

/** Whether standard input is a pipe or a redirection, rather than a terminal or /dev/null. */
export function isStdinGiven(): boolean {
  const stat = fstatSync(process.stdin.fd);
  return stat.isFIFO() || stat.isFile() || stat.isSocket();
}

/**
 * Standard input that the user did not name: it may be an open pipe that some program left there
 * and that never gets data.
 * @returns undefined if it ends without a byte
 */
export async function openUnnamedStdin(size: number): Promise<RegionSource | undefined> {
  const contents = await openContents('-', size);
  const pieces = contents.source as AsyncIterable<Uint8Array>;
  const iterator = pieces[Symbol.asyncIterator]();
  const hint = setTimeout(() => {
    process.stderr.write('waiting for contents on standard input; with < /dev/null the region is empty\n');
  }, HINT_MS);
  const first = await iterator.next().finally(() => clearTimeout(hint));
  if (first.done === true) return undefined;
  return { size, source: resume(first.value, iterator) };
}

/** The rest of an iteration whose first piece was already taken. */
export async function* resume(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array, unknown>,
): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** Reads at an explicit position, so that later reads begin where they would have. */
function isStdinEmpty(): boolean {
  return readSync(process.stdin.fd, Buffer.alloc(1), 0, 1, 0) === 0;
}

/** @param isSized whether the system knows the size */
function sizeOf(
  stat: Stats,
  name: string,
  announced: number | undefined,
  isSized: boolean,
): number | undefined {
  if (stat.isDirectory()) throw new UsageError(`${name} is a directory; name a file`);
  if (!isSized) return announced;
  if (announced !== undefined && announced !== stat.size)
    throw new UsageError(`${name} holds ${stat.size} bytes, but --size says ${announced}`);
  return stat.size;
}
