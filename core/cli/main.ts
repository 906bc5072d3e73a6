#!/usr/bin/env node
/** The `bedrock` command. Thin: it reads arguments and calls the rest. */
import { holdSmall } from '../base/young-generation.js';

// Before everything else is loaded, hence the late import.
holdSmall();
const { runCli } = await import('./cli.js');
const { endProcess, guardEnd } = await import('./process-end.js');

guardEnd();

// A log that nobody reads any more (a closed pipe) must not keep the daemon from serving, and from stopping in good order.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

// Not process.exitCode: something that a backend left running must not keep a stopped daemon alive.
endProcess(await runCli(process.argv));
