/** The commands for those who begin: a configuration, a library of their own. */
import type { Command } from 'commander';
import { addInit } from './init.js';
import { addNew } from './new.js';
import { addTypes } from './types.js';

export function addLibraryCommands(program: Command): void {
  addInit(program);
  addNew(program);
  addTypes(program);
}
