/**
 * The backup of a repair: JSON, an object a line, so that any tool can read it and any number of ranges needs no memory.
 *
 * | line | object |
 * |---|---|
 * | first | `format` "bedrock-pool-repair", `version` 1, `poolId`, `sequence` and `copy` of the header that counted, `fileBytes`, `fingerprint` of the repaired pool, `createdAt` |
 * | the others | `offset` in the pool's file and `bytes` that stood there, in base64; null if they could not be read. First header pages 0 and 1 |
 * | last | `lines` before it, and `crc32c` of their bytes, eight hexadecimal digits |
 *
 * It appears under its name when it is whole and durable: temporary file, fsync, rename, fsync of the directory.
 */
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../clock.js';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import { crc32c } from '../pool/crc32c.js';
import type { OldRange, RepairRecord } from '../pool/repair.js';

const FORMAT = 'bedrock-pool-repair';
const VERSION = 1;
/** Lines are gathered, so that the disk gets fewer and larger writes. */
const BUFFER_CHARACTERS = 2 ** 20;

/** Where the backup of a repair lies: beside the pool, by the sequence of the header that counted. */
export function backupPath(pool: string, sequence: number): string {
  return `${pool}.repair-${sequence}`;
}

/** Writes the backup; durable when this ends. One of that name is replaced: it is of a repair that was undone. */
export async function writeBackup(file: string, record: RepairRecord): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    const writer = new LineWriter(handle);
    const { poolId, sequence, copy, fileBytes, fingerprint } = record;
    const about = { format: FORMAT, version: VERSION, poolId, sequence, copy, fileBytes, fingerprint };
    await writer.add({ ...about, createdAt: systemClock.now() });
    for await (const { offset, bytes } of record.ranges)
      await writer.add({ offset, bytes: bytes === null ? null : Buffer.from(bytes).toString('base64') });
    await writer.end();
    await handle.sync();
    await handle.close();
    await rename(temporary, file);
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(path.dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

class LineWriter {
  readonly #file: FileHandle;
  #waiting = '';
  #lines = 0;
  #checksum = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async add(line: unknown): Promise<void> {
    this.#waiting += `${JSON.stringify(line)}\n`;
    this.#lines++;
    if (this.#waiting.length >= BUFFER_CHARACTERS) await this.#flush();
  }

  async end(): Promise<void> {
    await this.#flush();
    await this.#file.writeFile(`${JSON.stringify({ lines: this.#lines, crc32c: hexOf(this.#checksum) })}\n`);
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = '';
    this.#checksum = crc32c(bytes, this.#checksum);
    await this.#file.writeFile(bytes);
  }
}

/**
 * Reads a backup. The whole of it is checked first; the ranges are then read as they are asked for.
 * @throws INVALID_ARGUMENT if it is none, or not whole; what the system says
 */
export async function readBackup(file: string): Promise<RepairRecord> {
  const first = await checkWhole(file);
  const { poolId, sequence, copy, fileBytes, fingerprint } = first as Omit<RepairRecord, 'ranges'>;
  return { poolId, sequence, copy, fileBytes, fingerprint, ranges: rangesOf(file) };
}

async function checkWhole(file: string): Promise<unknown> {
  let [lines, checksum] = [0, 0];
  let first: unknown;
  let last: string | undefined;
  for await (const line of linesOf(file)) {
    if (last !== undefined) {
      checksum = crc32c(Buffer.from(`${last}\n`), checksum);
      lines++;
      first ??= parse(file, last);
    }
    last = line;
  }
  const about = first as { format?: unknown; version?: unknown } | undefined;
  if (about?.format !== FORMAT || about.version !== VERSION)
    throw noBackup(file, 'it does not begin like one');
  const end = parse(file, last ?? '') as { lines?: unknown; crc32c?: unknown } | null;
  if (end?.lines !== lines || end.crc32c !== hexOf(checksum))
    throw noBackup(file, 'its checksum does not match');
  return first;
}

async function* rangesOf(file: string): AsyncGenerator<OldRange> {
  let isFirst = true;
  for await (const line of linesOf(file)) {
    const { offset, bytes } = parse(file, line) as { offset?: number; bytes?: string | null };
    if (!isFirst && offset !== undefined && bytes !== undefined)
      yield { offset, bytes: bytes === null ? null : Buffer.from(bytes, 'base64') };
    isFirst = false;
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await open(file, constants.O_RDONLY);
  try {
    if (!(await handle.stat()).isFile()) throw noBackup(file, 'it is no regular file');
    yield* handle.readLines({ autoClose: false, start: 0 });
  } finally {
    await handle.close();
  }
}

function parse(file: string, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw noBackup(file, messageOf(error));
  }
}

function noBackup(file: string, why: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', `${file} is no backup of a repair: ${why}`);
}

function hexOf(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

/** @returns the backup, or undefined if there is none of that name */
export async function findBackup(file: string): Promise<RepairRecord | undefined> {
  try {
    return await readBackup(file);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
