/**
 * A file that a snapshot is written to, piece after piece, with its checksum; and its lines, read
 * back. The caller makes sure that one appender writes to a file.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Checksum } from './checksum.js';
import type { IndexFile } from './format.js';

/** Small pieces are gathered up to this size. */
const BUFFER_BYTES = 2 ** 20;

/** An append-only file, with its checksum. Pieces are gathered, and written by the thread pool. */
export class Appender {
  size = 0;
  #crc = 0;
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #written = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly file: FileHandle,
    private readonly sum: Checksum | undefined,
  ) {}

  /** @param bytes must not change until `drained` has resolved */
  append(bytes: Uint8Array): number {
    const at = this.size;
    this.size += bytes.length;
    if (this.sum !== undefined) this.#crc = this.sum(bytes, this.#crc);
    this.#pieces.push(bytes);
    this.#gathered += bytes.length;
    return at;
  }

  get isFull(): boolean {
    return this.#gathered >= BUFFER_BYTES;
  }

  flush(): Promise<void> {
    if (this.#gathered > 0) {
      const pieces = this.#pieces;
      const at = this.#written;
      this.#written += this.#gathered;
      [this.#pieces, this.#gathered] = [[], 0];
      this.#writing = this.#writing.then(() => writeAll(this.file, pieces, at));
    }
    return this.#writing;
  }

  async close(): Promise<IndexFile> {
    await this.flush();
    await this.file.sync();
    await this.file.close();
    return { size: this.size, crc32c: this.#crc };
  }

  async abandon(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.file.close().catch(() => undefined);
  }
}

async function writeAll(file: FileHandle, pieces: readonly Uint8Array[], at: number): Promise<void> {
  const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

/** Yields the lines of a file that this process has written, with their positions. */
export async function* linesOf(file: FileHandle): AsyncGenerator<{ at: number; line: Buffer }> {
  let rest: Buffer = Buffer.alloc(0);
  for (let at = 0, start = 0; ;) {
    const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    const { bytesRead } = await file.read(buffer, 0, BUFFER_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    let from = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
      yield { at: start + from, line: rest.subarray(from, end + 1) };
      from = end + 1;
    }
    start += from;
    rest = rest.subarray(from);
  }
}
