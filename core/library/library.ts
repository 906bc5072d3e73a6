/**
 * Libraries: every backend and provider type is loaded here, including the built-in ones.
 *
 * A library is located (locate-library.ts) and loaded by dynamic import. Its default export
 * contains its definitions. A failure is LIBRARY_LOAD_FAILED, with the library's name in the
 * configuration, the file that it was found in, and the original cause.
 *
 * Loading and registering are separate: a loaded module stays loaded, but its types count only in
 * configurations that name it, and each configuration has its own registry (registry.ts).
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Container, type ContainerModule, inject, injectable } from 'inversify';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { withCure } from '../base/system-cure.js';
import { untilAborted, withTimeout } from '../base/timeout.js';
import { locationOfError } from './error-location.js';
import { libraryFailure, locateLibrary } from './locate-library.js';
import { type Definition, type LoadedLibrary, shapeFault } from './registry.js';
import { TOKENS } from './tokens.js';

const BUILT_IN = 'the built-in library';

@injectable()
export class LibraryLoader {
  #builtIns: Promise<readonly LoadedLibrary[]> | undefined;
  /**
   * What was loaded, or is being loaded, by the URL of the file. Node.js unloads no module, so this
   * only grows.
   */
  readonly #loaded = new Map<string, Promise<LoadedLibrary>>();

  constructor(@inject(TOKENS.Logger) private readonly logger: Logger) {}

  /** Loads every folder of providers/ and backends/. */
  loadBuiltIns(container: Container): Promise<readonly LoadedLibrary[]> {
    this.#builtIns ??= this.#loadBuiltIns(container);
    return this.#builtIns;
  }

  async #loadBuiltIns(container: Container): Promise<LoadedLibrary[]> {
    const libraries: LoadedLibrary[] = [];
    // The extension of this file: .js when compiled, .ts if a loader runs the sources.
    const extension = path.extname(fileURLToPath(import.meta.url));
    for (const kind of ['providers', 'backends']) {
      const folder = new URL(`../../${kind}/`, import.meta.url);
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const url = new URL(`./${entry.name}/index${extension}`, folder);
        libraries.push(await this.#loadModule(url, BUILT_IN, container));
      }
    }
    return libraries;
  }

  /**
   * Loads a library of the configuration. A library is loaded once.
   * @param specifier a path or a package name
   * @param directory base folder for paths and packages
   * @param options.timeoutMs how long it may take
   * @param options.signal ends the wait for it
   * @throws LIBRARY_LOAD_FAILED with the original cause; START_FAILED once the signal is aborted
   */
  async load(
    specifier: string,
    directory: string,
    container: Container,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<LoadedLibrary> {
    const url = await locateLibrary(specifier, directory);
    const library = await withTimeout(
      untilAborted(this.#loadOnce(url, `library ${specifier}`, container), signal, () =>
        startStopped(signal),
      ),
      timeoutMs,
      () =>
        libraryFailure(
          `library ${specifier}`,
          `(${fileURLToPath(url)}) has not finished loading after ${timeoutMs} ms; it waits for something at its top level, or in its ContainerModule`,
        ),
    );
    this.logger.debug(`loaded library ${specifier}`, { library: specifier, url: url.href });
    return library;
  }

  /** A failed attempt is forgotten, so that the next one looks at the file again. */
  #loadOnce(url: URL, library: string, container: Container): Promise<LoadedLibrary> {
    const known = this.#loaded.get(url.href);
    if (known !== undefined) return known;
    const loading = this.#loadModule(url, library, container);
    this.#loaded.set(url.href, loading);
    loading.catch(() => this.#loaded.delete(url.href));
    return loading;
  }

  async #loadModule(url: URL, library: string, container: Container): Promise<LoadedLibrary> {
    const file = fileURLToPath(url);
    let namespace: { default?: unknown };
    try {
      namespace = (await import(url.href)) as { default?: unknown };
    } catch (cause) {
      const location = await locationOfError(cause, url);
      throw libraryFailure(library, `does not load (${location}): ${withCure(cause)}`, cause);
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
      const definitions: Definition[] = [];
      for (const part of Array.isArray(exported) ? (exported as unknown[]) : [exported])
        definitions.push(...(await this.#definitionsOf(part, origin, container)));
      return { origin, definitions };
    } catch (cause) {
      // Reading what it exports may throw.
      if (cause instanceof BedrockError && cause.code === 'LIBRARY_LOAD_FAILED') throw cause;
      throw libraryFailure(origin, `cannot be used: ${messageOf(cause)}`, cause);
    }
  }

  /** One part of a library's default export: a definition, or a ContainerModule that binds some. */
  async #definitionsOf(part: unknown, library: string, container: Container): Promise<Definition[]> {
    if (isOldContainerModule(part)) {
      throw libraryFailure(
        library,
        'exports a ContainerModule of inversify 6 or older; this daemon has inversify 8 and takes modules of 7 and 8: new ContainerModule(({ bind }) => …)',
      );
    }
    if (!isContainerModule(part)) {
      checkDefinition(part, library);
      container
        .bind(part.kind === 'backend' ? TOKENS.BackendDefinition : TOKENS.ProviderDefinition)
        .toConstantValue(part);
      return [part];
    }
    const known = new Set(await boundDefinitions(container));
    try {
      await container.loadAsync(part);
      const bound = (await boundDefinitions(container)).filter((definition) => !known.has(definition));
      return bound.map((definition) => {
        checkDefinition(definition, library);
        return definition;
      });
    } catch (cause) {
      // Its bindings would otherwise fail again when the definitions of the next library are read.
      await container.unloadAsync(part).catch(() => undefined);
      if (cause instanceof BedrockError && cause.code === 'LIBRARY_LOAD_FAILED') throw cause;
      throw libraryFailure(library, `has a ContainerModule that does not load: ${messageOf(cause)}`, cause);
    }
  }
}

/** @throws LIBRARY_LOAD_FAILED */
function checkDefinition(part: unknown, library: string): asserts part is Definition {
  const fault = shapeFault(part);
  if (fault !== undefined) throw libraryFailure(library, fault);
}

/** The error of a start that was aborted, by a failure elsewhere or on request. */
export function startStopped(signal: AbortSignal | undefined): BedrockError {
  const cause: unknown = signal?.reason;
  if (cause instanceof BedrockError) return new BedrockError('START_FAILED', cause.message, { cause });
  return new BedrockError('START_FAILED', 'the daemon was stopped while it was starting');
}

/** Lazy bindings are created now, including asynchronous ones. */
async function boundDefinitions(container: Container): Promise<unknown[]> {
  const bound: unknown[] = [];
  for (const token of [TOKENS.BackendDefinition, TOKENS.ProviderDefinition])
    if (container.isBound(token)) bound.push(...(await container.getAllAsync<unknown>(token)));
  return bound;
}

/** The default export; one that went through CommonJS is wrapped twice. */
function unwrap(exported: unknown): unknown {
  const inner = (exported as { default?: unknown } | undefined)?.default;
  return inner ?? exported;
}

/** By its shape, not its class: a library may have its own copy of inversify. */
function isContainerModule(part: unknown): part is ContainerModule {
  return (
    typeof part === 'object' &&
    part !== null &&
    'load' in part &&
    typeof part.load === 'function' &&
    'id' in part
  );
}

/** A module of inversify up to version 6, which names and calls its function differently. */
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
