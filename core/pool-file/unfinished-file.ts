/**
 * A file that is being created: locked, and without a name until it is complete. If that is not
 * possible (a system or a file system without O_TMPFILE, or no addon to link it), it has a
 * temporary name beside the final one, `NAME.<12 hexadecimal digits>.new`. leftovers.ts removes it
 * after a kill.
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

/** Flag of open(2) that Node.js does not name. It includes O_DIRECTORY, so that old systems refuse it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/** Errors if there is no O_TMPFILE: of the file system; of an old system. */
const NO_TMPFILE = ['EOPNOTSUPP', 'ENOTSUP', 'EISDIR', 'ENOENT', 'EINVAL', 'ENOSYS', 'EPERM'];
const OWN_NAME_TRIES = 8;

export class UnfinishedFile {
  /** Open for reading and writing, with access for its owner only. */
  readonly file: FileHandle;
  readonly #name: string;
  readonly #operations: FileOperations;
  /** Its temporary name. */
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
   * @param name its final name
   * @param mayBeNameless false if a file without a name could not be given one here
   * @throws NOT_SUPPORTED (no locks here), errors of the system; nothing is left then
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
      // Another process treated it as a leftover before it was locked.
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

  /** Whether nothing of it remains after a kill. */
  get isNameless(): boolean {
    return this.#ownName === undefined;
  }

  /**
   * Gives it its name; it stays open and locked.
   * @param replaces whether it replaces an existing file
   * @returns whether the name is durable; false: the file system cannot make it so
   * @throws EEXIST, errors of the system
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
    // linkat(2) never replaces a file, so for a moment it has a temporary name.
    const ownName = ownNameOf(this.#name);
    await this.#operations.link?.(this.file, ownName);
    this.#ownName = ownName;
    await rename(ownName, this.#name);
    this.#ownName = undefined;
    return makeNameDurable(this.#name, replaces);
  }

  /** Closes it; nothing of it is left. */
  async discard(): Promise<void> {
    await this.file.close();
    if (this.#ownName === undefined) return;
    await unlink(this.#ownName).catch((error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    });
  }
}

/**
 * Creates a file; if it then cannot be given a name, creates it again with one.
 * @param fill completes it, durably
 * @returns the result of `fill`, and whether the name is durable
 * @throws EEXIST, what `fill` throws, errors of the system; nothing is left then
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
      // ENOENT: there is no /proc for linking it.
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
