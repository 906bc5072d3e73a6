/** The commands for beginners: create a configuration or a library. */
import type { Command } from 'commander';
import { addInit } from './init.js';
import { addNew } from './new.js';
import { addTypes } from './types.js';

export function addLibraryCommands(program: Command): void {
  addInit(program);
  addNew(program);
  addTypes(program);
}
