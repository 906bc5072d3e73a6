/** `bedrock native`: builds the native addon, and shows which one is loaded. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Command } from 'commander';
import type { PlatformAttributes } from '../../native/binding.js';
import type { AddonOrigin } from '../../native/load.js';
import { BedrockError } from '../base/errors.js';
import { subcommand } from './command-line.js';
import { printJson, printLine } from './output.js';

const BUILD_EXAMPLES = `
Needs cmake, make or ninja, and a C++ compiler. Debian, Ubuntu:
  apt-get install cmake g++ make
The package has binaries for Linux on x64 and arm64 (glibc and musl), so this is for other machines, and for changed sources.
libpmem is no part of the build: it is looked for when a process needs it.
`;

const INFO_EXAMPLES = `
Examples:
  bedrock native info
  bedrock native info --json | jq .libpmem
  BEDROCK_LIBPMEM=off bedrock native info        without libpmem; a path names another one

The exit status is 1 if the addon is not available.
`;

export function addNative(program: Command): void {
  const native = subcommand(program, 'native').description('The native addon: persistent memory by libpmem.');
  subcommand(native, 'build')
    .description('Compile the addon on this machine.')
    .addHelpText('after', BUILD_EXAMPLES)
    .action(build);
  subcommand(native, 'info')
    .description('Show whether the addon is loaded, or why not, and what it found on this machine.')
    .option('--json', 'an object {path, origin, platform, isLoaded, reason?, …attributes}')
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
  const { path: file, origin, platform, attributes, reason } = addonState();
  if (isJson) {
    await printJson({
      path: file,
      origin,
      platform,
      isLoaded: attributes !== undefined,
      reason,
      ...attributes,
    });
  } else if (attributes !== undefined) {
    const rows = Object.entries({ ...attributes }).filter(([name]) => !name.startsWith('libpmem'));
    const lines = [
      `loaded ${file}`,
      line('from', ORIGINS[origin]),
      line('for', platform),
      line('libpmem', libpmemOf(attributes)),
    ];
    await printLine([...lines, ...rows.map(describe)].join('\n'));
  }
  if (reason !== undefined) throw new BedrockError('NATIVE_UNAVAILABLE', `${file}: ${reason}`);
}

const ORIGINS: Record<AddonOrigin, string> = {
  environment: 'BEDROCK_NATIVE_ADDON',
  built: 'a build on this machine',
  prebuilt: 'the package',
};

function libpmemOf({ libpmem, libpmemPath, libpmemReason }: PlatformAttributes): string {
  if (libpmem !== null) return `${libpmem}, ${libpmemPath}`;
  return `none: mappings become durable by msync (${libpmemReason})`;
}

const LABELS: Record<string, string> = {
  hasAutoFlush: 'caches flushed at power failure (eADR)',
  hasHardwareDrain: 'hardware drain',
  flushInstruction: 'flush instruction',
  cacheLineBytes: 'cache line, bytes',
  pageBytes: 'page, bytes',
  powerFailAtomicBytes: 'atomic at power failure, bytes',
  crc32c: 'CRC32C by',
};

function describe([name, value]: [string, string | number | boolean | null]): string {
  return line(LABELS[name] ?? name, value === null ? 'unknown' : String(value));
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(40)}${text}`;
}
