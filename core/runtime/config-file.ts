/**
 * The file that a daemon was started with. It is read again for a reload, and the running
 * configuration can be saved in it: only what was changed at run time is written, so that comments,
 * short keys, and whatever the command line has overridden stay as they are.
 */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError } from '../base/errors.js';
import { plainOf } from '../base/plain.js';
import { replaceFile } from '../base/replace-file.js';
import { withCure } from '../base/system-cure.js';
import {
  type ConfigDocument,
  type ConfigFile as FileText,
  parseConfig,
  readConfigFile,
} from '../config/document.js';
import { editedText } from '../config/edit-file.js';
import type { Resolution } from '../config/resolve.js';

const WHOLE = { values: Infinity, characters: Infinity, depth: 100 };

export class ConfigFile {
  #file: FileText;
  #loaded: BedrockConfig;

  /** @param loaded the configuration that was read from it */
  constructor(file: FileText, loaded: Resolution) {
    this.#file = file;
    this.#loaded = loaded.config.json;
  }

  get path(): string {
    return this.#file.path;
  }

  /** The configuration that was last read from it, resolved. */
  get loaded(): BedrockConfig {
    return this.#loaded;
  }

  /** @throws CONFIG_INVALID */
  read(): Promise<ConfigDocument> {
    return readConfigFile(this.#file.path, this.#file.format);
  }

  /** Whether it still has the text that was last read. */
  isAsLoaded({ file }: Pick<ConfigDocument, 'file'>): boolean {
    return file?.text === this.#file.text;
  }

  /** Notes that the running configuration is now that of the file. */
  adopt({ file }: Pick<ConfigDocument, 'file'>, { config }: Resolution): void {
    if (file !== undefined) this.#file = file;
    this.#loaded = config.json;
  }

  /**
   * Writes the running configuration into the file.
   * @param running the running configuration, resolved
   * @param settings for each name of a provider that has changed its own settings: the present ones
   * @param resolve resolves a document as at a start
   * @throws NOT_SUPPORTED for TOML, CONFLICT if the file has changed since it was read, or cannot
   *   be edited, INTERNAL if it cannot be written
   */
  async save(
    running: BedrockConfig,
    settings: ReadonlyMap<string, Record<string, unknown>>,
    resolve: (document: ConfigDocument) => Promise<Resolution>,
  ): Promise<void> {
    const { path: file, format, text, directory } = this.#file;
    if (format === 'toml')
      throw new BedrockError(
        'NOT_SUPPORTED',
        `${file} is TOML, which bedrock does not edit; write the running configuration to another file: bedrock config show -o FILE.json`,
      );
    await this.#checkUnchanged();
    const after = structuredClone(running);
    for (const entry of after.providers ?? []) {
      const present = settings.get(entry.name ?? '');
      if (present !== undefined) entry.config = present;
    }
    for (const isPinned of [false, true]) {
      const edited = editedText(text, { before: this.#loaded, after, isPinned });
      const document = parseConfig(edited, 'json', file, directory);
      const resolution = await resolve(document).catch((error: unknown) => {
        if (error instanceof BedrockError && error.code !== 'NOT_READY') return undefined;
        throw error;
      });
      if (resolution === undefined || !isSameService(resolution.config.json, after, settings)) continue;
      // Checked again: it may have been edited meanwhile.
      await this.#checkUnchanged();
      if (edited !== text)
        await replaceFile(file, edited).catch((cause: unknown) => {
          throw new BedrockError('CONFLICT', `${file} cannot be written: ${withCure(cause)}`, { cause });
        });
      this.adopt({ file: { ...this.#file, text: edited } }, resolution);
      return;
    }
    throw new BedrockError(
      'CONFLICT',
      `the running configuration cannot be written into ${file} by editing it; write it to another file`,
    );
  }

  /** @throws CONFLICT */
  async #checkUnchanged(): Promise<void> {
    const { path: file, text } = this.#file;
    const found = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new BedrockError('CONFLICT', `${file} cannot be read: ${withCure(cause)}`, { cause });
    });
    if (found === text) return;
    throw new BedrockError(
      'CONFLICT',
      `${file} was changed since the daemon read it; reload it first, or write the running configuration to another file`,
    );
  }
}

/** Whether two configurations have the same libraries, execution pools, execution streams and providers. */
function isSameService(
  one: BedrockConfig,
  other: BedrockConfig,
  settings: ReadonlyMap<string, unknown>,
): boolean {
  const parts = ({ libraries = [], margo, providers = [], abt_io: io, mona }: BedrockConfig): unknown => {
    const { argobots, rpc_pool: rpcPool, progress_pool: progressPool } = margo ?? {};
    return plainOf(
      {
        libraries: Object.values(libraries),
        pools: argobots?.pools,
        streams: argobots?.xstreams,
        references: [rpcPool, progressPool, io, mona],
        providers: providers.map((entry) =>
          settings.has(entry.name ?? '') ? { ...entry, config: {} } : entry,
        ),
      },
      WHOLE,
    );
  };
  return isDeepStrictEqual(parts(one), parts(other));
}
