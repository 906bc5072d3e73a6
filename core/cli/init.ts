/** `bedrock init`: writes a commented configuration to start with, which names its schema for editors. */
import { link, lstat, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { packageRoot } from '../../native/load.js';
import { invalid, systemCodeOf } from '../base/errors.js';
import { makeFolders, unmakeFolders } from '../base/folders.js';
import { subcommand } from './command-line.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { printLine } from './output.js';
import { stagedIn } from './staging.js';
import { templateFolder } from './templates.js';

const EXAMPLES = `
Examples:
  bedrock init && bedrock -c bedrock.json
  bedrock init conf/bedrock.json

An existing file is not changed, and the exit status is 1. The output is JSON, so the name must end in .json or .jsonc, or have no
extension of another format.
`;

const SCHEMA = 'schemas/bedrock.schema.json';

export function addInit(program: Command): void {
  subcommand(program, 'init')
    .description('Write a configuration to start with: one store in memory and one in a file.')
    .argument('[FILE]', 'where to', 'bedrock.json')
    .addHelpText('after', EXAMPLES)
    .action(init);
}

async function init(file: string): Promise<void> {
  const extension = path.extname(file);
  if (!['', '.json', '.jsonc'].includes(extension.toLowerCase())) {
    const other = `${file.slice(0, file.length - extension.length)}.json`;
    throw new UsageError(`the file is JSON, which a name in ${extension} hides; name it ${other}`);
  }
  await interruptible((signal) => writeFirstConfig(file, signal));
  await printLine(`${file}: written; launch it with: npx bedrock -c ${file}`);
}

/** Writes the configuration to start with, and the folders above it. @throws INVALID_ARGUMENT if there is a file already */
export async function writeFirstConfig(file: string, signal: AbortSignal): Promise<void> {
  const folder = path.resolve(path.dirname(file));
  const first = await ofWrittenFile(file, () => makeFolders(folder));
  try {
    await writeNew(file, await firstConfig(folder), signal);
  } catch (error) {
    await unmakeFolders(folder, first);
    throw error;
  }
}

/**
 * The configuration to start with.
 * @param folder where it will be; it must exist unless `data` is given
 * @param data where its pool is, instead of the folder `data` below; the schema is then named by its whole path
 */
export async function firstConfig(folder: string, data?: string): Promise<string> {
  const template = await readFile(path.join(templateFolder('init'), 'bedrock.json'), 'utf8');
  const schema =
    data === undefined ? await schemaFrom(folder) : path.join(await realpath(packageRoot()), SCHEMA);
  const text = template.replace('"bedrock.schema.json"', () => JSON.stringify(schema));
  if (data === undefined) return text;
  return text.replace('"data/store.pool"', () => JSON.stringify(path.join(data, 'store.pool')));
}

/**
 * Writes the file, which gets its name only when it is complete.
 * @throws INVALID_ARGUMENT if the name already exists, what `signal` was aborted with
 */
async function writeNew(file: string, text: string, signal: AbortSignal): Promise<void> {
  if (await isThere(file)) throw taken(file);
  const staged = stagedIn(path.resolve(path.dirname(file)));
  try {
    await ofWrittenFile(file, () => writeFile(staged, text, { flag: 'wx' }));
    signal.throwIfAborted();
    await ofWrittenFile(file, () => giveName(staged, file));
  } catch (error) {
    throw systemCodeOf(error) === 'EEXIST' ? taken(file) : error;
  } finally {
    await rm(staged, { force: true });
  }
}

/**
 * A link never replaces an existing name, even one that was just created. Some file systems have no
 * links.
 * @throws errors of the system
 */
async function giveName(staged: string, file: string): Promise<void> {
  try {
    await link(staged, file);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCodeOf(error) ?? ''))
      throw error;
    await rename(staged, file);
  }
}

/** Whether something has the name, even if it is a link that leads nowhere. */
async function isThere(file: string): Promise<boolean> {
  try {
    await ofWrittenFile(file, () => lstat(file));
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
    return false;
  }
}

function taken(file: string): Error {
  return invalid(`${file} already exists, and was not changed`);
}

/**
 * Path of the schema relative to the folder: in the folder's own node_modules, if this package is
 * installed there.
 */
async function schemaFrom(folder: string): Promise<string> {
  const relative = path.relative(await realpath(folder), path.join(await realpath(packageRoot()), SCHEMA));
  return relative.startsWith('..') ? relative : `./${relative}`;
}
