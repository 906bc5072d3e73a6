/**
 * A file that is being made: locked, without a name as long as it is not whole. Where there is no such thing (a system or a file system
 * without O_TMPFILE, or no addon to link it by) it has a name of its own beside the real one, `NAME.<12 hexadecimal digits>.new`; what a kill
 * leaves of that is removed by leftovers.ts.
 *
 * Order: begin -> fill, fsync -> publish, or discard.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import type { FileOperations } from './file-operations.js';
import { lacksLinks, makeNameDurable, publish } from './publish.js';

/** open(2); Node has no name for it. It means a directory as well, so that old systems refuse it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/** What the system says where there is no O_TMPFILE: of the file system; of an old system. */
const NO_TMPFILE = ['EOPNOTSUPP', 'ENOTSUP', 'EISDIR', 'ENOENT', 'EINVAL', 'ENOSYS', 'EPERM'];
const OWN_NAME_TRIES = 8;

export class UnfinishedFile {
  /** Open for reading and writing, for its owner alone. */
  readonly file: FileHandle;
  readonly #name: string;
  readonly #operations: FileOperations;
  /** The name that it has meanwhile. */
  #ownName: string | undefined;

  private constructor(
    file: FileHandle,
    name: string,
    ownName: string | undefined,
    operations: FileOperations,
  ) {
    this.file = file;
    this.#name = name;
    this.#ownName = ownName;
    this.#operations = operations;
  }

  /**
   * @param name what it will be called
   * @param mayBeNameless false if a file without a name could not be given one here
   * @throws NOT_SUPPORTED (no locks here), what the system says; nothing is left then
   */
  static async begin(
    name: string,
    operations: FileOperations,
    mayBeNameless = true,
  ): Promise<UnfinishedFile> {
    if (mayBeNameless && operations.link !== undefined) {
      const file = await openNameless(path.dirname(name));
      if (file !== undefined)
        return UnfinishedFile.#locked(new UnfinishedFile(file, name, undefined, operations));
    }
    for (let tries = 1; ; tries++) {
      const ownName = ownNameOf(name);
      const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const file = await open(ownName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        const unfinished = await UnfinishedFile.#locked(new UnfinishedFile(file, name, ownName, operations));
        if (await isThere(ownName)) return unfinished;
        await unfinished.discard();
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'POOL_IN_USE') throw error;
      }
      // Before it was locked somebody has taken it for a leftover.
      if (tries === OWN_NAME_TRIES)
        throw new BedrockError('POOL_IN_USE', `${ownName} was deleted before it was whole, again and again`);
    }
  }

  static async #locked(unfinished: UnfinishedFile): Promise<UnfinishedFile> {
    try {
      await unfinished.#operations.lock(unfinished.file, unfinished.#name, false);
      return unfinished;
    } catch (error) {
      await unfinished.discard();
      throw error;
    }
  }

  /** Whether a kill leaves nothing of it. */
  get isNameless(): boolean {
    return this.#ownName === undefined;
  }

  /**
   * Gives it its name; it stays open and locked.
   * @param replaces whether it takes the place of a file that is there
   * @returns whether the name is durable; false: the file system cannot make it so
   * @throws EEXIST, what the system says
   */
  async publish(replaces: boolean): Promise<boolean> {
    if (this.#ownName === undefined) return this.#publishNameless(replaces);
    const isDurable = await publish(this.#ownName, this.#name, replaces, this.#operations);
    this.#ownName = undefined;
    return isDurable;
  }

  async #publishNameless(replaces: boolean): Promise<boolean> {
    if (!replaces) {
      await this.#operations.link?.(this.file, this.#name);
      return makeNameDurable(this.#name, replaces);
    }
    // linkat(2) replaces nothing, so for an instant it has a name of its own.
    const ownName = ownNameOf(this.#name);
    await this.#operations.link?.(this.file, ownName);
    this.#ownName = ownName;
    await rename(ownName, this.#name);
    this.#ownName = undefined;
    return makeNameDurable(this.#name, replaces);
  }

  /** Closes it, and nothing is left of it. */
  async discard(): Promise<void> {
    await this.file.close();
    if (this.#ownName === undefined) return;
    await unlink(this.#ownName).catch((error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    });
  }
}

/**
 * Makes a file, and again with a name if it cannot be given one afterwards.
 * @param fill makes it whole, durably
 * @returns what `fill` has returned, and whether the name is durable
 * @throws EEXIST, what `fill` throws, what the system says; nothing is left then
 */
export async function makeFile<T>(
  name: string,
  operations: FileOperations,
  replaces: boolean,
  fill: (file: FileHandle) => Promise<T>,
): Promise<{ file: FileHandle; filled: T; isDurable: boolean }> {
  for (const mayBeNameless of [true, false]) {
    const unfinished = await UnfinishedFile.begin(name, operations, mayBeNameless);
    let isWhole = false;
    try {
      const filled = await fill(unfinished.file);
      isWhole = true;
      const isDurable = await unfinished.publish(replaces);
      return { file: unfinished.file, filled, isDurable };
    } catch (error) {
      // ENOENT: there is no /proc to link it by.
      const cannotBeNamed = lacksLinks(error) || systemCodeOf(error) === 'ENOENT';
      const isWorthAnother = isWhole && unfinished.isNameless && cannotBeNamed;
      await unfinished.discard();
      if (!isWorthAnother) throw error;
    }
  }
  throw new BedrockError('INTERNAL', `${name} could not be given its name`);
}

async function openNameless(folder: string): Promise<FileHandle | undefined> {
  try {
    return await open(folder, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    if (NO_TMPFILE.includes(systemCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Nobody can guess it, so nobody can have put anything there. */
function ownNameOf(name: string): string {
  return `${name}.${randomBytes(6).toString('hex')}.new`;
}

async function isThere(name: string): Promise<boolean> {
  return (await lstat(name).catch(() => undefined)) !== undefined;
}
