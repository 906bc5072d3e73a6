/**
 * Reads a snapshot: its regions one after another, their bytes, and the erased IDs. Every checksum
 * is checked.
 *
 * Memory: two numbers for each extent, to find extents that overlap.
 */
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import { type Checksum, checksum } from './checksum.js';
import {
  corrupt,
  decodeRecord,
  ERASED,
  type Extent,
  type Manifest,
  MAX_LINE_BYTES,
  openToRead,
  packName,
  readManifest,
  type RegionRecord,
  REGIONS,
  unreadable,
} from './format.js';
import { Places } from './places.js';

const READ_BYTES = 2 ** 18;

export class SnapshotReader {
  readonly #packs = new Map<number, Promise<FileHandle>>();

  private constructor(
    readonly folder: string,
    readonly manifest: Manifest,
    private readonly sum: Checksum,
  ) {}

  /**
   * @throws NOT_FOUND, SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT, INVALID_ARGUMENT (it cannot be read),
   *   NOT_SUPPORTED
   */
  static async open(folder: string): Promise<SnapshotReader> {
    return new SnapshotReader(folder, await readManifest(folder), await checksum());
  }

  /**
   * Yields the record of every region.
   * @throws SNAPSHOT_CORRUPT, also at the end if the file does not match the manifest
   */
  async *regions(): AsyncGenerator<RegionRecord> {
    const { manifest, folder } = this;
    let [count, bytes] = [0, 0];
    const places = new Places();
    for await (const line of this.#lines(REGIONS)) {
      const record = decodeRecord(line, manifest, folder);
      count++;
      bytes += record.size;
      if (count > manifest.regions) break;
      places.add(record.extents);
      yield record;
    }
    if (count !== manifest.regions || bytes !== manifest.bytes)
      throw corrupt(
        folder,
        `${REGIONS} does not have the ${manifest.regions} regions of ${manifest.bytes} bytes that the manifest tells`,
      );
    const twice = places.overlap();
    if (twice !== undefined)
      throw corrupt(
        folder,
        `two extents of ${REGIONS} overlap at byte ${twice.offset} of ${packName(twice.pack)}`,
      );
  }

  /** Yields the IDs that must never be given out, in batches. @throws SNAPSHOT_CORRUPT */
  async *erased(): AsyncGenerator<readonly RegionId[]> {
    const { folder, manifest } = this;
    let ids: RegionId[] = [];
    let count = 0;
    for await (const line of this.#lines(ERASED)) {
      if (!/^[0-9a-f]{32}$/.test(line) || !line.endsWith(manifest.poolId))
        throw corrupt(folder, `a line of ${ERASED} is no ID of the pool`);
      ids.push(RegionId.parse(line));
      count++;
      if (ids.length < 1000) continue;
      yield ids;
      ids = [];
    }
    if (ids.length > 0) yield ids;
    if (count !== manifest.erased)
      throw corrupt(folder, `${ERASED} has ${count} lines, not ${manifest.erased}`);
  }

  async *#lines(name: typeof REGIONS | typeof ERASED): AsyncGenerator<string> {
    const { folder } = this;
    const expected = this.manifest.files[name];
    const file = await this.#open(name);
    try {
      const { size } = await file.stat();
      if (size !== expected.size) throw corrupt(folder, `${name} has ${size} bytes, not ${expected.size}`);
      let crc = 0;
      let rest: Buffer = Buffer.alloc(0);
      for (let at = 0; at < size;) {
        const buffer = Buffer.allocUnsafe(READ_BYTES);
        const { bytesRead } = await file.read(buffer, 0, READ_BYTES, at);
        if (bytesRead === 0) throw corrupt(folder, `${name} ends early`);
        at += bytesRead;
        crc = this.sum(buffer.subarray(0, bytesRead), crc);
        rest =
          rest.length === 0
            ? buffer.subarray(0, bytesRead)
            : Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        let from = 0;
        for (let end = rest.indexOf(10, from); end >= 0; end = rest.indexOf(10, from)) {
          yield rest.toString('utf8', from, end);
          from = end + 1;
        }
        rest = rest.subarray(from);
        if (rest.length > MAX_LINE_BYTES)
          throw corrupt(folder, `${name} has a line of more than ${MAX_LINE_BYTES} bytes`);
      }
      if (rest.length > 0) throw corrupt(folder, `the last line of ${name} does not end`);
      if (crc !== expected.crc32c) throw corrupt(folder, `the checksum of ${name} does not match`);
    } catch (error) {
      throw unreadable(folder, name, error);
    } finally {
      await file.close();
    }
  }

  /**
   * Yields the bytes of a region. The last piece of an extent comes only if its checksum matches.
   * @throws SNAPSHOT_CORRUPT
   */
  async *contents(record: RegionRecord, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (const extent of record.extents) yield* this.#extent(record, extent, signal);
  }

  async *#extent(
    { id }: RegionRecord,
    { pack, offset, length, crc }: Extent,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { folder } = this;
    const name = packName(pack);
    let found = 0;
    for (let done = 0; done < length;) {
      signal.throwIfAborted();
      const file = await this.#pack(pack);
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length - done));
      const { bytesRead } = await file
        .read(buffer, 0, buffer.length, offset + done)
        .catch((error: unknown) => {
          throw unreadable(folder, name, error);
        });
      if (bytesRead === 0) throw corrupt(folder, `${name} ends early, within region ${id.toString()}`);
      const bytes = buffer.subarray(0, bytesRead);
      done += bytesRead;
      found = this.sum(bytes, found);
      if (done === length && found !== crc)
        throw corrupt(
          folder,
          `the checksum of region ${id.toString()} does not match, in ${name} at ${offset}`,
        );
      yield bytes;
    }
  }

  async #pack(pack: number): Promise<FileHandle> {
    const known = this.#packs.get(pack);
    if (known !== undefined) return known;
    const opening = this.#open(packName(pack));
    this.#packs.set(pack, opening);
    opening.catch(() => this.#packs.delete(pack));
    return opening;
  }

  async #open(name: string): Promise<FileHandle> {
    try {
      const file = await openToRead(path.join(this.folder, name));
      if ((await file.stat()).isFile()) return file;
      await file.close();
    } catch (error) {
      throw unreadable(this.folder, name, error);
    }
    throw corrupt(this.folder, `${name} is not a file`);
  }

  async close(): Promise<void> {
    for (const pack of this.#packs.values()) await (await pack).close().catch(() => undefined);
    this.#packs.clear();
  }
}

/** What `verifySnapshot` found. */
export interface Verification {
  readonly manifest: Manifest;
  /** Regions whose bytes match their checksums. */
  readonly regions: number;
  readonly bytes: number;
  /** What is wrong, in words; at most the first thousand faults. */
  readonly faults: readonly string[];
  readonly damaged: number;
}

const MAX_FAULTS = 1000;

/**
 * Reads a whole snapshot, and checks every checksum.
 * @throws NOT_FOUND, SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT (the manifest), INVALID_ARGUMENT, what
 *   the signal was aborted with
 */
export async function verifySnapshot(
  folder: string,
  { signal, onBytes = () => undefined }: { signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<Verification> {
  const reader = await SnapshotReader.open(folder);
  const faults: string[] = [];
  let [regions, bytes, damaged] = [0, 0, 0];
  const note = (error: unknown): void => {
    signal.throwIfAborted();
    if (!(error instanceof BedrockError)) throw error;
    damaged++;
    if (faults.length < MAX_FAULTS) faults.push(error.message);
  };
  try {
    const slots = new Set<number>();
    try {
      for await (const record of reader.regions()) {
        if (slots.has(record.id.slot))
          note(corrupt(folder, `region ${record.id.toString()} shares its slot with another one`));
        slots.add(record.id.slot);
        try {
          for await (const piece of reader.contents(record, signal)) onBytes(piece.length);
          regions++;
          bytes += record.size;
        } catch (error) {
          note(error);
        }
      }
    } catch (error) {
      note(error);
    }
    try {
      for await (const ids of reader.erased()) void ids;
    } catch (error) {
      note(error);
    }
  } finally {
    await reader.close();
  }
  return { manifest: reader.manifest, regions, bytes, faults, damaged };
}
