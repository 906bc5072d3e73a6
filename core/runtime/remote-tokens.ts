/**
 * The tokens that the daemon presents to other daemons: `bedrock.remote_tokens`.
 *
 * A token is sent only to the address that it is meant for. A client that may migrate a provider
 * chooses the destination, and could otherwise have the token sent to its own daemon. Migrations
 * use a token only if the configuration allows it, since the client that starts a migration may
 * have fewer rights at the destination than the daemon has.
 *
 * A file is read when its token is first needed, and again when it has changed. If the changed file
 * cannot be used, the token stays as it was, and this is reported once. Open connections present a
 * renewed token with their next call.
 */
import { open, stat } from 'node:fs/promises';
import type { RemoteTokenConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RemoteOptions } from '../contract/remote-provider.js';
import { parseServiceUrl } from '../net/service-url.js';
import { checkedToken } from '../security/token.js';
import { checkPrivate, type FileMark, markOf } from '../security/token-file.js';

/** What a token is needed for. */
export type RemotePurpose = 'dependency' | 'migration';

/** How often the files are checked, milliseconds. fs.watch loses changes on some file systems. */
const LOOK_MS = 1000;

/** A token has 116 characters at most. */
const MAX_BYTES = 4096;

interface Held {
  text: string;
  mark: FileMark;
  /** The state of the file in which it was found to be unusable. */
  faultyMark: FileMark | undefined;
}

export class RemoteTokens {
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isClosed = false;

  /** @param entries with absolute paths, and addresses as `parseServiceUrl` writes them */
  constructor(
    private readonly entries: readonly RemoteTokenConfig[],
    private readonly logger: Logger,
  ) {}

  /** @throws UNREACHABLE if the file cannot be used, INVALID_ARGUMENT for a malformed address */
  async optionsFor(address: string, purpose: RemotePurpose): Promise<Pick<RemoteOptions, 'token'>> {
    if (this.entries.length === 0) return {};
    const { text } = parseServiceUrl(address);
    const entry = this.entries.find((one) => one.address === text);
    if (entry === undefined || (purpose === 'migration' && entry.migrate !== true)) return {};
    const { token_file: file } = entry;
    const read = await readToken(file).catch((cause: unknown) => {
      const message = `the token for ${text} (bedrock.remote_tokens) cannot be used: ${messageOf(cause)}`;
      throw new BedrockError('UNREACHABLE', message, { cause });
    });
    const held = this.#held.get(file) ?? { ...read, faultyMark: undefined };
    Object.assign(held, read);
    this.#held.set(file, held);
    if (!this.#isClosed) this.#timer ??= setInterval(() => void this.#look(), LOOK_MS).unref();
    return { token: () => held.text };
  }

  /** Ends the checks of the files. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // One check at a time, since a file system may take long to answer.
    if (this.#isLooking) return;
    this.#isLooking = true;
    for (const [file, held] of this.#held) await this.#renew(file, held);
    this.#isLooking = false;
  }

  async #renew(file: string, held: Held): Promise<void> {
    let mark: FileMark = '';
    try {
      mark = markOf(await stat(file));
      if (mark === held.mark || mark === held.faultyMark) return;
      // Safe: an older state that was read meanwhile has an older mark, and the next check replaces
      // it.
      Object.assign(held, await readToken(file), { faultyMark: undefined });
      this.logger.info(`the token in ${file} was read again`);
    } catch (error) {
      if (held.faultyMark === mark) return;
      held.faultyMark = mark;
      this.logger.error(`the token for other daemons stays as it was: ${messageOf(error)}`);
    }
  }
}

/** @throws CONFIG_INVALID, INVALID_ARGUMENT, what the system says; none of them shows the contents */
async function readToken(file: string): Promise<{ text: string; mark: FileMark }> {
  const handle = await open(file, 'r');
  try {
    // The state of the open file, not of its name, which may be replaced in between.
    const found = await handle.stat();
    if (!found.isFile() || found.size > MAX_BYTES)
      throw new BedrockError('CONFIG_INVALID', `${file} is not a token file`);
    checkPrivate(file, found.uid, found.mode);
    const text = checkedToken(await handle.readFile('utf8'), `the text in ${file}`);
    return { text, mark: markOf(found) };
  } finally {
    await handle.close();
  }
}
