/**
 * The library door: everything that brings a backend or a provider type comes in here, the built-in ones too.
 *
 * A library is found (locate-library.ts), loaded by dynamic import, and its default export describes what it brings. What goes wrong
 * is LIBRARY_LOAD_FAILED, with the library as it was named, the file that it was found in, and the true cause.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Container, type ContainerModule, inject, injectable } from 'inversify';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { untilAborted, withTimeout } from '../base/timeout.js';
import { TOKENS } from './container.js';
import { placeOfError } from './error-place.js';
import { libraryFailure, locateLibrary } from './locate-library.js';
import { type Definition, TypeRegistry } from './registry.js';

const BUILT_IN = 'the built-in library';

@injectable()
export class LibraryLoader {
  /** Everything that was brought so far. */
  readonly registry = new TypeRegistry();

  constructor(@inject(TOKENS.Logger) private readonly logger: Logger) {}

  /** Loads every folder of providers/ and backends/. */
  async loadBuiltIns(container: Container): Promise<void> {
    // The same extension as this file's: .js when compiled, .ts where a loader runs the sources.
    const extension = path.extname(fileURLToPath(import.meta.url));
    for (const kind of ['providers', 'backends']) {
      const folder = new URL(`../../${kind}/`, import.meta.url);
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        await this.#loadModule(new URL(`./${entry.name}/index${extension}`, folder), BUILT_IN, container);
      }
    }
  }

  /**
   * Loads a library of the configuration.
   * @param specifier a path or a package name
   * @param directory folder that paths and packages are looked for from
   * @param options.timeoutMs how long it may take
   * @param options.signal ends the wait for it
   * @throws LIBRARY_LOAD_FAILED with the true cause; START_FAILED once the signal is given
   */
  async load(
    specifier: string,
    directory: string,
    container: Container,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const url = await locateLibrary(specifier, directory);
    const loading = this.#loadModule(url, `library ${specifier}`, container);
    await withTimeout(untilAborted(loading, signal, startStopped), timeoutMs, () =>
      libraryFailure(
        `library ${specifier}`,
        `(${fileURLToPath(url)}) has not finished loading after ${timeoutMs} ms; it waits for something at its top level, or in its ContainerModule`,
      ),
    );
    this.logger.debug(`loaded library ${specifier}`, { library: specifier, url: url.href });
  }

  async #loadModule(url: URL, library: string, container: Container): Promise<void> {
    const file = fileURLToPath(url);
    let namespace: { default?: unknown };
    try {
      namespace = (await import(url.href)) as { default?: unknown };
    } catch (cause) {
      const place = await placeOfError(cause, url);
      throw libraryFailure(library, `does not load (${place}): ${messageOf(cause)}`, cause);
    }
    const origin = library === BUILT_IN ? library : `${library} (${file})`;
    try {
      const exported = unwrap(namespace.default);
      if (exported === undefined) {
        throw libraryFailure(
          library,
          `has no default export (${file}); it must be defineBackend({…}) or defineProvider({…})`,
        );
      }
      for (const part of Array.isArray(exported) ? (exported as unknown[]) : [exported]) {
        await this.#take(part, origin, container);
      }
    } catch (cause) {
      // Whatever it exports, looking at it may throw.
      if (cause instanceof BedrockError && cause.code === 'LIBRARY_LOAD_FAILED') throw cause;
      throw libraryFailure(origin, `cannot be used: ${messageOf(cause)}`, cause);
    }
  }

  /** Takes in one part of a library's default export: a description, or a ContainerModule that binds some. */
  async #take(part: unknown, library: string, container: Container): Promise<void> {
    if (isOldContainerModule(part)) {
      throw libraryFailure(
        library,
        'exports a ContainerModule of inversify 6 or older; this daemon has inversify 8 and takes modules of 7 and 8: new ContainerModule(({ bind }) => …)',
      );
    }
    if (!isContainerModule(part)) {
      this.#register(part, library);
      const { kind } = part as Definition;
      container
        .bind(kind === 'backend' ? TOKENS.BackendDefinition : TOKENS.ProviderDefinition)
        .toConstantValue(part);
      return;
    }
    const known = new Set(await boundDefinitions(container));
    try {
      await container.loadAsync(part);
      for (const definition of await boundDefinitions(container)) {
        if (!known.has(definition)) this.#register(definition, library);
      }
    } catch (cause) {
      // What it has bound already would fail again where the definitions of the next library are looked for.
      await container.unloadAsync(part).catch(() => undefined);
      if (cause instanceof BedrockError && cause.code === 'LIBRARY_LOAD_FAILED') throw cause;
      throw libraryFailure(library, `has a ContainerModule that does not load: ${messageOf(cause)}`, cause);
    }
  }

  #register(part: unknown, library: string): void {
    const fault = this.registry.add(part, library);
    if (fault !== undefined) throw libraryFailure(library, fault);
  }
}

/** A start that was told to stop. */
export function startStopped(): BedrockError {
  return new BedrockError('START_FAILED', 'the daemon was stopped while it was starting');
}

/** Those that are made when they are asked for are made now, also those that take a while. */
async function boundDefinitions(container: Container): Promise<unknown[]> {
  const bound: unknown[] = [];
  for (const token of [TOKENS.BackendDefinition, TOKENS.ProviderDefinition])
    if (container.isBound(token)) bound.push(...(await container.getAllAsync<unknown>(token)));
  return bound;
}

/** The default export; one that went through CommonJS arrives wrapped a second time. */
function unwrap(exported: unknown): unknown {
  const inner = (exported as { default?: unknown } | undefined)?.default;
  return inner ?? exported;
}

/** By its shape, not its class: a library may have a copy of inversify of its own. */
function isContainerModule(part: unknown): part is ContainerModule {
  return (
    typeof part === 'object' &&
    part !== null &&
    'load' in part &&
    typeof part.load === 'function' &&
    'id' in part
  );
}

/** One of inversify up to 6, which has its function under another name and calls it in another way. */
function isOldContainerModule(part: unknown): boolean {
  return (
    typeof part === 'object' &&
    part !== null &&
    'registry' in part &&
    typeof part.registry === 'function' &&
    'id' in part &&
    !('load' in part)
  );
}
