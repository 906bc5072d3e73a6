/**
 * The library door: everything that brings a backend or a provider type comes in here, the built-in ones too.
 *
 * A library is found (locate-library.ts), loaded by dynamic import, and its default export describes what it brings. What goes wrong
 * is LIBRARY_LOAD_FAILED, with the library as it was named, the file that it was found in, and the true cause.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, injectable, type Container, type ContainerModule } from 'inversify';
import { TOKENS } from '../container.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../logging.js';
import { withTimeout } from '../timeout.js';
import { libraryFailure, locateLibrary } from './locate-library.js';
import { TypeRegistry, type Definition } from './registry.js';

const BUILT_IN = 'the built-in library';

@injectable()
export class LibraryLoader {
  /** Everything that was brought so far. */
  readonly registry = new TypeRegistry();

  constructor(@inject(TOKENS.Logger) private readonly logger: Logger) {}

  /** Loads the provider type warabi and every folder of backends/. */
  async loadBuiltIns(container: Container): Promise<void> {
    const backends = new URL('../../backends/', import.meta.url);
    const folders = (await readdir(backends, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    // The same extension as this file's: .js when compiled, .ts where a loader runs the sources.
    const extension = path.extname(fileURLToPath(import.meta.url));
    const modules = [
      new URL(`./warabi${extension}`, import.meta.url),
      ...folders.map(({ name }) => new URL(`./${name}/index${extension}`, backends)),
    ];
    for (const module of modules) await this.#loadModule(module, BUILT_IN, container);
  }

  /**
   * Loads a library of the configuration.
   * @param specifier a path or a package name
   * @param directory folder that paths and packages are looked for from
   * @param timeoutMs how long its top level may wait
   * @throws LIBRARY_LOAD_FAILED with the true cause
   */
  async load(specifier: string, directory: string, container: Container, timeoutMs: number): Promise<void> {
    const url = await locateLibrary(specifier, directory);
    await withTimeout(this.#loadModule(url, `library ${specifier}`, container), timeoutMs, () =>
      libraryFailure(
        `library ${specifier}`,
        `(${fileURLToPath(url)}) has not finished loading after ${timeoutMs} ms; it waits for something at its top level`,
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
      const isSyntax = cause instanceof Error && cause.name === 'SyntaxError';
      const line = isSyntax ? await lineOfSyntaxError(url) : lineOf(cause, url);
      throw libraryFailure(library, `does not load (${file}${line}): ${messageOf(cause)}`, cause);
    }
    const exported = unwrap(namespace.default);
    if (exported === undefined) {
      throw libraryFailure(
        library,
        `has no default export (${file}); it must be defineBackend({…}) or defineProvider({…})`,
      );
    }
    const origin = library === BUILT_IN ? library : `${library} (${file})`;
    for (const part of Array.isArray(exported) ? (exported as unknown[]) : [exported]) {
      await this.#take(part, origin, container);
    }
  }

  /** Takes in one part of a library's default export: a description, or a ContainerModule that binds some. */
  async #take(part: unknown, library: string, container: Container): Promise<void> {
    if (!isContainerModule(part)) {
      this.#register(part, library);
      const { kind } = part as Definition;
      container
        .bind(kind === 'backend' ? TOKENS.BackendDefinition : TOKENS.ProviderDefinition)
        .toConstantValue(part);
      return;
    }
    const known = new Set(boundDefinitions(container));
    try {
      await container.loadAsync(part);
    } catch (cause) {
      throw libraryFailure(library, `has a ContainerModule that does not load: ${messageOf(cause)}`, cause);
    }
    for (const definition of boundDefinitions(container)) {
      if (!known.has(definition)) this.#register(definition, library);
    }
  }

  #register(part: unknown, library: string): void {
    const fault = this.registry.add(part, library);
    if (fault !== undefined) throw libraryFailure(library, fault);
  }
}

function boundDefinitions(container: Container): unknown[] {
  return [TOKENS.BackendDefinition, TOKENS.ProviderDefinition].flatMap((token) =>
    container.isBound(token) ? container.getAll<unknown>(token) : [],
  );
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

/** The line of a module that an error came from, as `:12`; nothing if it does not say. */
function lineOf(error: unknown, url: URL): string {
  return error instanceof Error ? lineIn(error.stack ?? '', url) : '';
}

/** The same for a syntax error, which does not know: a process that parses the file again does. */
async function lineOfSyntaxError(url: URL): Promise<string> {
  const output = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      ['--check', fileURLToPath(url)],
      { timeout: 5000 },
      (_error, _stdout, stderr) => resolve(stderr),
    );
  });
  return lineIn(output, url);
}

/** ES modules appear by their URL, CommonJS ones by their path. */
function lineIn(stack: string, url: URL): string {
  for (const name of [url.href, fileURLToPath(url)]) {
    const at = stack.indexOf(`${name}:`);
    if (at !== -1) return /^:\d+/.exec(stack.slice(at + name.length))?.[0] ?? '';
  }
  return '';
}
