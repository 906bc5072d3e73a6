/**
 * A target that keeps each region in a file of its own, in one folder:
 *
 * | file             | holds                                                                      |
 * | ---------------- | -------------------------------------------------------------------------- |
 * | `table`          | 8 bytes pool id, 8 bytes number of slots (u64, little-endian); locked      |
 * | `TIME-ID`        | the bytes of a region; its creation time and its ID are the name           |
 * | `TIME-ID.new`    | a region that is being made; what a crash left of it is deleted at open    |
 *
 * A region is made by: write the file, fsync it, rename it, fsync the folder. It is removed by: unlink, fsync the folder; calls in
 * flight keep reading it through its descriptor. A crash between two steps leaves the region whole or absent. Every region has a
 * descriptor open, which is fine for thousands of regions and not for millions.
 */
import { randomBytes } from 'node:crypto';
import { constants, open, readdir, rename, rm, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Region, RegionId, TableTarget, fileOperations, makeFolders } from 'bedrock-node';
import type { BackendContext, Capabilities, Recovered } from 'bedrock-node';
import type { SampleConfig } from './config.js';

export const SAMPLE_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: false,
  transactional: false,
};

const NAME = /^(\d+)-([0-9a-f]{32})$/;

export class SampleRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    readonly file: FileHandle,
  ) {
    super(id, size, createdAt);
  }

  get name(): string {
    return `${this.createdAt}-${this.id.toString()}`;
  }
}

export class SampleTarget extends TableTarget<SampleRegion> {
  readonly type = 'sample';
  readonly mode = 'fdatasync';
  readonly capabilities = SAMPLE_CAPABILITIES;
  readonly #folder: string;
  readonly #files = new Set<FileHandle>();
  #table: FileHandle | undefined;

  constructor(config: SampleConfig, context: BackendContext) {
    super(context, config.max_bytes);
    this.#folder = path.resolve(context.baseDirectory, config.path);
  }

  // ---- storage ----

  protected override async openStorage(): Promise<Recovered> {
    await makeFolders(this.#folder);
    this.#table = await open(this.#path('table'), constants.O_RDWR | constants.O_CREAT);
    // Before anything is read: nobody else may be writing.
    await (await fileOperations()).lock(this.#table, this.#path('table'), false);
    const header = Buffer.alloc(16);
    if ((await this.#table.read(header, 0, 16, 0)).bytesRead < 16) {
      randomBytes(8).copy(header);
      await this.#writeTable(this.#table, header);
    }
    const regions: SampleRegion[] = [];
    for (const name of await readdir(this.#folder)) {
      const [, time, id] = NAME.exec(name) ?? [];
      if (id !== undefined) regions.push(await this.#recoverRegion(name, RegionId.parse(id), Number(time)));
      else if (name.endsWith('.new')) await unlink(this.#path(name));
    }
    return this.recover(header.subarray(0, 8), Number(header.readBigUInt64LE(8)), regions);
  }

  async #recoverRegion(name: string, id: RegionId, createdAt: number): Promise<SampleRegion> {
    const file = await this.#openFile(name, 'r+');
    return new SampleRegion(id, (await file.stat()).size, createdAt, file);
  }

  protected override async storeSlots(slots: number): Promise<void> {
    if (this.#table === undefined) return;
    const header = Buffer.alloc(16);
    await this.#table.read(header, 0, 8, 0);
    header.writeBigUInt64LE(BigInt(slots), 8);
    await this.#writeTable(this.#table, header);
  }

  /** Sixteen bytes lie in one sector, so they are the old or the new ones after a crash. */
  async #writeTable(table: FileHandle, header: Uint8Array): Promise<void> {
    await table.write(header, 0, 16, 0);
    await table.sync();
    await this.#syncFolder();
  }

  protected override async closeStorage(): Promise<void> {
    for (const file of this.#files) {
      await file.datasync();
      await file.close();
    }
    this.#files.clear();
    await this.#table?.close();
    this.#table = undefined;
  }

  protected override async destroyStorage(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  // ---- regions ----

  protected async makeRegion(id: RegionId, size: number, createdAt: number): Promise<SampleRegion> {
    const file = await this.#openFile(`${createdAt}-${id.toString()}.new`, 'wx+');
    const region = new SampleRegion(id, size, createdAt, file);
    try {
      // Takes no space yet: where the disk is full, it is a write that fails, with ENOSPC.
      await file.truncate(size);
    } catch (error) {
      await this.dropRegion(region);
      throw error;
    }
    return region;
  }

  protected override async publish(region: SampleRegion): Promise<void> {
    await region.file.sync();
    await rename(this.#path(`${region.name}.new`), this.#path(region.name));
    await this.#syncFolder();
    await super.publish(region);
  }

  protected override async unpublish(region: SampleRegion): Promise<void> {
    await unlink(this.#path(region.name));
    await this.#syncFolder();
    await super.unpublish(region);
  }

  protected override async dropRegion({ file, name }: SampleRegion): Promise<void> {
    this.#files.delete(file);
    await file.close();
    await rm(this.#path(`${name}.new`), { force: true });
  }

  // ---- bytes ----

  protected async readBytes({ file }: SampleRegion, offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      const { bytesRead } = await file.read(into, at, into.length - at, offset + at);
      if (bytesRead === 0)
        throw new Error(`the file of a region ends at ${offset + at}, before the region does`);
      at += bytesRead;
    }
  }

  protected async writeBytes({ file }: SampleRegion, offset: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    }
  }

  protected override async persistRanges({ file }: SampleRegion): Promise<void> {
    await file.datasync();
  }

  // ---- files ----

  #path(name: string): string {
    return path.join(this.#folder, name);
  }

  async #openFile(name: string, flags: string): Promise<FileHandle> {
    const file = await open(this.#path(name), flags);
    this.#files.add(file);
    return file;
  }

  /** Makes creations, renames and removals in the folder durable. */
  async #syncFolder(): Promise<void> {
    const folder = await open(this.#folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}
