/**
 * What an earlier snapshot of a target holds, so that a new one need not write it again. It is
 * either a complete snapshot in another folder, whose packs the new one links, or what an
 * interrupted snapshot left in the same folder.
 *
 * A block counts as unchanged only if its bytes are equal. A checksum of 32 bits alone would take
 * one changed block of four billion for an old one. Since the bytes are read and compared, damage
 * of the earlier snapshot does not get into the new one.
 *
 * Memory: the lines of its regions.
 */
import { type FileHandle, link, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, invalid, systemCodeOf } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import { decodeRecord, type Extent, openToRead, packName, REGIONS } from './format.js';
import { PIECE_BYTES } from './live-copy.js';
import { SnapshotReader } from './snapshot-reader.js';

export class EarlierSnapshot {
  readonly #files = new Map<number, Promise<FileHandle>>();
  readonly #regions = new Map<string, readonly Extent[]>();

  private constructor(
    /** The real path, without symbolic links. */
    readonly folder: string,
    /** Bytes of each pack, by its number. */
    readonly packs: readonly number[],
  ) {}

  /**
   * Reads a complete snapshot.
   * @param poolId of the target
   * @throws NOT_FOUND, SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT, NOT_SUPPORTED, INVALID_ARGUMENT (it
   *   is a snapshot of another target, or cannot be read)
   */
  static async complete(folder: string, poolId: string): Promise<EarlierSnapshot> {
    const reader = await SnapshotReader.open(folder);
    const { manifest } = reader;
    if (manifest.poolId !== poolId)
      throw invalid(
        `the snapshot ${folder} is of the pool ${manifest.poolId}, and the target is the pool ${poolId}; only a snapshot of the same target can be built on`,
      );
    const earlier = new EarlierSnapshot(folder, manifest.packs);
    try {
      for await (const { id, extents } of reader.regions()) earlier.#add(id, extents);
    } finally {
      await reader.close();
    }
    return earlier;
  }

  /** Reads what an interrupted snapshot left in a folder. It may hold nothing that can be used. */
  static async unfinished(folder: string, poolId: string): Promise<EarlierSnapshot> {
    const packs: (number | undefined)[] = [];
    for (const name of await readdir(folder)) {
      const number = /^data-(\d{6})\.pack$/.exec(name)?.[1];
      if (number !== undefined) packs[Number(number)] = (await stat(path.join(folder, name))).size;
    }
    const earlier = new EarlierSnapshot(
      folder,
      Array.from(packs, (size) => size ?? 0),
    );
    let file: FileHandle;
    try {
      file = await openToRead(path.join(folder, REGIONS));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return earlier;
      throw error;
    }
    try {
      for await (const line of file.readLines({ autoClose: false })) {
        // The last line may be incomplete, and the first lines may be of another target.
        const { id, extents } = decodeRecord(line, { poolId, packs: earlier.packs }, folder);
        earlier.#add(id, extents);
      }
    } catch (error) {
      if (!(error instanceof BedrockError)) throw error;
    } finally {
      await file.close();
    }
    return earlier;
  }

  #add(id: RegionId, extents: readonly Extent[]): void {
    // Pieces are found by their index, so all but the last must have the full size.
    if (extents.every(({ length }, at) => length === PIECE_BYTES || at === extents.length - 1))
      this.#regions.set(id.toString(), extents);
  }

  /** Numbers of the packs that hold bytes of regions. */
  get used(): ReadonlySet<number> {
    const used = new Set<number>();
    for (const extents of this.#regions.values()) for (const { pack } of extents) used.add(pack);
    return used;
  }

  /**
   * Finds the bytes of a piece of a region in the earlier snapshot.
   * @returns undefined if they are not there, or cannot be read
   */
  async find(id: RegionId, piece: number, bytes: Uint8Array, crc: number): Promise<Extent | undefined> {
    const extent = this.#regions.get(id.toString())?.[piece];
    if (extent === undefined || extent.length !== bytes.length || extent.crc !== crc) return undefined;
    const found = Buffer.allocUnsafe(extent.length);
    try {
      const file = await this.#open(extent.pack);
      for (let done = 0; done < found.length;) {
        const { bytesRead } = await file.read(found, done, found.length - done, extent.offset + done);
        if (bytesRead === 0) return undefined;
        done += bytesRead;
      }
    } catch (error) {
      // Then the piece is written again, as if it had changed.
      if (systemCodeOf(error) === undefined) throw error;
      return undefined;
    }
    return found.equals(bytes) ? extent : undefined;
  }

  #open(pack: number): Promise<FileHandle> {
    let opening = this.#files.get(pack);
    if (opening === undefined) this.#files.set(pack, (opening = openToRead(this.#pathOf(pack))));
    return opening;
  }

  #pathOf(pack: number): string {
    return path.join(this.folder, packName(pack));
  }

  /** Gives a pack a second name in another folder: a hard link. */
  async link(pack: number, to: string): Promise<void> {
    await link(this.#pathOf(pack), to);
  }

  async close(): Promise<void> {
    for (const opening of this.#files.values())
      await opening.then((file) => file.close()).catch(() => undefined);
    this.#files.clear();
  }
}
