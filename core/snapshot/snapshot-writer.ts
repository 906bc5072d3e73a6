/**
 * Writes a snapshot. Order: unfinished.json -> data, index -> fsync of each -> fsync of the
 * folder -> manifest.json.new -> fsync -> rename to manifest.json -> remove unfinished.json ->
 * fsync of the folder. So manifest.json exists if, and only if, everything is durable.
 *
 * Bytes are appended to packs. A region of one piece is one extent. The pieces of a larger region
 * may come in any order, with pieces of other regions between them; each piece is an extent.
 *
 * A piece that an earlier snapshot has with the same bytes is not written again. If it is in a pack
 * of another folder, that pack gets a second name here, a hard link: packs never change once their
 * snapshot is complete.
 */
import { link, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, invalid, systemCodeOf } from '../base/errors.js';
import { makeFolders, unmakeFolders } from '../base/folders.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { Appender, linesOf } from './appender.js';
import { type Checksum, checksum } from './checksum.js';
import { EarlierSnapshot } from './earlier-snapshot.js';
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
import { type CopySink, PIECE_BYTES } from './live-copy.js';
import { folderError, realFolder, syncFolder, useFolder } from './snapshot-folder.js';

/** A pack that has reached this size gets no more bytes. */
const PACK_BYTES = 2 ** 30;

async function earlierOf({ incremental, poolId }: WriterOptions): Promise<EarlierSnapshot | undefined> {
  return incremental === undefined
    ? undefined
    : EarlierSnapshot.complete(await realFolder(incremental), poolId);
}

/** What is remembered of a region until the end. */
interface Kept {
  readonly id: RegionId;
  /** Where its last line is in regions.jsonl while that is being written. */
  at: number;
  bytes: number;
}

export interface WriterOptions {
  /** 16 hexadecimal digits, of the target. */
  readonly poolId: string;
  /** The folder of an earlier snapshot. */
  readonly incremental?: string;
  /** Reports bytes that were written or were already there, and regions. */
  readonly onBytes: (bytes: number, regions: number) => void;
}

/** What writing a snapshot cost. */
export interface Written {
  /** Bytes of regions that were written. */
  readonly writtenBytes: number;
  /** Bytes of regions that were there already, in the earlier snapshot or in what was left of this one. */
  readonly reusedBytes: number;
}

export class SnapshotWriter implements CopySink {
  /**
   * For each region of several pieces: the extents of its pieces. Keyed by ID, not by slot, since a
   * slot may have had two regions.
   */
  readonly #parts = new Map<string, Extent[]>();
  /** By slot. */
  readonly #kept = new Map<number, Kept>();
  /** For each slot, the last generation that was given out. */
  readonly #erased = new Map<number, number>();
  readonly #packs: number[] = [];
  /** The pack that is being written, and its number. */
  #pack: Appender | undefined;
  #number = 0;
  #writtenBytes = 0;
  #earlier: EarlierSnapshot | undefined;
  /** For each number of a pack in the earlier snapshot: its number here. */
  readonly #shared = new Map<number, Promise<number>>();
  #regions!: Appender;
  #sum!: Checksum;
  readonly #releases: (() => void)[] = [];

  private constructor(
    readonly folder: string,
    private readonly options: WriterOptions,
  ) {}

  /**
   * Prepares the folder, and creates it if necessary. It must be empty, or hold an unfinished
   * snapshot.
   * @throws INVALID_ARGUMENT, CONFLICT, OUT_OF_SPACE; for the earlier snapshot also NOT_FOUND,
   *   SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT, NOT_SUPPORTED
   */
  static async open(folder: string, options: WriterOptions): Promise<SnapshotWriter> {
    let made: string | undefined;
    let writer: SnapshotWriter | undefined;
    try {
      const earlier = await earlierOf(options);
      try {
        made = await makeFolders(folder);
        writer = new SnapshotWriter(await realpath(folder), options);
        writer.#earlier = earlier;
        if (earlier !== undefined) writer.#releases.push(useFolder(earlier.folder));
        writer.#releases.push(useFolder(writer.folder));
        await writer.#begin();
        return writer;
      } catch (error) {
        if (writer === undefined) await earlier?.close();
        else await writer.#letGo();
        throw error;
      }
    } catch (error) {
      await unmakeFolders(folder, made);
      throw folderError(folder, error);
    }
  }

  async #begin(): Promise<void> {
    const { folder } = this;
    if (!(await stat(folder)).isDirectory()) throw invalid(`${folder} is not a folder`);
    const there = await readdir(folder);
    if (there.includes(MANIFEST))
      throw new BedrockError('CONFLICT', `${folder} already holds a complete snapshot; name another folder`, {
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
    if (this.#earlier === undefined && there.length > 0) await this.#resume();
    const kept = new Set(this.#packs.flatMap((size, pack) => (size > 0 ? [packName(pack)] : [])));
    for (const name of there) if (name !== UNFINISHED && !kept.has(name)) await rm(path.join(folder, name));
    this.#sum = await checksum();
    if (!there.includes(UNFINISHED)) {
      const marker = await open(path.join(folder, UNFINISHED), 'wx');
      await marker.writeFile(`{"format": "bedrock-node snapshot, not finished"}\n`);
      await marker.sync();
      await marker.close();
    }
    if (this.options.incremental !== undefined)
      await this.#tryLink().catch(async (error: unknown) => {
        // The folder is unchanged.
        if (there.length === 0) await rm(path.join(folder, UNFINISHED));
        throw error;
      });
    await syncFolder(folder);
    this.#regions = new Appender(await open(path.join(folder, REGIONS), 'wx'), this.#sum);
  }

  /**
   * Keeps the packs of an interrupted snapshot, to reuse the pieces that have not changed since.
   */
  async #resume(): Promise<void> {
    const left = await EarlierSnapshot.unfinished(this.folder, this.options.poolId);
    this.#earlier = left;
    const { used } = left;
    for (const [pack, size] of left.packs.entries()) this.#packs.push(used.has(pack) ? size : 0);
    for (const pack of used) this.#shared.set(pack, Promise.resolve(pack));
  }

  /** Checks at the start whether the folder can share files with that of the earlier snapshot. */
  async #tryLink(): Promise<void> {
    const earlier = this.#earlier;
    if (earlier === undefined) return;
    const name = path.join(this.folder, `${MANIFEST}.new`);
    try {
      await link(path.join(earlier.folder, MANIFEST), name);
    } catch (error) {
      const code = systemCodeOf(error);
      if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code ?? '')) throw error;
      throw invalid(
        `${this.folder} cannot share files with ${earlier.folder} (${code ?? ''}): an incremental snapshot needs both on one file system that has hard links; without "incremental" the snapshot is written in full`,
        { cause: error },
      );
    }
    await rm(name);
  }

  async write(id: RegionId, at: number, bytes: Uint8Array): Promise<void> {
    const crc = this.#sum(bytes, 0);
    const piece = at / PIECE_BYTES;
    const there = await this.#earlier?.find(id, piece, bytes, crc);
    if (there !== undefined) {
      const pack = await this.#share(there.pack);
      this.#note(id, piece, { ...there, pack });
      this.options.onBytes(bytes.length, 0);
      return;
    }
    const pack = await this.#packFor();
    // Safe: there is no further wait until the bytes have their place.
    const number = this.#number;
    const offset = pack.append(bytes);
    this.#note(id, piece, { pack: number, offset, length: bytes.length, crc });
    this.#packs[number] = pack.size;
    this.#writtenBytes += bytes.length;
    this.options.onBytes(bytes.length, 0);
    // Bytes that are only gathered yet belong to the writer: the caller never uses them again.
    if (pack.isFull) await pack.flush();
  }

  #note(id: RegionId, piece: number, extent: Extent): void {
    const key = id.toString();
    let parts = this.#parts.get(key);
    if (parts === undefined) this.#parts.set(key, (parts = []));
    parts[piece] = extent;
  }

  /** Adds a pack of the earlier snapshot to this one. @returns its number here */
  #share(pack: number): Promise<number> {
    let sharing = this.#shared.get(pack);
    if (sharing === undefined) {
      const number = this.#packs.length;
      this.#packs.push(this.#earlier?.packs[pack] ?? 0);
      sharing = this.#linkAs(pack, number);
      this.#shared.set(pack, sharing);
    }
    return sharing;
  }

  async #linkAs(pack: number, number: number): Promise<number> {
    await this.#earlier?.link(pack, path.join(this.folder, packName(number)));
    return number;
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
    const number = this.#packs.length;
    this.#packs.push(0);
    const file = await open(path.join(this.folder, packName(number)), 'wx');
    this.#number = number;
    return (this.#pack = new Appender(file, undefined));
  }

  async region({ id, size, createdAt, name }: RegionStat): Promise<void> {
    const { slot } = id;
    const key = id.toString();
    const extents = this.#parts.get(key) ?? [];
    // A region of one piece is always read again as a whole.
    if (size <= PIECE_BYTES) this.#parts.delete(key);
    const record = { id, size, createdAt, ...(name !== undefined && { name }), extents };
    const known = this.#kept.get(slot);
    const at = this.#regions.append(Buffer.from(encodeRecord(record)));
    if (known?.id.equals(id) === true) [known.at, known.bytes] = [at, size];
    else {
      this.#kept.set(slot, { id, at, bytes: size });
      this.options.onBytes(0, 1);
    }
    this.#erased.delete(slot);
    if (this.#regions.isFull) await this.#regions.flush();
  }

  gone(id: RegionId): void {
    const { slot, generation } = id;
    this.#parts.delete(id.toString());
    const known = this.#kept.get(slot);
    // A later region of the slot may already have been copied.
    if (known !== undefined && known.id.generation > generation) return;
    this.#kept.delete(slot);
    this.#erased.set(slot, Math.max(generation, this.#erased.get(slot) ?? 0));
  }

  /** Writes the index again, with the last line of each region that still exists. */
  async #compact(signal: AbortSignal): Promise<{
    file: IndexFile;
    regions: number;
    bytes: number;
    /** For each pack, the bytes that regions use in it. */
    used: Map<number, number>;
  }> {
    await this.#regions.close();
    const draft = path.join(this.folder, REGIONS);
    const from = await open(draft, 'r');
    const to = new Appender(await open(path.join(this.folder, `${REGIONS}.new`), 'wx'), this.#sum);
    let [regions, bytes] = [0, 0];
    const used = new Map<number, number>();
    try {
      for await (const { at, line } of linesOf(from)) {
        signal.throwIfAborted();
        const { id, extents } = JSON.parse(line.toString()) as { id: string; extents: number[][] };
        const kept = this.#kept.get(RegionId.parse(id).slot);
        if (kept?.at !== at) continue;
        to.append(line);
        regions++;
        bytes += kept.bytes;
        for (const [pack = 0, , length = 0] of extents) used.set(pack, (used.get(pack) ?? 0) + length);
        if (to.isFull) await to.flush();
      }
      const file = await to.close();
      await rename(path.join(this.folder, `${REGIONS}.new`), draft);
      return { file, regions, bytes, used };
    } catch (error) {
      await to.abandon();
      throw error;
    } finally {
      await from.close();
    }
  }

  /** Makes everything durable, and completes the snapshot. */
  async finish(
    facts: Pick<Manifest, 'poolId' | 'takenAt' | 'source'>,
    signal: AbortSignal,
  ): Promise<{ manifest: Manifest; written: Written }> {
    const { folder } = this;
    const { file: regionsFile, used, ...counted } = await this.#compact(signal);
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
    const reusedBytes = await this.#settleShared(used);
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
    // The snapshot is complete. A marker that is left does no harm.
    await rm(path.join(folder, UNFINISHED), { force: true }).catch(() => undefined);
    return { manifest, written: { writtenBytes: this.#writtenBytes, reusedBytes } };
  }

  /**
   * Makes shared packs durable, since a copy of the earlier snapshot may not be. Removes those that
   * are no longer used.
   */
  async #settleShared(used: ReadonlyMap<number, number>): Promise<number> {
    let reusedBytes = 0;
    for (const sharing of this.#shared.values()) {
      const number = await sharing;
      const bytes = used.get(number) ?? 0;
      const file = path.join(this.folder, packName(number));
      reusedBytes += bytes;
      if (bytes === 0) {
        await rm(file);
        this.#packs[number] = 0;
        continue;
      }
      const handle = await open(file, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    return reusedBytes;
  }

  /** Closes the files, whether or not the snapshot is complete. */
  async close(): Promise<void> {
    await this.#regions.abandon();
    await this.#pack?.abandon();
    await this.#letGo();
  }

  /** Ends the reservation of its folders. */
  async #letGo(): Promise<void> {
    await this.#earlier?.close();
    for (const release of this.#releases) release();
  }
}
