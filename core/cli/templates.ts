/**
 * Writes new projects from the folders of templates/.
 *
 * Templates are ordinary files, which are formatted, linted and compiled like all others; only their names tell them apart. In text
 * and in file names `sample` stands for the type that is being made, `Sample` for it in names of classes, `bedrock-…-sample` for
 * the package. A leading `_` is dropped from a file's name: npm and compilers have a mind of their own about package.json,
 * tsconfig.json and .gitignore below a package (`_gitignore` gets its dot).
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../native/load.js';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { makeFolders } from '../base/folders.js';
import { UsageError } from './failure.js';

/** What is made. */
export interface Names {
  /** Of the package. */
  readonly packageName: string;
  /** That configurations name it by. */
  readonly type: string;
}

/** Of npm, without upper case: https://docs.npmjs.com/cli/configuring-npm/package-json#name */
const PACKAGE_NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const MAX_NAME_LENGTH = 214;

export function templateFolder(name: string): string {
  return path.join(packageRoot(), 'templates', name);
}

/**
 * The names that follow from the one that is given: `@acme/bedrock-backend-s3` makes the type `s3`.
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
      `"${given}" is no name for a package with a type: lower-case letters, digits and hyphens, ` +
        'the type beginning with a letter, as in my-store, bedrock-backend-s3 or @acme/bedrock-backend-s3',
    );
  }
  return { packageName: given, type };
}

/**
 * Writes templates into a folder, which is made; a later one replaces files of an earlier one.
 * @throws INVALID_ARGUMENT if the folder has something in it
 */
export async function writeTemplates(
  templates: readonly string[],
  folder: string,
  replace: (text: string) => string,
): Promise<void> {
  if ((await entriesOf(folder)).length > 0) {
    throw new BedrockError('INVALID_ARGUMENT', `${folder} is there already, and not empty`);
  }
  for (const template of templates) {
    const from = templateFolder(template);
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const place = path.relative(from, path.join(entry.parentPath, nameOf(entry.name)));
      const to = path.join(folder, replace(place));
      await makeFolders(path.dirname(to));
      await writeFile(to, replace(await readFile(path.join(entry.parentPath, entry.name), 'utf8')));
    }
  }
}

/** Puts the names of what is made into a template's text. */
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

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
