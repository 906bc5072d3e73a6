/**
 * Finds the file of a library. A path is relative to the configuration's folder. A package is
 * looked up from that folder, then from the working directory, by Node's own rules.
 *
 * TypeScript is accepted if Node.js strips types: since 22.18, and never below node_modules.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { resolve as resolvePackage } from 'import-meta-resolve';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';

/**
 * @param specifier a path or a package name
 * @param directory base folder for paths and packages
 * @throws LIBRARY_LOAD_FAILED
 */
export async function locateLibrary(specifier: string, directory: string): Promise<URL> {
  const library = `library ${specifier}`;
  if (specifier.endsWith('.so')) {
    throw libraryFailure(
      library,
      'is a shared object of Mochi, and libraries of this daemon are JavaScript modules; warabi is built in',
    );
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(specifier)) {
    throw libraryFailure(library, 'is neither a path nor the name of a package');
  }
  const url = isPath(specifier)
    ? await locateFile(library, path.resolve(directory, specifier))
    : locatePackage(library, specifier, directory);
  checkLanguage(library, fileURLToPath(url));
  return url;
}

/**
 * Before it is loaded: if Node.js does not accept TypeScript, it reports a syntax error somewhere
 * in the middle.
 */
function checkLanguage(library: string, file: string): void {
  if (!/\.[mc]?ts$/.test(file)) return;
  if (file.split(path.sep).includes('node_modules')) {
    throw libraryFailure(
      library,
      `is TypeScript below node_modules (${file}), which Node never accepts; the package must export the compiled file`,
    );
  }
  // Since Node.js 22.10: how it handles TypeScript, or false.
  const { typescript = false } = process.features as { typescript?: string | false };
  if (typescript === false) {
    throw libraryFailure(
      library,
      `is TypeScript (${file}), which Node ${process.versions.node} does not accept as it was started; ` +
        'compile it and name the JavaScript file, or use Node 22.18 or later',
    );
  }
}

async function locateFile(library: string, file: string): Promise<URL> {
  const found = await stat(file).catch((cause: unknown) => {
    const why = systemCodeOf(cause) === 'ENOENT' ? `there is no ${file}; correct the path` : withCure(cause);
    throw libraryFailure(library, `was not found: ${why}`, cause);
  });
  if (found.isDirectory()) throw libraryFailure(library, `is a folder (${file}); name the file in it`);
  return pathToFileURL(file);
}

function locatePackage(library: string, name: string, directory: string): URL {
  const folders = [...new Set([directory, process.cwd()])];
  const causes: unknown[] = [];
  for (const folder of folders) {
    try {
      const url = new URL(resolvePackage(name, pathToFileURL(path.join(folder, 'bedrock.json')).href));
      if (url.protocol === 'file:') return url;
      throw libraryFailure(library, 'is a module of Node itself and defines no types');
    } catch (cause) {
      causes.push(cause);
    }
  }
  const cause = causes.find((each) => systemCodeOf(each) !== 'ERR_MODULE_NOT_FOUND') ?? causes[0];
  if (cause instanceof BedrockError) throw cause;
  const why =
    systemCodeOf(cause) === 'ERR_MODULE_NOT_FOUND'
      ? `is not installed where ${folders.join(' or ')} would find it`
      : `was not found as a package: ${messageOf(cause)}`;
  throw libraryFailure(library, `${why}; install it with npm, or give a path (./…)`, cause);
}

/** A path begins with a dot or a slash, or ends like a file name; anything else is a package. */
export function isPath(specifier: string): boolean {
  return /^\.{0,2}\//.test(specifier) || /\.(js|mjs|cjs|ts|mts|cts|so)$/.test(specifier);
}

/** The error of all libraries. `library` is its name in the configuration. */
export function libraryFailure(library: string, what: string, cause?: unknown): BedrockError {
  return new BedrockError('LIBRARY_LOAD_FAILED', `${library} ${what}`, {
    details: { library },
    ...(cause !== undefined && { cause }),
  });
}
