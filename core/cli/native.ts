/** `bedrock native`: builds the native addon, and shows which one is loaded. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import { subcommand } from './command-line.js';
import { printJson, printLine } from './output.js';

const BUILD_EXAMPLES = `
Needs cmake, make or ninja, and a C++ compiler; uses libpmem if pkg-config finds it. Debian, Ubuntu:
  apt-get install libpmem-dev pkg-config cmake g++ make
`;

const INFO_EXAMPLES = `
Examples:
  bedrock native info
  bedrock native info --json | jq .libpmem

The exit status is 1 if the addon is not available.
`;

export function addNative(program: Command): void {
  const native = subcommand(program, 'native').description('The native addon: persistent memory by libpmem.');
  subcommand(native, 'build')
    .description('Rebuild the addon, with libpmem if it is installed.')
    .addHelpText('after', BUILD_EXAMPLES)
    .action(build);
  subcommand(native, 'info')
    .description('Show whether the addon is loaded, or why not, and what it found on this machine.')
    .option('--json', 'an object {path, isLoaded, reason?, …attributes}')
    .addHelpText('after', INFO_EXAMPLES)
    .action(({ json }: { json?: boolean }) => info(json === true));
}

async function build(): Promise<void> {
  const { packageRoot } = await import('../../native/load.js');
  const child = spawn(process.execPath, [path.join(packageRoot(), 'scripts/native.js')], {
    stdio: 'inherit',
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) throw new BedrockError('NATIVE_UNAVAILABLE', 'the native addon was not built; see above');
}

async function info(isJson: boolean): Promise<void> {
  const { addonState } = await import('../../native/load.js');
  const { path: file, attributes, reason } = addonState();
  if (isJson) {
    await printJson({ path: file, isLoaded: attributes !== undefined, reason, ...attributes });
  } else if (attributes !== undefined) {
    await printLine([`loaded ${file}`, ...Object.entries({ ...attributes }).map(describe)].join('\n'));
  }
  if (reason !== undefined) throw new BedrockError('NATIVE_UNAVAILABLE', `${file}: ${reason}`);
}

const LABELS: Record<string, string> = {
  libpmem: 'libpmem',
  hasAutoFlush: 'caches flushed at power failure (eADR)',
  hasHardwareDrain: 'hardware drain',
  flushInstruction: 'flush instruction',
  cacheLineBytes: 'cache line, bytes',
  pageBytes: 'page, bytes',
  powerFailAtomicBytes: 'atomic at power failure, bytes',
  crc32c: 'CRC32C by',
};

function describe([name, value]: [string, string | number | boolean | null]): string {
  const text =
    value === null
      ? name === 'libpmem'
        ? 'none: mappings become durable by msync'
        : 'unknown'
      : String(value);
  return `  ${(LABELS[name] ?? name).padEnd(40)}${text}`;
}
