/**
 * A target that keeps each region in a file of its own, in one folder:
 *
 * | file             | holds                                                                      |
 * | ---------------- | -------------------------------------------------------------------------- |
 * | `table`          | 8 bytes pool id, 8 bytes number of slots (u64, little-endian); locked      |
 * | `TIME-ID`        | the bytes of a region; its creation time and its ID are the file's name    |
 * | `TIME-ID.named`  | the same, of a region that is there only while it has a name               |
 * | `TIME-ID.new`    | a region that is being made; what a crash left of it is deleted at open    |
 * | `names`          | the names of regions: name-files.ts                                        |
 *
 * A region is made by: write the file, fsync it, rename it, fsync the folder. It is removed by: unlink, fsync the folder; calls in
 * flight keep reading it through its descriptor. A crash between two steps leaves the region whole or absent. Every region has a
 * descriptor open, which is fine for thousands of regions and not for millions.
 *
 * A region that is made under a name is there when its name is: until then its file counts for nothing, and so does that of the
 * region that had the name, as soon as the name is the new one's. A name whose region is gone counts for nothing either.
 */
import { randomBytes } from 'node:crypto';
import { constants, open, readdir, rename, rm, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Region, RegionId, TableTarget, fileOperations, makeFolders } from 'bedrock-node';
import type { BackendContext, Capabilities, Naming, Recovered } from 'bedrock-node';
import type { SampleConfig } from './config.js';
import { NameFiles, syncFolder } from './name-files.js';

export const SAMPLE_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: false,
};

const FILE = /^(\d+)-([0-9a-f]{32})(\.named)?$/;

export class SampleRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    readonly file: FileHandle,
    /** Whether its file counts only while it has a name. */
    public isNamed = false,
  ) {
    super(id, size, createdAt);
  }

  get fileName(): string {
    return `${this.createdAt}-${this.id.toString()}${this.isNamed ? '.named' : ''}`;
  }

  get newFileName(): string {
    return `${this.createdAt}-${this.id.toString()}.new`;
  }
}

export class SampleTarget extends TableTarget<SampleRegion> {
  readonly type = 'sample';
  readonly mode = 'fdatasync';
  readonly capabilities = SAMPLE_CAPABILITIES;
  readonly #folder: string;
  readonly #files = new Set<FileHandle>();
  readonly #names: NameFiles;
  #table: FileHandle | undefined;

  constructor(config: SampleConfig, context: BackendContext) {
    super(context, config.max_bytes);
    this.#folder = path.resolve(context.baseDirectory, config.path);
    this.#names = new NameFiles(path.join(this.#folder, 'names'));
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
    const names = await this.#names.recover();
    const regions: SampleRegion[] = [];
    for (const file of await readdir(this.#folder)) {
      const [, time, id, mark] = FILE.exec(file) ?? [];
      const isGone = mark !== undefined && !names.has(id ?? '');
      if (file.endsWith('.new') || isGone) await unlink(this.#path(file));
      else if (id !== undefined)
        regions.push(await this.#recoverRegion(file, RegionId.parse(id), Number(time), mark !== undefined));
    }
    for (const region of regions) {
      if (names.has(region.id.toString())) await this.#mark(region, true);
    }
    const there = new Set(regions.map(({ id }) => id.toString()));
    for (const [id, name] of names) if (!there.has(id)) await this.#names.delete(name);
    const slots = Number(header.readBigUInt64LE(8));
    return this.recover(header.subarray(0, 8), slots, regions, 0, ({ id }) => names.get(id.toString()));
  }

  async #recoverRegion(
    fileName: string,
    id: RegionId,
    createdAt: number,
    isNamed: boolean,
  ): Promise<SampleRegion> {
    const file = await this.#openFile(fileName, 'r+');
    return new SampleRegion(id, (await file.stat()).size, createdAt, file, isNamed);
  }

  /** Durably sets whether a region's file counts only while it has a name. */
  async #mark(region: SampleRegion, isNamed: boolean): Promise<void> {
    if (region.isNamed === isNamed) return;
    const before = region.fileName;
    region.isNamed = isNamed;
    await rename(this.#path(before), this.#path(region.fileName));
    await syncFolder(this.#folder);
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
    await syncFolder(this.#folder);
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

  protected override async publish(region: SampleRegion, naming?: Naming<SampleRegion>): Promise<void> {
    await region.file.sync();
    region.isNamed = naming !== undefined;
    await rename(this.#path(region.newFileName), this.#path(region.fileName));
    await syncFolder(this.#folder);
    if (naming !== undefined) {
      try {
        await this.#names.set(naming.name, region.id);
      } catch (error) {
        await rm(this.#path(region.fileName), { force: true });
        throw error;
      }
      await this.#removeFile(naming.replaced);
    }
    await super.publish(region, naming);
  }

  protected override async unpublish(region: SampleRegion): Promise<void> {
    const name = this.nameOf(region);
    await unlink(this.#path(region.fileName));
    await syncFolder(this.#folder);
    if (name !== undefined) await this.#names.delete(name).catch(() => undefined);
    await super.unpublish(region);
  }

  protected override async renameRegion(
    region: SampleRegion,
    name: string | undefined,
    replaced: SampleRegion | undefined,
  ): Promise<void> {
    const before = this.nameOf(region);
    // Without a name the file must count by itself before the name goes, and with one only after it came.
    if (name === undefined) await this.#mark(region, false);
    else {
      await this.#names.set(name, region.id);
      await this.#mark(region, true);
    }
    if (before !== undefined) await this.#names.delete(before);
    await this.#removeFile(replaced);
    await super.renameRegion(region, name, replaced);
  }

  /** Removes the file of a region whose name is another one's by now; the next open would do it, too. */
  async #removeFile(region: SampleRegion | undefined): Promise<void> {
    if (region !== undefined) await unlink(this.#path(region.fileName)).catch(() => undefined);
  }

  protected override async dropRegion({ file, newFileName }: SampleRegion): Promise<void> {
    this.#files.delete(file);
    await file.close();
    await rm(this.#path(newFileName), { force: true });
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
}
