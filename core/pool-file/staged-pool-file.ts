/**
 * A pool file that takes its name when it is complete, and not before: made in a folder of its own beside the name, on the same file
 * system. Order: fill and close -> link, or rename over the pool that is replaced -> fsync of the directory -> the folder goes.
 *
 * A crash leaves the name as it was, or complete; and perhaps the folder, `.bedrock-copy-…`. It is locked as long as the copy is at work,
 * so the next copy into its place, or a daemon with its pool there, knows what is left, and removes it (leftovers.ts).
 */
import { constants, rmSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { fileOperations, type FileOperations } from './file-operations.js';
import { removeLeftovers } from './leftovers.js';
import { capacityOf, openPoolAsItIs } from './pool-file.js';
import { placeOf, type PoolPlace } from './pool-place.js';
import { publish } from './publish.js';

const FOLDER_TRIES = 8;

/** A folder, and what keeps it locked. */
interface LockedFolder {
  readonly name: string;
  readonly opened: FileHandle;
}

export class StagedPoolFile {
  /** Where the pool is to be made meanwhile. */
  readonly path: string;
  readonly #folder: LockedFolder;
  readonly #operations: FileOperations;

  private constructor(
    /** What it will be called. */
    readonly place: string,
    folder: LockedFolder,
    /** The pool that it replaces, locked. */
    readonly replaced: FileHandle | undefined,
    operations: FileOperations,
  ) {
    this.path = path.join(folder.name, 'pool');
    this.#folder = folder;
    this.#operations = operations;
  }

  get folder(): string {
    return this.#folder.name;
  }

  /**
   * @param override whether a pool that is there is replaced; nobody may have it open then
   * @throws INVALID_ARGUMENT (something is there), POOL_IN_USE, ENOENT for a folder that is not there, what the system says
   */
  static async begin(
    given: PoolPlace,
    override: boolean,
    logger: Pick<Logger, 'info'>,
  ): Promise<StagedPoolFile> {
    const operations = await fileOperations();
    const place = await placeOf(given);
    const replaced = (await isThere(place)) ? await lockReplaced(place, override, operations) : undefined;
    try {
      await removeLeftovers(place, replaced, operations, logger);
      const folder = await makeFolder(path.dirname(place), operations);
      return new StagedPoolFile(place, folder, replaced, operations);
    } catch (error) {
      await replaced?.close();
      throw error;
    }
  }

  /** The pool is closed and durable, and gets its name. @throws EEXIST if something has it meanwhile */
  async publish(): Promise<void> {
    await publish(this.path, this.place, this.replaced !== undefined, this.#operations);
  }

  /** Deletes what was not published, and unlocks what was not replaced. */
  async end(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await this.#folder.opened.close();
    await this.replaced?.close();
  }

  /** The same when the process is ending. */
  endNow(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function makeFolder(parent: string, operations: FileOperations): Promise<LockedFolder> {
  for (let tries = 1; ; tries++) {
    const name = await mkdtemp(path.join(parent, '.bedrock-copy-'));
    const opened = await open(name, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
    if (opened !== undefined) {
      // Where folders cannot be locked nobody takes it for a leftover either.
      const isHeld = await operations.lock(opened, name, true).then(
        () => false,
        (error: unknown) => error instanceof BedrockError && error.code === 'POOL_IN_USE',
      );
      if (!isHeld && (await isThere(name))) return { name, opened };
      await opened.close();
    }
    // Before it was locked somebody has taken it for a leftover.
    if (tries === FOLDER_TRIES)
      throw new BedrockError('POOL_IN_USE', `${name} was deleted before it was used, again and again`);
  }
}

async function isThere(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined)) !== undefined;
}

async function lockReplaced(
  place: string,
  override: boolean,
  operations: FileOperations,
): Promise<FileHandle> {
  if (!override)
    throw new BedrockError('INVALID_ARGUMENT', `${place} is there already; --override replaces it`);
  const { file } = await openPoolAsItIs(place, false, operations);
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
