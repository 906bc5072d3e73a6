/** `bedrock init`: writes a configuration to begin with, commented, that names its schema for editors. */
import { type FileHandle, open, readFile, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { packageRoot } from '../../native/load.js';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { makeFolders } from '../base/folders.js';
import { subcommand } from './command-line.js';
import { UsageError } from './failure.js';
import { printLine } from './output.js';
import { templateFolder } from './templates.js';

const EXAMPLES = `
Examples:
  bedrock init && bedrock -c bedrock.json
  bedrock init conf/bedrock.json

A file that is there already is left as it is, and the exit status is 1. What is written is JSON, so a name ends in .json or .jsonc,
or has no such end.
`;

const SCHEMA = 'schemas/bedrock.schema.json';

export function addInit(program: Command): void {
  subcommand(program, 'init')
    .description('Write a configuration to begin with: a store in memory and one in a file.')
    .argument('[FILE]', 'where to', 'bedrock.json')
    .addHelpText('after', EXAMPLES)
    .action(init);
}

async function init(file: string): Promise<void> {
  const extension = path.extname(file);
  if (!['', '.json', '.jsonc'].includes(extension.toLowerCase())) {
    const other = `${file.slice(0, file.length - extension.length)}.json`;
    throw new UsageError(`what is written is JSON, which a name in ${extension} hides; name it as ${other}`);
  }
  const folder = path.resolve(path.dirname(file));
  await makeFolders(folder);
  const template = await readFile(path.join(templateFolder('init'), 'bedrock.json'), 'utf8');
  const text = template.replace('"bedrock.schema.json"', JSON.stringify(await schemaFrom(folder)));
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx');
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    throw new BedrockError('INVALID_ARGUMENT', `${file} is there already, and was left as it is`);
  }
  try {
    await handle.writeFile(text);
  } catch (error) {
    // A part of a configuration would be in the way of the next attempt.
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await printLine(`${file}: written; launch it with: npx bedrock -c ${file}`);
}

/** The schema as the folder sees it: below its own node_modules, if that is where this package is. */
async function schemaFrom(folder: string): Promise<string> {
  const relative = path.relative(await realpath(folder), path.join(await realpath(packageRoot()), SCHEMA));
  return relative.startsWith('..') ? relative : `./${relative}`;
}
