/** Contents for a region from a file or from standard input, with their size, which must be known before the first byte. */
import { createReadStream, fstatSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { RegionSource } from '../target/target.js';
import { UsageError } from './failure.js';

const PIECE_BYTES = 256 * 1024;
const STDIN = 0;
/** When to say what the command waits for. */
const HINT_MS = 2000;

/**
 * @param file name, or `-` for standard input
 * @param size what `--size` said
 * @throws UsageError if the size is not known or not as announced, errors of the system
 */
export async function openContents(file: string, size: number | undefined): Promise<RegionSource> {
  if (file === '-') {
    const known = sizeOf(fstatSync(STDIN), 'standard input', size);
    return { size: known, source: process.stdin as AsyncIterable<Uint8Array> };
  }
  const handle = await open(file);
  const stat = await handle.stat();
  const known = sizeOf(stat, file, size);
  if (known === 0 && stat.isFile()) return { size: 0, source: [] };
  // A file that grows meanwhile is taken as it was.
  const end = stat.isFile() ? known - 1 : Infinity;
  return { size: known, source: createReadStream(file, { fd: handle, highWaterMark: PIECE_BYTES, end }) };
}

/** Whether something was piped or redirected to standard input, and not a terminal or /dev/null left there. */
export function isStdinGiven(): boolean {
  const stat = fstatSync(STDIN);
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

function sizeOf(stat: Stats, name: string, announced: number | undefined): number {
  if (stat.isDirectory()) throw new UsageError(`${name} is a directory; name a file`);
  if (!stat.isFile()) {
    if (announced !== undefined) return announced;
    throw new UsageError(`${name} does not tell how much it holds; say it with --size`);
  }
  if (announced !== undefined && announced !== stat.size)
    throw new UsageError(`${name} holds ${stat.size} bytes, but --size says ${announced}`);
  return stat.size;
}
