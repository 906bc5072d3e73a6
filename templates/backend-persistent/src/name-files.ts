/**
 * The names of regions, each in a file of its own in one folder:
 *
 * | file              | holds                                                                                  |
 * | ----------------- | -------------------------------------------------------------------------------------- |
 * | SHA-256, in hex   | 8 bytes order (u64, little-endian), 16 bytes ID of the region, then the name, in UTF-8 |
 * | the same, `.new`  | a file that is being written; what a crash left of it is deleted at open               |
 *
 * rename(2) puts a file in place of the one before, so a name belongs to the old region or to the new one after a crash. If two
 * names have one region, as when a crash came between the steps of a rename, the one with the higher order counts.
 */
import { createHash } from 'node:crypto';
import { open, readFile, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { RegionId, makeFolders } from 'bedrock-node';

const HEAD_BYTES = 24;

interface NameFile {
  readonly order: number;
  readonly name: string;
}

export class NameFiles {
  #order = 0;

  constructor(private readonly folder: string) {}

  /**
   * Reads the names.
   * @returns by the ID of a region, in hex, its name
   */
  async recover(): Promise<Map<string, string>> {
    await makeFolders(this.folder);
    const found = new Map<string, NameFile>();
    for (const file of await readdir(this.folder)) {
      if (file.endsWith('.new')) {
        await rm(path.join(this.folder, file));
        continue;
      }
      const bytes = await readFile(path.join(this.folder, file));
      const order = Number(bytes.readBigUInt64LE(0));
      const id = RegionId.from(bytes.subarray(8, HEAD_BYTES)).toString();
      const name = bytes.toString('utf8', HEAD_BYTES);
      this.#order = Math.max(this.#order, order);
      const other = found.get(id);
      if (other !== undefined) await this.delete(other.order < order ? other.name : name);
      if (other === undefined || other.order < order) found.set(id, { order, name });
    }
    return new Map([...found].map(([id, { name }]) => [id, name]));
  }

  /** Gives a name to a region, durably; the region that had it has none. */
  async set(name: string, id: RegionId): Promise<void> {
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(++this.#order));
    const place = this.#placeOf(name);
    const file = await open(`${place}.new`, 'w');
    try {
      await file.writeFile(Buffer.concat([head, id.toBytes(), Buffer.from(name)]));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${place}.new`, place);
    await syncFolder(this.folder);
  }

  /** Removes a name, durably. */
  async delete(name: string): Promise<void> {
    await rm(this.#placeOf(name), { force: true });
    await syncFolder(this.folder);
  }

  #placeOf(name: string): string {
    return path.join(this.folder, createHash('sha256').update(name).digest('hex'));
  }
}

/** Makes creations, renames and removals in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
