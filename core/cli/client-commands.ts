/** The commands that talk to a running daemon. */
import type { Command } from 'commander';
import { addDependency, addProvider } from './change-provider.js';
import { addExecutionPool, addExecutionStream, addLibrary } from './change-runtime.js';
import { addConfig, addReload } from './config.js';
import { addCompletion } from './completion.js';
import { addDoctor } from './doctor.js';
import { addMigrate } from './migrate.js';
import { addNames } from './names.js';
import { addOperations } from './operations.js';
import { addProviders } from './providers.js';
import { addQuery } from './query.js';
import { addRegion } from './region.js';
import { addShutdown } from './shutdown.js';
import { addSnapshots } from './snapshot.js';
import { addStats } from './stats.js';
import { addTop } from './top.js';

export function addClientCommands(program: Command): void {
  addQuery(program);
  addConfig(program);
  addReload(program);
  addProviders(program);
  addProvider(program);
  addDependency(program);
  addLibrary(program);
  addExecutionPool(program);
  addExecutionStream(program);
  addStats(program);
  addTop(program);
  addDoctor(program);
  addNames(program);
  addRegion(program);
  addSnapshots(program);
  addMigrate(program);
  addOperations(program);
  addShutdown(program);
  addCompletion(program);
}
