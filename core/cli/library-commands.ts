/** The commands that work on files: a configuration, a library, tokens. */
import type { Command } from 'commander';
import { addInit } from './init.js';
import { addNew } from './new.js';
import { addToken } from './token.js';
import { addTypes } from './types.js';

export function addLibraryCommands(program: Command): void {
  addInit(program);
  addNew(program);
  addTypes(program);
  addToken(program);
}
