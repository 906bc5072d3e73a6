#!/usr/bin/env node
/** The `bedrock` command. Thin: it reads arguments and calls the rest. */
import { runCli } from './cli.js';

// Not process.exitCode: something that a backend left running must not keep a stopped daemon alive.
process.exit(await runCli(process.argv));
