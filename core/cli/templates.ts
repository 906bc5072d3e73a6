/**
 * Creates new projects from the folders of templates/.
 *
 * Templates are ordinary files that are formatted, linted and compiled like all others; only their
 * names are special. In texts and in file names `sample` stands for the new type, `Sample` for it
 * in names of classes, `bedrock-…-sample` for the package. A leading `_` is removed from a file's
 * name: npm and compilers treat package.json, tsconfig.json and .gitignore inside a package
 * specially (`_gitignore` gets its dot).
 */
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../native/load.js';
import { invalid, systemCodeOf } from '../base/errors.js';
import { makeFolders, unmakeFolders } from '../base/folders.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { isStaged, stagedIn } from './staging.js';

/** Names of what is created. */
export interface Names {
  /** Name of the package. */
  readonly packageName: string;
  /** The `type` in configurations. */
  readonly type: string;
}

/** Valid names of npm, without upper case: https://docs.npmjs.com/cli/configuring-npm/package-json#name */
const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const MAX_NAME_LENGTH = 214;

export function templateFolder(name: string): string {
  return path.join(packageRoot(), 'templates', name);
}

/**
 * Derives the names from the given one: `@acme/bedrock-backend-s3` gives the type `s3`.
 * @throws UsageError
 */
export function namesFrom(given: string): Names {
  const tail = given.replace(/^@[^/]*\//, '').replace(/^bedrock-(?:node-)?(?:backend-|provider-)?/, '');
  const type = tail.replaceAll(/[^a-z0-9]+/g, '_').replaceAll(/^_|_$/g, '');
  if (given.length > MAX_NAME_LENGTH) {
    throw new UsageError(
      `the name has ${given.length} characters; npm takes at most ${MAX_NAME_LENGTH} for a package: ${given.slice(0, 60)}…`,
    );
  }
  if (!PACKAGE_NAME.test(given) || !/^[a-z]/.test(type)) {
    throw new UsageError(
      `"${given}" is not a name for a package with a type: lower-case letters, digits and hyphens, ` +
        'the type beginning with a letter, as in my-store, bedrock-backend-s3 or @acme/bedrock-backend-s3',
    );
  }
  return { packageName: given, type };
}

/**
 * Writes templates into a folder, and creates the folder if necessary. A later template replaces
 * files of an earlier one. Files are created under a temporary name, and get their own when all are
 * complete. If that fails, or if `finish` fails before, nothing is left.
 * @param finish gets the temporary folder, which is next to the final one, or in it
 * @throws INVALID_ARGUMENT if the folder has something in it, what `signal` was aborted with
 */
export async function writeTemplates(
  templates: readonly string[],
  folder: string,
  replace: (text: string) => string,
  finish: (staged: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const entries = await entriesOf(folder);
  if (entries?.every(isStaged) === false) {
    throw invalid(`${folder} already exists, and is not empty; name another`);
  }
  const above = path.dirname(folder);
  // An existing folder stays, since it may be somebody's working directory.
  const isThere = entries !== undefined;
  const first = isThere ? undefined : await ofWrittenFile(folder, () => makeFolders(above));
  const staged = stagedIn(isThere ? folder : above);
  const moved: string[] = [];
  try {
    await ofWrittenFile(folder, () => mkdir(staged));
    await writeAll(templates, { staged, folder }, replace, signal);
    await finish(staged);
    signal.throwIfAborted();
    if (isThere) await moveAll(staged, folder, moved);
    else await ofWrittenFile(folder, () => rename(staged, folder));
  } catch (error) {
    // It would block the next attempt.
    for (const one of [staged, ...moved]) await rm(one, { recursive: true, force: true });
    await unmakeFolders(above, first);
    throw error;
  }
  // Left by an attempt that was killed.
  for (const left of entries ?? []) await rm(path.join(folder, left), { recursive: true, force: true });
}

/** @param moved gets each name that was given */
async function moveAll(staged: string, folder: string, moved: string[]): Promise<void> {
  for (const name of await readdir(staged)) {
    const to = path.join(folder, name);
    await ofWrittenFile(to, () => rename(path.join(staged, name), to));
    moved.push(to);
  }
  await rmdir(staged);
}

async function writeAll(
  templates: readonly string[],
  { staged, folder }: { readonly staged: string; readonly folder: string },
  replace: (text: string) => string,
  signal: AbortSignal,
): Promise<void> {
  for (const template of templates) {
    const from = templateFolder(template);
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      signal.throwIfAborted();
      const relative = path.relative(from, path.join(entry.parentPath, nameOf(entry.name)));
      const to = path.join(staged, replace(relative));
      const text = replace(await readFile(path.join(entry.parentPath, entry.name), 'utf8'));
      await ofWrittenFile(path.join(folder, replace(relative)), async () => {
        await makeFolders(path.dirname(to));
        await writeFile(to, text);
      });
    }
  }
}

/** Inserts the names into a template's text. */
export function withNames({ packageName, type }: Names): (text: string) => string {
  const className = type.replaceAll(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
  const constant = type.toUpperCase();
  const file = type.replaceAll('_', '-');
  return (text) =>
    text
      .replaceAll(/bedrock-(?:backend|provider)-sample/g, packageName)
      .replaceAll(/sample-(?=target|provider)/g, `${file}-`)
      .replaceAll('SAMPLE_', `${constant}_`)
      .replaceAll('Sample', className)
      .replaceAll('sample', type);
}

function nameOf(file: string): string {
  return file === '_gitignore' ? '.gitignore' : file.replace(/^_/, '');
}

/** @returns undefined if it does not exist */
async function entriesOf(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
