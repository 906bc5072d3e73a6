/**
 * The group file of a daemon, in the form of Mochi's Flock: its address, once for each provider
 * that runs.
 *
 * It appears when the daemon is ready, and is replaced as a whole when providers are added or
 * removed: a temporary file beside it -> fsync -> rename. A stop removes it. After a kill it stays
 * until the next start replaces it.
 */
import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import type { ProviderState } from '../contract/provider-state.js';

export interface GroupMember {
  readonly address: string;
  readonly provider_id: number;
}

/**
 * The members of a daemon: its running providers. A daemon without any is a member under the id of
 * Bedrock itself.
 */
export function groupMembers(
  address: string,
  providers: readonly { readonly state: ProviderState; readonly providerId: number }[],
  ownId: number,
): GroupMember[] {
  // Optional providers that did not start are left out.
  const running = providers.filter(({ state }) => state === 'running');
  const ids = running.map(({ providerId }) => providerId);
  return (ids.length > 0 ? ids : [ownId]).map((id) => ({ address, provider_id: id }));
}

export class GroupFile {
  /** Runs the writes one after another. */
  #last: Promise<void> = Promise.resolve();
  /** Identifies the file that was last written. */
  #own: { readonly dev: number; readonly ino: number } | undefined;
  #isRemoved = false;

  constructor(private readonly path: string) {}

  /** @throws START_FAILED if it cannot be written; then an existing file is unchanged */
  write(members: readonly GroupMember[]): Promise<void> {
    const written = this.#last.then(() => this.#write(`${JSON.stringify({ members }, null, 2)}\n`));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Removes it if it is the file that was last written. Never throws. */
  async remove(): Promise<void> {
    this.#isRemoved = true;
    await this.#last;
    // If another daemon replaces it at this moment, that daemon loses its file: two daemons should
    // not share a group file.
    const { dev, ino } = (await stat(this.path).catch(() => undefined)) ?? {};
    if (ino === undefined || ino !== this.#own?.ino || dev !== this.#own.dev) return;
    await rm(this.path, { force: true }).catch(() => undefined);
  }

  async #write(text: string): Promise<void> {
    if (this.#isRemoved) return;
    const temporary = `${this.path}.${randomUUID().slice(0, 8)}`;
    try {
      const existing = await stat(this.path).catch((error: unknown) => {
        if (systemCodeOf(error) !== 'ENOENT') throw error;
      });
      if (existing?.isFile() === false) throw new Error('it is not a file');
      const handle = await open(temporary, 'wx', 0o644);
      try {
        await handle.writeFile(text);
        await handle.sync();
        const { dev, ino } = await handle.stat();
        await rename(temporary, this.path);
        this.#own = { dev, ino };
      } finally {
        await handle.close();
      }
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw new BedrockError(
        'START_FAILED',
        `the group file ${this.path} (bedrock.group_file) cannot be written: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}
