/**
 * `bedrock snapshot`, `restore` and `verify`: saves the data of a target to a folder, and restores
 * it.
 */
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { OperationStatus } from '../contract/operation.js';
import type { RemoteProviderHandle } from '../contract/remote-provider.js';
import { onDaemon, withAddress, type AddressOptions } from './client-command.js';
import { subcommand } from './command-line.js';
import { ExitStatus } from './exit-status.js';
import { Conclusion } from './failure.js';
import { interruptible } from './interruption.js';
import { countOf, printJson, printLine } from './output.js';
import { trackProgress } from './progress.js';
import { formatSize } from '../base/size-text.js';
import { parseNatural } from './sizes.js';
import { formatTime } from './times.js';

const TARGET_HELP = 'a provider, by name or ID, followed by .N to select target N of a provider with several';
const DIR_HELP = 'an absolute path on the machine of the daemon';

const SNAPSHOT_EXAMPLES = `
Examples:
  bedrock snapshot store /backup/monday
  bedrock snapshot store /backup/tuesday --incremental /backup/monday
  bedrock snapshot 42.1 /backup/monday-1 --json

DIR must be missing or empty, or contain an unfinished snapshot, which is continued. Ctrl-C cancels the snapshot.
`;

const RESTORE_EXAMPLES = `
Examples:
  bedrock restore scratch /backup/monday

The target must be empty. It answers NOT_READY until the restore is complete. Ctrl-C cancels, and the target is empty again.
`;

const VERIFY_EXAMPLES = `
Examples:
  bedrock verify /backup/monday
  bedrock verify /backup/monday --json | jq .faults

The command needs no daemon. The exit status is 1 if anything is damaged.
`;

interface Options extends AddressOptions {
  json?: boolean;
  quiet?: boolean;
}

interface Result {
  path: string;
  regions: number;
  bytes: number;
  /** Of a snapshot. */
  writtenBytes?: number;
  reusedBytes?: number;
}

export function addSnapshots(program: Command): void {
  withBar(withAddress(subcommand(program, 'snapshot')))
    .description('Save a target to a folder, as it is at one moment, while it serves.')
    .argument('<TARGET>', TARGET_HELP, parseTarget)
    .argument('<DIR>', DIR_HELP, parseFolder)
    .option('--max-hold <MS>', 'how long changes may wait at most (default: 1000)', parseNatural)
    .option(
      '--incremental <EARLIER>',
      'the folder of an earlier snapshot of the target, an absolute path on the same file system: unchanged data is linked, not written',
      parseFolder,
    )
    .addHelpText('after', SNAPSHOT_EXAMPLES)
    .action(
      (target: Place, folder: string, options: Options & { maxHold?: number; incremental?: string }) => {
        const { maxHold, incremental } = options;
        const more = {
          ...(maxHold !== undefined && { max_hold_ms: maxHold }),
          ...(incremental !== undefined && { incremental }),
        };
        return operate('snapshot', target, { path: folder, options: more }, options);
      },
    );
  withBar(withAddress(subcommand(program, 'restore')))
    .description('Restore a snapshot into an empty target.')
    .argument('<TARGET>', TARGET_HELP, parseTarget)
    .argument('<DIR>', DIR_HELP, parseFolder)
    .addHelpText('after', RESTORE_EXAMPLES)
    .action((target: Place, folder: string, options: Options) =>
      operate('restore', target, { path: folder, options: {} }, options),
    );
  withBar(subcommand(program, 'verify'))
    .description('Read a snapshot on this machine, and check every checksum.')
    .argument('<DIR>', 'the folder of the snapshot')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action((folder: string, options: Options) => interruptible((signal) => verify(folder, options, signal)));
}

function withBar(command: Command): Command {
  return command.option('--json', 'an object').option('-q, --quiet', 'no progress bar');
}

interface Place {
  provider: string;
  target: number | undefined;
}

function parseTarget(text: string): Place {
  const [, provider = '', target] = /^([^.]+)(?:\.(\d{1,6}))?$/.exec(text) ?? [];
  if (provider === '') throw new InvalidArgumentError('It takes a provider, or PROVIDER.N.');
  return { provider, target: target === undefined ? undefined : Number(target) };
}

function parseFolder(text: string): string {
  if (path.isAbsolute(text) && !text.includes('\0')) return text;
  throw new InvalidArgumentError('It takes an absolute path: the folder is on the machine of the daemon.');
}

function operate(
  type: 'snapshot' | 'restore',
  { provider, target }: Place,
  request: { path: string; options: Record<string, unknown> },
  { json, quiet, ...address }: Options,
): Promise<void> {
  return onDaemon(address, async (service, call) => {
    const handle: RemoteProviderHandle = service.provider(provider);
    const options = { ...request.options, ...(target !== undefined && { target }) };
    let progress: ReturnType<typeof trackProgress> | undefined;
    let shown = 0;
    const onProgress = ({ doneBytes, totalBytes }: OperationStatus): void => {
      if (totalBytes === undefined) return;
      progress ??= trackProgress(type, totalBytes, quiet);
      progress.add(doneBytes - shown);
      shown = doneBytes;
    };
    let status: OperationStatus;
    try {
      status = await handle[type]({ path: request.path, options }, { ...call, onProgress });
    } finally {
      progress?.end();
    }
    if (json === true) return printJson(status);
    const { regions, bytes, path: folder, writtenBytes = 0, reusedBytes = 0 } = status.result as Result;
    const where = type === 'snapshot' ? `from ${provider} to ${folder}` : `from ${folder} to ${provider}`;
    const reused =
      reusedBytes > 0 ? `; ${formatSize(writtenBytes)} written, ${formatSize(reusedBytes)} reused` : '';
    await printLine(`${countOf(regions, 'region')}, ${formatSize(bytes)}, ${where}${reused}`);
  });
}

async function verify(folder: string, { json, quiet }: Options, signal: AbortSignal): Promise<void> {
  const { readManifest } = await import('../snapshot/format.js');
  const { verifySnapshot } = await import('../snapshot/snapshot-reader.js');
  const progress = trackProgress('verify', (await readManifest(folder)).bytes, quiet);
  let found: Awaited<ReturnType<typeof verifySnapshot>>;
  try {
    found = await verifySnapshot(folder, { signal, onBytes: (bytes) => progress.add(bytes) });
  } finally {
    progress.end();
  }
  const { manifest, regions, bytes, faults, damaged } = found;
  const { poolId, takenAt, source } = manifest;
  if (json === true)
    await printJson({ path: folder, poolId, takenAt, source, regions, bytes, damaged, faults });
  else
    await printLine(
      `${folder}: ${countOf(regions, 'region')} whole, ${formatSize(bytes)}, taken at ${formatTime(takenAt)} from ${source.provider}`,
    );
  if (damaged === 0) return;
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  throw new Conclusion(
    ExitStatus.failed,
    new BedrockError(
      'SNAPSHOT_CORRUPT',
      `${countOf(damaged, 'fault')} in ${folder}; ${regions} of ${manifest.regions} regions are whole`,
    ),
  );
}
