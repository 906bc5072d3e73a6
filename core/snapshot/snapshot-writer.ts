/**
 * Writes a snapshot. Order: unfinished.json -> data, index -> fsync of each -> fsync of the folder -> manifest.json.new -> fsync ->
 * rename to manifest.json -> unfinished.json goes -> fsync of the folder. So manifest.json is there if, and only if, all of it is durable.
 *
 * Bytes are appended to packs. A region of one piece is one extent. The pieces of a larger one may come in any order, with those of other
 * regions between them; those that follow each other in a pack become one extent.
 */
import { type FileHandle, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, invalid, messageOf, systemCodeOf } from '../base/errors.js';
import { makeFolders } from '../base/folders.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { type CopySink, PIECE_BYTES } from './live-copy.js';
import { type Checksum, checksum } from './checksum.js';
import {
  encodeManifest,
  encodeRecord,
  ERASED,
  type Extent,
  type IndexFile,
  MANIFEST,
  type Manifest,
  OWN_NAME,
  packName,
  REGIONS,
  UNFINISHED,
} from './format.js';

/** A pack that has reached this gets no more. */
const PACK_BYTES = 2 ** 30;
/** Small pieces are gathered up to this. */
const BUFFER_BYTES = 2 ** 20;

/** Folders that a snapshot is being written to or read from by this process. */
const inUse = new Set<string>();

/** Keeps a folder for one snapshot at a time. @throws CONFLICT */
export function useFolder(folder: string): () => void {
  if (inUse.has(folder))
    throw new BedrockError('CONFLICT', `another operation is using the folder ${folder}`, {
      details: { path: folder },
    });
  inUse.add(folder);
  return () => inUse.delete(folder);
}

/** The system's error for the folder of a snapshot, as one of the table. */
export function folderError(folder: string, error: unknown): unknown {
  const code = systemCodeOf(error);
  if (error instanceof BedrockError || code === undefined) return error;
  const details = { path: folder };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new BedrockError(
      'OUT_OF_SPACE',
      `the file system of ${folder} has no space left for the snapshot`,
      {
        details,
        cause: error,
      },
    );
  if (['EACCES', 'ENOENT', 'EPERM', 'EROFS', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EEXIST'].includes(code))
    return invalid(`no snapshot can be written to ${folder}: ${messageOf(error)}`, { details, cause: error });
  return error;
}

/** An append-only file, with its checksum. Pieces are gathered, and written by the thread pool. */
class Appender {
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

  /** @param bytes nobody changes them until `drained` has resolved */
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

/** What is kept of a region until the end. */
interface Kept {
  readonly id: RegionId;
  /** Where its last line is in regions.jsonl, as long as that is being written. */
  at: number;
  bytes: number;
}

export class SnapshotWriter implements CopySink {
  /** By ID: a slot may have had two regions. The extents of the pieces, by their numbers; kept for regions of several. */
  readonly #parts = new Map<string, Extent[]>();
  /** By slot. */
  readonly #kept = new Map<number, Kept>();
  /** By slot, the last generation that was given out. */
  readonly #erased = new Map<number, number>();
  readonly #packs: number[] = [];
  #pack: Appender | undefined;
  #regions!: Appender;
  #sum!: Checksum;
  #release!: () => void;

  private constructor(
    readonly folder: string,
    private readonly onBytes: (bytes: number, regions: number) => void,
  ) {}

  /**
   * Prepares the folder: it is made if it is not there, and must be empty, or have what a snapshot that was not finished has left.
   * @throws INVALID_ARGUMENT, CONFLICT, OUT_OF_SPACE
   */
  static async open(
    folder: string,
    onBytes: (bytes: number, regions: number) => void,
  ): Promise<SnapshotWriter> {
    try {
      await makeFolders(folder);
      const real = await realpath(folder);
      const writer = new SnapshotWriter(real, onBytes);
      writer.#release = useFolder(real);
      try {
        await writer.#begin();
      } catch (error) {
        writer.#release();
        throw error;
      }
      return writer;
    } catch (error) {
      throw folderError(folder, error);
    }
  }

  async #begin(): Promise<void> {
    const { folder } = this;
    if (!(await stat(folder)).isDirectory()) throw invalid(`${folder} is no folder`);
    const there = await readdir(folder);
    if (there.includes(MANIFEST))
      throw new BedrockError('CONFLICT', `${folder} holds a complete snapshot already; name another folder`, {
        details: { path: folder },
      });
    const foreign = there.find((name) => !OWN_NAME.test(name));
    if (foreign !== undefined || (there.length > 0 && !there.includes(UNFINISHED)))
      throw invalid(
        `${folder} is not empty, and holds no unfinished snapshot: it has ${foreign ?? there[0] ?? ''}`,
        {
          details: { path: folder },
        },
      );
    for (const name of there) if (name !== UNFINISHED) await rm(path.join(folder, name));
    this.#sum = await checksum();
    if (!there.includes(UNFINISHED)) {
      const marker = await open(path.join(folder, UNFINISHED), 'wx');
      await marker.writeFile(`{"format": "bedrock-node snapshot, not finished"}\n`);
      await marker.sync();
      await marker.close();
    }
    await syncFolder(folder);
    this.#regions = new Appender(await open(path.join(folder, REGIONS), 'wx'), this.#sum);
  }

  async write(id: RegionId, at: number, bytes: Uint8Array): Promise<void> {
    const pack = await this.#packFor();
    // Safe: no other wait until the bytes have their place.
    const number = this.#packs.length - 1;
    const offset = pack.append(bytes);
    const key = id.toString();
    let parts = this.#parts.get(key);
    if (parts === undefined) this.#parts.set(key, (parts = []));
    parts[at / PIECE_BYTES] = { pack: number, offset, length: bytes.length, crc: this.#sum(bytes, 0) };
    this.#packs[number] = pack.size;
    this.onBytes(bytes.length, 0);
    // What is only gathered belongs to the writer: the caller never uses the bytes again.
    if (pack.isFull) await pack.flush();
  }

  #opening: Promise<Appender> | undefined;

  async #packFor(): Promise<Appender> {
    while (this.#pack === undefined || this.#pack.size >= PACK_BYTES) {
      this.#opening ??= this.#nextPack().finally(() => (this.#opening = undefined));
      await this.#opening;
    }
    return this.#pack;
  }

  async #nextPack(): Promise<Appender> {
    const full = this.#pack;
    if (full !== undefined) {
      this.#pack = undefined;
      await full.close();
    }
    const file = await open(path.join(this.folder, packName(this.#packs.length)), 'wx');
    this.#packs.push(0);
    return (this.#pack = new Appender(file, undefined));
  }

  async region({ id, size, createdAt, name }: RegionStat): Promise<void> {
    const { slot } = id;
    const key = id.toString();
    const extents = this.#parts.get(key) ?? [];
    // A region of one piece is read again as a whole.
    if (size <= PIECE_BYTES) this.#parts.delete(key);
    const record = { id, size, createdAt, ...(name !== undefined && { name }), extents };
    const known = this.#kept.get(slot);
    const at = this.#regions.append(Buffer.from(encodeRecord(record)));
    if (known?.id.equals(id) === true) [known.at, known.bytes] = [at, size];
    else {
      this.#kept.set(slot, { id, at, bytes: size });
      this.onBytes(0, 1);
    }
    this.#erased.delete(slot);
    if (this.#regions.isFull) await this.#regions.flush();
  }

  gone(id: RegionId): void {
    const { slot, generation } = id;
    this.#parts.delete(id.toString());
    const known = this.#kept.get(slot);
    // A later region of the slot may have been copied already.
    if (known !== undefined && known.id.generation > generation) return;
    this.#kept.delete(slot);
    this.#erased.set(slot, Math.max(generation, this.#erased.get(slot) ?? 0));
  }

  /** Keeps the last line of each region that is there. */
  async #compact(signal: AbortSignal): Promise<{ file: IndexFile; regions: number; bytes: number }> {
    await this.#regions.close();
    const draft = path.join(this.folder, REGIONS);
    const from = await open(draft, 'r');
    const to = new Appender(await open(path.join(this.folder, `${REGIONS}.new`), 'wx'), this.#sum);
    let [regions, bytes] = [0, 0];
    try {
      for await (const { at, line } of linesOf(from)) {
        signal.throwIfAborted();
        const { id } = JSON.parse(line.toString()) as { id: string };
        const kept = this.#kept.get(RegionId.parse(id).slot);
        if (kept?.at !== at) continue;
        to.append(line);
        regions++;
        bytes += kept.bytes;
        if (to.isFull) await to.flush();
      }
      const file = await to.close();
      await rename(path.join(this.folder, `${REGIONS}.new`), draft);
      return { file, regions, bytes };
    } catch (error) {
      await to.abandon();
      throw error;
    } finally {
      await from.close();
    }
  }

  /** Makes all of it durable, and complete. */
  async finish(
    facts: Pick<Manifest, 'poolId' | 'takenAt' | 'source'>,
    signal: AbortSignal,
  ): Promise<Manifest> {
    const { folder } = this;
    const { file: regionsFile, ...counted } = await this.#compact(signal);
    const list = new Appender(await open(path.join(folder, ERASED), 'wx'), this.#sum);
    let count = 0;
    const { poolLow, poolHigh } = RegionId.from(
      Buffer.concat([Buffer.alloc(8), Buffer.from(facts.poolId, 'hex')]),
    );
    try {
      for (const [slot, generation] of this.#erased) {
        list.append(Buffer.from(`${RegionId.of(slot, generation, poolLow, poolHigh).toString()}\n`));
        if (++count % 4096 !== 0) continue;
        signal.throwIfAborted();
        await list.flush();
      }
    } catch (error) {
      await list.abandon();
      throw error;
    }
    const files = { [REGIONS]: regionsFile, [ERASED]: await list.close() };
    await this.#pack?.close();
    this.#pack = undefined;
    signal.throwIfAborted();
    await syncFolder(folder);
    const manifest: Manifest = {
      format: 'bedrock-node snapshot',
      version: 1,
      ...facts,
      ...counted,
      erased: count,
      packs: this.#packs,
      files,
    };
    const made = await open(path.join(folder, `${MANIFEST}.new`), 'wx');
    try {
      await made.writeFile(encodeManifest(manifest));
      await made.sync();
    } finally {
      await made.close();
    }
    await rename(path.join(folder, `${MANIFEST}.new`), path.join(folder, MANIFEST));
    await syncFolder(folder);
    // The snapshot is complete; a marker that is left costs nothing.
    await rm(path.join(folder, UNFINISHED), { force: true }).catch(() => undefined);
    return manifest;
  }

  /** Closes the files, complete or not. */
  async close(): Promise<void> {
    await this.#regions.abandon();
    await this.#pack?.abandon();
    this.#release();
  }
}

/** The lines of a file that this process has written, with their places. */
async function* linesOf(file: FileHandle): AsyncGenerator<{ at: number; line: Buffer }> {
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

/** Makes the names in a folder durable; a file system without that keeps them as it likes. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP'].includes(systemCodeOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
