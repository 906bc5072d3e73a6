/**
 * A pool file that gets its name only when it is complete: created in its own folder beside the
 * name, on the same file system. Order: fill and close -> link, or rename over the replaced pool ->
 * fsync of the directory -> remove the folder.
 *
 * After a crash the name is unchanged, or complete; the folder, `.bedrock-copy-…`, may be left. It
 * is locked while the copy is in progress. So the next copy to this destination, or a daemon with
 * its pool there, recognizes a leftover and removes it (leftovers.ts).
 */
import { constants, rmSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, invalid } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { fileOperations, type FileOperations } from './file-operations.js';
import { removeLeftovers } from './leftovers.js';
import { capacityOf, openPoolAsItIs } from './pool-file.js';
import { fileOf, type PoolPath } from './pool-path.js';
import { publish } from './publish.js';

const FOLDER_TRIES = 8;

/** A folder, and the file handle that keeps it locked. */
interface LockedFolder {
  readonly name: string;
  readonly opened: FileHandle;
}

export class StagedPoolFile {
  /** Temporary path of the pool. */
  readonly path: string;
  readonly #folder: LockedFolder;
  readonly #operations: FileOperations;

  private constructor(
    /** Its final path. */
    readonly destination: string,
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
   * @param override whether an existing pool is replaced; nobody may have it open then
   * @throws INVALID_ARGUMENT (something exists there), POOL_IN_USE, ENOENT for a missing folder,
   *   errors of the system
   */
  static async begin(
    given: PoolPath,
    override: boolean,
    logger: Pick<Logger, 'info'>,
  ): Promise<StagedPoolFile> {
    const operations = await fileOperations();
    const destination = await fileOf(given);
    const replaced = (await isThere(destination))
      ? await lockReplaced(destination, override, operations)
      : undefined;
    try {
      await removeLeftovers(destination, replaced, operations, logger);
      const folder = await makeFolder(path.dirname(destination), operations);
      return new StagedPoolFile(destination, folder, replaced, operations);
    } catch (error) {
      await replaced?.close();
      throw error;
    }
  }

  /**
   * The pool is closed and durable: gives it its name.
   * @throws EEXIST if the name has been taken meanwhile
   */
  async publish(): Promise<void> {
    await publish(this.path, this.destination, this.replaced !== undefined, this.#operations);
  }

  /** Deletes what was not published, and unlocks what was not replaced. */
  async end(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await this.#folder.opened.close();
    await this.replaced?.close();
  }

  /** The same while the process is ending. */
  endNow(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function makeFolder(parent: string, operations: FileOperations): Promise<LockedFolder> {
  for (let tries = 1; ; tries++) {
    const name = await mkdtemp(path.join(parent, '.bedrock-copy-'));
    const opened = await open(name, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
    if (opened !== undefined) {
      // If folders cannot be locked, nobody treats it as a leftover either.
      const isHeld = await operations.lock(opened, name, true).then(
        () => false,
        (error: unknown) => error instanceof BedrockError && error.code === 'POOL_IN_USE',
      );
      if (!isHeld && (await isThere(name))) return { name, opened };
      await opened.close();
    }
    // Another process treated it as a leftover before it was locked.
    if (tries === FOLDER_TRIES)
      throw new BedrockError('POOL_IN_USE', `${name} was deleted before it was used, again and again`);
  }
}

async function isThere(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

async function lockReplaced(
  destination: string,
  override: boolean,
  operations: FileOperations,
): Promise<FileHandle> {
  if (!override) throw invalid(`${destination} already exists; --override replaces it`);
  const { file } = await openPoolAsItIs(destination, false, operations);
  try {
    await capacityOf(file);
  } catch (error) {
    // A damaged pool may be replaced; a file that never was a pool is there by mistake.
    if (!(error instanceof BedrockError) || error.details.absent === true) {
      await file.close();
      throw error;
    }
  }
  return file;
}
