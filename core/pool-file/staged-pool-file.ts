/**
 * A pool file that takes its name when it is complete, and not before: made in a folder of its own beside the name, on the same file
 * system. Order: fill and close -> link, or rename over the pool that is replaced -> fsync of the directory -> the folder goes.
 *
 * A crash leaves the name as it was, or complete; and perhaps the folder, `.bedrock-copy-…`, which may be deleted.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError } from '../errors.js';
import { fileOperations } from './file-operations.js';
import { capacityOf, openPoolAsItIs, publish } from './pool-file.js';
import { placeOf, type PoolPlace } from './pool-place.js';

export class StagedPoolFile {
  /** Where the pool is to be made meanwhile. */
  readonly path: string;

  private constructor(
    /** What it will be called. */
    readonly place: string,
    readonly folder: string,
    /** The pool that it replaces, locked. */
    readonly replaced: FileHandle | undefined,
  ) {
    this.path = path.join(folder, 'pool');
  }

  /**
   * @param override whether a pool that is there is replaced; nobody may have it open then
   * @throws INVALID_ARGUMENT (something is there), POOL_IN_USE, ENOENT for a folder that is not there, what the system says
   */
  static async begin(given: PoolPlace, override: boolean): Promise<StagedPoolFile> {
    const place = await placeOf(given);
    const replaced = (await isThere(place)) ? await lockReplaced(place, override) : undefined;
    try {
      const folder = await mkdtemp(path.join(path.dirname(place), '.bedrock-copy-'));
      return new StagedPoolFile(place, folder, replaced);
    } catch (error) {
      await replaced?.close();
      throw error;
    }
  }

  /** The pool is closed and durable, and gets its name. @throws EEXIST if something has it meanwhile */
  async publish(): Promise<void> {
    await publish(this.path, this.place, this.replaced !== undefined);
  }

  /** Deletes what was not published, and unlocks what was not replaced. */
  async end(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await this.replaced?.close();
  }

  /** The same when the process is ending. */
  endNow(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function isThere(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined)) !== undefined;
}

async function lockReplaced(place: string, override: boolean): Promise<FileHandle> {
  if (!override)
    throw new BedrockError('INVALID_ARGUMENT', `${place} is there already; --override replaces it`);
  const { file } = await openPoolAsItIs(place, false, await fileOperations());
  try {
    await capacityOf(file);
  } catch (error) {
    // A damaged pool may be replaced; something that never was one is there by mistake.
    if (!(error instanceof BedrockError) || error.details.absent === true) {
      await file.close();
      throw error;
    }
  }
  return file;
}
