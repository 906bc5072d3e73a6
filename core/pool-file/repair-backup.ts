/**
 * The backup of a repair: JSON, one object per line, so that any tool can read it, and any number
 * of ranges needs little memory.
 *
 * | line | object |
 * |---|---|
 * | first | `format` "bedrock-pool-repair", `version` 1, `poolId`, `sequence` and `copy` of the header that was valid, `fileBytes`, `fingerprint` of the repaired pool, `createdAt` |
 * | the others | `offset` in the pool's file and the former `bytes` there, in base64; null if they could not be read. Header pages 0 and 1 come first |
 * | last | `lines`, the number of lines before it, and `crc32c` of their bytes, eight hexadecimal digits |
 *
 * It appears under its name when it is complete and durable, readable only by its owner. The name
 * is predictable, so nothing is ever written through it: the file is created without a name, or
 * with one that nobody can guess, and replaces whatever is there, even a link. A backup that is
 * found by its name is trusted only if it belongs to the user who repairs, or to the pool's owner.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { systemClock } from '../base/clock.js';
import { type BedrockError, invalid, messageOf, systemCodeOf } from '../base/errors.js';
import { crc32c } from '../pool/crc32c.js';
import type { OldRange, RepairRecord } from '../pool/repair.js';
import { fileOperations } from './file-operations.js';
import { makeFile } from './unfinished-file.js';

const FORMAT = 'bedrock-pool-repair';
const VERSION = 1;
/** Lines are collected into fewer and larger writes. */
const BUFFER_CHARACTERS = 2 ** 20;

/** Path of a repair's backup: beside the pool, with the sequence of the header that was valid. */
export function backupPath(pool: string, sequence: number): string {
  return `${pool}.repair-${sequence}`;
}

/**
 * Writes the backup; it is durable when this ends. An existing one of that name is replaced: it
 * belongs to a repair that was undone.
 */
export async function writeBackup(file: string, record: RepairRecord): Promise<void> {
  const made = await makeFile(file, await fileOperations(), true, (handle) => writeLines(handle, record));
  await made.file.close();
}

async function writeLines(handle: FileHandle, record: RepairRecord): Promise<void> {
  const writer = new LineWriter(handle);
  const { poolId, sequence, copy, fileBytes, fingerprint } = record;
  const about = { format: FORMAT, version: VERSION, poolId, sequence, copy, fileBytes, fingerprint };
  await writer.add({ ...about, createdAt: systemClock.now() });
  for await (const { offset, bytes } of record.ranges)
    await writer.add({ offset, bytes: bytes === null ? null : Buffer.from(bytes).toString('base64') });
  await writer.end();
  await handle.sync();
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

/** How a backup is opened, each time. */
interface Access {
  readonly flags: number;
  /** Permitted owners; undefined: anyone, as the user has named it. */
  readonly owners?: readonly number[];
}

const BY_USER: Access = { flags: 0 };

/**
 * Reads a backup. It is checked completely first; the ranges are then read on demand.
 * @throws INVALID_ARGUMENT if it is not a backup, or incomplete; errors of the system
 */
export async function readBackup(file: string, access: Access = BY_USER): Promise<RepairRecord> {
  const first = await checkWhole(file, access);
  const { poolId, sequence, copy, fileBytes, fingerprint } = first as Omit<RepairRecord, 'ranges'>;
  return { poolId, sequence, copy, fileBytes, fingerprint, ranges: rangesOf(file, access) };
}

async function checkWhole(file: string, access: Access): Promise<unknown> {
  let [lines, checksum] = [0, 0];
  let first: unknown;
  let last: string | undefined;
  for await (const line of linesOf(file, access)) {
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

async function* rangesOf(file: string, access: Access): AsyncGenerator<OldRange> {
  let isFirst = true;
  for await (const line of linesOf(file, access)) {
    const { offset, bytes } = parse(file, line) as { offset?: number; bytes?: string | null };
    if (!isFirst && offset !== undefined && bytes !== undefined)
      yield { offset, bytes: bytes === null ? null : Buffer.from(bytes, 'base64') };
    isFirst = false;
  }
}

async function* linesOf(file: string, { flags, owners }: Access): AsyncGenerator<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | flags);
  try {
    const there = await handle.stat();
    if (!there.isFile()) throw noBackup(file, 'it is not a regular file');
    if (owners !== undefined && !owners.includes(there.uid))
      throw noBackup(file, `it belongs to the user ${there.uid}; give it by --undo if you trust it`);
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
  return invalid(`${file} is not a backup of a repair: ${why}`);
}

function hexOf(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}

/**
 * A backup that the user has not named.
 * @returns undefined if there is none of that name
 * @throws INVALID_ARGUMENT if it is incomplete, or another user's; ELOOP for a link
 */
export async function findBackup(file: string, pool: string): Promise<RepairRecord | undefined> {
  const owners = [process.geteuid?.() ?? 0, (await stat(pool)).uid];
  try {
    return await readBackup(file, { flags: constants.O_NOFOLLOW, owners });
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
