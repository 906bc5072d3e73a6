/**
 * The files of a snapshot: their names, the manifest, and the lines of the index of regions.
 * docs/snapshot-format.md describes them.
 *
 * Everything that is read may be damaged or forged. So names of files are made from numbers, sizes
 * are checked, and no number from a file decides how much memory is allocated.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { isRecord } from '../base/plain.js';
import { MAX_NAME_BYTES } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import { crc32c } from '../pool/crc32c.js';

export const FORMAT = 'bedrock-node snapshot';
export const VERSION = 1;
export const MANIFEST = 'manifest.json';
export const UNFINISHED = 'unfinished.json';
export const REGIONS = 'regions.jsonl' as const;
export const ERASED = 'erased.txt' as const;

const MAX_MANIFEST_BYTES = 2 ** 24;
/** Bytes of one line: a region's name in JSON, and its extents. */
export const MAX_LINE_BYTES = 2 ** 24;
const MAX_PACKS = 10 ** 6;

/** Name of a pack, which holds bytes of regions. */
export function packName(pack: number): string {
  return `data-${String(pack).padStart(6, '0')}.pack`;
}

/** The names of files that a snapshot may have in its folder. */
export const OWN_NAME =
  /^(manifest\.json|manifest\.json\.new|unfinished\.json|regions\.jsonl(\.new)?|erased\.txt|data-\d{6}\.pack)$/;

/** A part of a region, and where it is in a pack. */
export interface Extent {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

export interface RegionRecord {
  readonly id: RegionId;
  readonly size: number;
  readonly createdAt: number;
  readonly name?: string;
  /** In the order of the region's bytes. */
  readonly extents: readonly Extent[];
}

export interface Manifest {
  readonly format: 'bedrock-node snapshot';
  readonly version: number;
  /** 16 hexadecimal digits. */
  readonly poolId: string;
  /** The moment that the snapshot shows, milliseconds since the epoch. */
  readonly takenAt: number;
  /** Where it comes from, for people. */
  readonly source: { readonly provider: string; readonly target: number; readonly type: string };
  readonly regions: number;
  readonly bytes: number;
  readonly erased: number;
  /** Bytes of each pack, by its number. */
  readonly packs: readonly number[];
  readonly files: { readonly 'regions.jsonl': IndexFile; readonly 'erased.txt': IndexFile };
}

export interface IndexFile {
  readonly size: number;
  readonly crc32c: number;
}

export function encodeManifest(manifest: Manifest): string {
  const text = JSON.stringify(manifest);
  return `${JSON.stringify({ ...manifest, crc32c: crc32c(Buffer.from(text)) }, null, 2)}\n`;
}

export function encodeRecord({ id, size, createdAt, name, extents }: RegionRecord): string {
  const parts = extents.map(({ pack, offset, length, crc }) => [pack, offset, length, crc]);
  return `${JSON.stringify({ id, size, createdAt, ...(name !== undefined && { name }), extents: parts })}\n`;
}

export function corrupt(folder: string, what: string, cause?: unknown): BedrockError {
  return new BedrockError('SNAPSHOT_CORRUPT', `the snapshot ${folder} is damaged: ${what}`, {
    details: { path: folder },
    ...(cause !== undefined && { cause }),
  });
}

/**
 * Reads the manifest of a complete snapshot.
 * @throws NOT_FOUND, SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT
 */
export async function readManifest(folder: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readSmall(path.join(folder, MANIFEST));
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw unreadable(folder, MANIFEST, error);
    const unfinished = await readSmall(path.join(folder, UNFINISHED)).catch(() => undefined);
    if (unfinished !== undefined)
      throw new BedrockError(
        'SNAPSHOT_INCOMPLETE',
        `the snapshot ${folder} was not finished; take it again into the same folder`,
        { details: { path: folder } },
      );
    throw new BedrockError('NOT_FOUND', `${folder} is not a snapshot: it has no ${MANIFEST}`, {
      details: { path: folder },
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw corrupt(folder, `${MANIFEST} is not JSON`, cause);
  }
  return checkManifest(folder, parsed);
}

async function readSmall(file: string): Promise<string> {
  const handle = await openToRead(file);
  try {
    const { size } = await handle.stat();
    if (size > MAX_MANIFEST_BYTES) throw new BedrockError('SNAPSHOT_CORRUPT', `${file} is too large`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Opens a file. Does not follow a symbolic link, and does not block on a pipe. */
export function openToRead(file: string): Promise<FileHandle> {
  return open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

export function unreadable(folder: string, file: string, error: unknown): BedrockError {
  if (error instanceof BedrockError) return error;
  const code = systemCodeOf(error);
  if (code === 'ENOENT') return corrupt(folder, `${file} is missing`, error);
  if (code === 'ELOOP') return corrupt(folder, `${file} is a symbolic link`, error);
  if (code === 'EACCES' || code === 'EPERM' || code === 'ENOTDIR')
    return new BedrockError('INVALID_ARGUMENT', `${path.join(folder, file)} cannot be read: ${code}`, {
      cause: error,
    });
  return corrupt(folder, `${file} cannot be read (${code ?? 'no code'})`, error);
}

function checkManifest(folder: string, parsed: unknown): Manifest {
  if (!isRecord(parsed)) throw corrupt(folder, `${MANIFEST} is not an object`);
  const { crc32c: sum, ...manifest } = parsed;
  if (manifest.format !== FORMAT) throw corrupt(folder, `${MANIFEST} is of another format`);
  if (manifest.version !== VERSION)
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the snapshot ${folder} has format version ${String(manifest.version)}, and this version reads ${VERSION}`,
    );
  if (sum !== crc32c(Buffer.from(JSON.stringify(manifest))))
    throw corrupt(folder, `the checksum of ${MANIFEST} does not match`);
  const { poolId, packs, files } = manifest;
  const fault = (what: string): BedrockError => corrupt(folder, `${MANIFEST} has ${what}`);
  if (typeof poolId !== 'string' || !/^[0-9a-f]{16}$/.test(poolId)) throw fault('no pool id');
  for (const name of ['takenAt', 'regions', 'bytes', 'erased'])
    if (!isCount(manifest[name])) throw fault(`no ${name}`);
  if (!isRecord(manifest.source)) throw fault('no source');
  if (!Array.isArray(packs) || packs.length > MAX_PACKS || !packs.every(isCount)) throw fault('no packs');
  if (!isRecord(files)) throw fault('no files');
  for (const name of [REGIONS, ERASED]) {
    const file = files[name];
    if (!isRecord(file) || !isCount(file.size) || !isCount(file.crc32c)) throw fault(`nothing about ${name}`);
  }
  return manifest as unknown as Manifest;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A line of regions.jsonl. @throws SNAPSHOT_CORRUPT */
export function decodeRecord(
  line: string,
  { poolId, packs }: Pick<Manifest, 'poolId' | 'packs'>,
  folder: string,
): RegionRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw corrupt(folder, `a line of ${REGIONS} is not JSON`, cause);
  }
  const { id: hex, size, createdAt, name, extents } = (parsed ?? {}) as Record<string, unknown>;
  const fault = (what: string): BedrockError =>
    corrupt(folder, `region ${typeof hex === 'string' ? hex.slice(0, 32) : '?'} of ${REGIONS} has ${what}`);
  if (typeof hex !== 'string' || !/^[0-9a-f]{32}$/.test(hex)) throw fault('no ID');
  if (!hex.endsWith(poolId)) throw fault('an ID of another pool');
  if (!isCount(size) || !isCount(createdAt)) throw fault('no size or time');
  if (name !== undefined && (typeof name !== 'string' || Buffer.byteLength(name) > MAX_NAME_BYTES))
    throw fault('no valid name');
  if (!Array.isArray(extents)) throw fault('no extents');
  let sum = 0;
  const checked = extents.map((extent: unknown): Extent => {
    const [pack, offset, length, crc] = Array.isArray(extent) ? (extent as unknown[]) : [];
    if (![pack, offset, length, crc].every(isCount)) throw fault('an extent that is none');
    const [at, end] = [offset as number, (offset as number) + (length as number)];
    if (end > (packs[pack as number] ?? -1))
      throw fault(`an extent beyond the end of ${packName(pack as number)}`);
    sum += length as number;
    return { pack: pack as number, offset: at, length: length as number, crc: crc as number };
  });
  if (sum !== size) throw fault(`extents of ${sum} bytes, not ${size}`);
  return { id: RegionId.parse(hex), size, createdAt, ...(name !== undefined && { name }), extents: checked };
}
