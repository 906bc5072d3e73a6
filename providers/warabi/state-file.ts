/**
 * Stores durably what a target must remember of a migration: a small JSON file beside its data,
 * `<path>.migration.json`. A new state is durable before it counts: it is written under another
 * name and made durable, then renamed, and the folder is made durable.
 *
 * A target that does not survive a restart has no file.
 */
import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../../core/index.js';

/** The state of a target in a migration; undefined without a migration. */
export type MigrationState =
  /** It receives the regions of another target, and serves nobody. */
  | { readonly role: 'receiving'; readonly poolId: string }
  /**
   * The destination was, or is about to be, told to serve. Only the destination knows whether it
   * does.
   */
  | { readonly role: 'finishing'; readonly poolId: string; readonly to: ProviderAddress }
  /** Its regions are served elsewhere. */
  | { readonly role: 'moved'; readonly poolId: string; readonly to: ProviderAddress };

/** A provider of a daemon. */
export interface ProviderAddress {
  /** Its address, in the form that `connect` takes. */
  readonly address: string;
  /** Its name. */
  readonly provider: string;
}

export function isSameProvider(one: ProviderAddress, other: ProviderAddress): boolean {
  return one.address === other.address && one.provider === other.provider;
}

export class StateFile {
  #state: MigrationState | undefined;

  /** @param file undefined for a target that does not survive a restart */
  constructor(readonly file: string | undefined) {}

  get state(): MigrationState | undefined {
    return this.#state;
  }

  /** @throws START_FAILED */
  async read(): Promise<void> {
    if (this.file === undefined) return;
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (cause) {
      if (systemCodeOf(cause) === 'ENOENT') return;
      throw new BedrockError('START_FAILED', `${this.file} cannot be read: ${messageOf(cause)}`, { cause });
    }
    this.#state = stateIn(text);
    if (this.#state !== undefined) return;
    throw new BedrockError(
      'START_FAILED',
      `${this.file} does not hold the state of a migration. It belongs to the target beside it; see docs/operations.md for what it contains, and for when it may be removed`,
    );
  }

  /**
   * @throws OUT_OF_SPACE, errors of the system; then the state is unchanged, but may be the new one
   *   after a restart
   */
  async set(state: MigrationState | undefined): Promise<void> {
    const { file } = this;
    if (file !== undefined) {
      if (state === undefined) await rm(file, { force: true });
      else await replace(file, `${JSON.stringify(state, null, 2)}\n`);
      const folder = await open(path.dirname(file), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    }
    this.#state = state;
  }
}

async function replace(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  try {
    const opened = await open(temporary, 'w');
    try {
      await opened.writeFile(text);
      await opened.sync();
    } finally {
      await opened.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const code = systemCodeOf(cause);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw cause;
    throw new BedrockError(
      'OUT_OF_SPACE',
      `the file system of ${file} has no space left for the state of a migration; free some space, and repeat the migration`,
      { details: { path: file }, cause },
    );
  }
}

function stateIn(text: string): MigrationState | undefined {
  let value: Partial<Record<string, unknown>> | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return undefined;
  }
  const { role, poolId, to } = value ?? {};
  if (typeof poolId !== 'string' || !/^[\da-f]{16}$/.test(poolId)) return undefined;
  if (role === 'receiving') return { role, poolId };
  const { address, provider } = (to ?? {}) as Partial<Record<string, unknown>>;
  if (typeof address !== 'string' || typeof provider !== 'string') return undefined;
  return role === 'finishing' || role === 'moved' ? { role, poolId, to: { address, provider } } : undefined;
}
