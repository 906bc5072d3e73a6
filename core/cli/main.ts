#!/usr/bin/env node
/** The `bedrock` command. Thin: it reads arguments and calls other code. */
import { holdSmall } from '../base/young-generation.js';

// Runs before anything else is loaded; hence the late import.
holdSmall();
const { runCli } = await import('./cli.js');
const { endProcess, guardEnd } = await import('./process-end.js');
const { guardUncaught } = await import('./uncaught.js');

guardEnd();
guardUncaught();

// If the reader of the log is gone (a closed pipe), the daemon must still serve, and stop cleanly.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

// Not process.exitCode: something that a backend left running must not keep a stopped daemon alive.
endProcess(await runCli(process.argv));
