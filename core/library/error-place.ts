/**
 * Where in a library an error came from: a file and a line, for the one who mends it.
 *
 * Of a syntax error in an ES module Node tells only a terminal where it is. Another process parses the module again, and what it
 * imports from files beside it, until it finds the fault; nothing of them is run there.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { propertyOf, textOf } from '../base/plain.js';

const PARSE_TIMEOUT_MS = 10_000;

/** Ends with the first syntax error in a module or in those that it imports by relative names; Node prints its place in front. */
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

/** @returns the library's file with the line, or with the file and line that it imports; the file alone if nothing tells */
export async function placeOfError(error: unknown, url: URL): Promise<string> {
  const file = fileURLToPath(url);
  const stack = propertyOf(error, 'stack');
  const isSyntax = propertyOf(error, 'name') === 'SyntaxError';
  const place =
    headOf(typeof stack === 'string' ? stack : '') ??
    (isSyntax ? headOf(await findSyntaxError(url)) : lineIn(textOf(stack), url));
  if (place === undefined) return file;
  return place.startsWith(`${file}:`) ? place : `${file}; ${place}`;
}

/** Node puts `file:line` in front of the stack of an error that came while a file was compiled or linked. */
function headOf(stack: string): string | undefined {
  const [, url, path, line = ''] =
    /^(?:(file:\/\/\S+)|(\/\S+)):(\d+)$/m.exec(stack.split('\n', 1)[0] ?? '') ?? [];
  if (path !== undefined) return `${path}:${line}`;
  return url === undefined ? undefined : `${fileURLToPath(url)}:${line}`;
}

/** The first mention of the library's own file; ES modules appear by their URL, CommonJS ones by their path. */
function lineIn(stack: string, url: URL): string | undefined {
  const file = fileURLToPath(url);
  for (const name of [url.href, file]) {
    const at = stack.indexOf(`${name}:`);
    const line = at === -1 ? undefined : /^:\d+/.exec(stack.slice(at + name.length))?.[0];
    if (line !== undefined) return `${file}${line}`;
  }
  return undefined;
}

/** @returns what begins with `URL:line`, if it is found */
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
