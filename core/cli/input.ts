/** Contents for a region from a file or from standard input, with their size, which must be known before the first byte. */
import { createReadStream, fstatSync, readSync, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { RegionSource } from '../contract/target.js';
import { ofNamedFile, UsageError } from './failure.js';

const PIECE_BYTES = 256 * 1024;
/** When to say what the command waits for. */
const HINT_MS = 2000;

/**
 * @param file name, or `-` for standard input
 * @param size what `--size` said
 * @throws UsageError if the size is not known or not as announced, errors of the system
 */
export async function openContents(file: string, size: number | undefined): Promise<RegionSource> {
  if (file === '-') {
    const found = fstatSync(process.stdin.fd);
    const known = sizeOf(found, 'standard input', size, found.isFile() && (found.size > 0 || isStdinEmpty()));
    return { size: known, source: process.stdin as AsyncIterable<Uint8Array> };
  }
  const found = await ofNamedFile(file, () => stat(file));
  const isSized = found.isFile() && (found.size > 0 || (await isEmpty(file)));
  const known = sizeOf(found, file, size, isSized);
  if (known === 0 && isSized) return { size: 0, source: [] };
  // A file that grows meanwhile is taken as it was.
  return { size: known, source: piecesOf(file, isSized ? known - 1 : Infinity) };
}

/** Opens the file with the first piece: a transfer that never begins leaves nothing open. */
async function* piecesOf(file: string, end: number): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: PIECE_BYTES, end }) as AsyncIterable<Uint8Array>;
}

/** Whether a file of no bytes has none: those of /proc, for instance, are only made as they are read. */
async function isEmpty(file: string): Promise<boolean> {
  const handle = await ofNamedFile(file, () => open(file));
  try {
    return (await handle.read(Buffer.alloc(1), 0, 1, 0)).bytesRead === 0;
  } finally {
    await handle.close();
  }
}

/** Whether something was piped or redirected to standard input, and not a terminal or /dev/null left there. */
export function isStdinGiven(): boolean {
  const stat = fstatSync(process.stdin.fd);
  return stat.isFIFO() || stat.isFile() || stat.isSocket();
}

/**
 * Standard input that nobody named: a program may have left an open pipe there that will never hold anything.
 * @returns nothing if it ends without a byte
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

async function* resume(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array, unknown>,
): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** Reads at a place of its own, so that what reads on begins where it would have. */
function isStdinEmpty(): boolean {
  return readSync(process.stdin.fd, Buffer.alloc(1), 0, 1, 0) === 0;
}

/** @param isSized whether the system knows how much there is */
function sizeOf(stat: Stats, name: string, announced: number | undefined, isSized: boolean): number {
  if (stat.isDirectory()) throw new UsageError(`${name} is a directory; name a file`);
  if (!isSized) {
    if (announced !== undefined) return announced;
    throw new UsageError(`${name} does not tell how much it holds; say it with --size`);
  }
  if (announced !== undefined && announced !== stat.size)
    throw new UsageError(`${name} holds ${stat.size} bytes, but --size says ${announced}`);
  return stat.size;
}
