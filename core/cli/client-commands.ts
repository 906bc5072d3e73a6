/** The commands that talk to a running daemon. */
import type { Command } from 'commander';
import { addCompletion } from './completion.js';
import { addProviders } from './providers.js';
import { addQuery } from './query.js';
import { addRegion } from './region.js';
import { addShutdown } from './shutdown.js';
import { addStats } from './stats.js';

export function addClientCommands(program: Command): void {
  addQuery(program);
  addProviders(program);
  addStats(program);
  addRegion(program);
  addShutdown(program);
  addCompletion(program);
}
