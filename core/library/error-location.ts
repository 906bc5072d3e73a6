/**
 * Finds where in a library an error comes from: a file and a line, for its author.
 *
 * For a syntax error in an ES module Node.js prints the location only to a terminal. So another
 * process parses the module again, and the files that it imports, until it finds the fault. It runs
 * none of them.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { propertyOf, textOf } from '../base/plain.js';

const PARSE_TIMEOUT_MS = 10_000;

/**
 * Ends with the first syntax error in a module or in those that it imports by relative paths;
 * Node.js prints its location first.
 */
const FIND_SYNTAX_ERROR = `
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
const seen = new Set();
function visit(url) {
  if (seen.has(url) || !/\\.m?js$/.test(url)) return;
  seen.add(url);
  const module = new vm.SourceTextModule(readFileSync(new URL(url), 'utf8'), { identifier: url });
  for (const one of module.moduleRequests ?? module.dependencySpecifiers) {
    const specifier = one.specifier ?? one;
    if (/^\\.{1,2}\\//.test(specifier)) visit(new URL(specifier, url).href);
  }
}
visit(process.argv[1]);
`;

/** Characters of a stack that are searched for what Node.js puts in front of it, at most. */
const MAX_HEAD = 2 ** 13;

/**
 * @returns the library's file with the line, or the imported file with the line; the file alone if
 *   the line is unknown
 */
export async function locationOfError(error: unknown, url: URL): Promise<string> {
  const file = fileURLToPath(url);
  const stack = propertyOf(error, 'stack');
  const isSyntax = propertyOf(error, 'name') === 'SyntaxError';
  const location =
    headOf(typeof stack === 'string' ? stack : '') ??
    (isSyntax ? headOf(await findSyntaxError(url)) : lineIn(textOf(stack), url));
  if (location === undefined) return file;
  return location.startsWith(`${file}:`) ? location : `${file}; ${location}`;
}

/**
 * Node.js puts `file:line` before the stack of an error that occurred while a file was compiled or
 * linked.
 */
function headOf(stack: string): string | undefined {
  const [, url, path, line = ''] =
    /^(?:(file:\/\/\S+)|(\/\S+)):(\d+)$/m.exec(stack.slice(0, MAX_HEAD).split('\n', 1)[0] ?? '') ?? [];
  if (path !== undefined) return `${path}:${line}`;
  return url === undefined ? undefined : `${fileURLToPath(url)}:${line}`;
}

/**
 * The first line of the stack that names the library's own file; ES modules appear as URLs,
 * CommonJS modules as paths.
 */
function lineIn(stack: string, url: URL): string | undefined {
  const file = fileURLToPath(url);
  for (const name of [url.href, file]) {
    const at = stack.indexOf(`${name}:`);
    const line = at === -1 ? undefined : /^:\d+/.exec(stack.slice(at + name.length))?.[0];
    if (line !== undefined) return `${file}${line}`;
  }
  return undefined;
}

/** @returns a text that begins with `URL:line`, if the error is found */
function findSyntaxError(url: URL): Promise<string> {
  const args = ['--experimental-vm-modules', '--no-warnings', '--input-type=module', '-e', FIND_SYNTAX_ERROR];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...args, url.href],
      { timeout: PARSE_TIMEOUT_MS, env: { ...process.env, NODE_OPTIONS: '' } },
      (_error, _stdout, stderr) => resolve(stderr.trim()),
    );
  });
}
