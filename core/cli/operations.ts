/** `bedrock operations`: the long-running work of a daemon: snapshots, restores, migrations. */
import type { Command } from 'commander';
import type { OperationStatus } from '../contract/operation.js';
import { onDaemon, withAddress, type AddressOptions } from './client-command.js';
import { subcommand } from './command-line.js';
import { printJson, printLine, table } from './output.js';
import { formatSize } from '../base/size-text.js';
import { formatTime } from './times.js';

const EXAMPLES = `
Examples:
  bedrock operations ls
  bedrock operations show 3f1c0a7d9b2e4c58 --json | jq .doneBytes
  bedrock operations cancel 3f1c0a7d9b2e4c58

A daemon remembers the last 100 that ended. A cancelled operation has stopped when its state is "cancelled"; cancel --wait waits
for that.
`;

type Options = AddressOptions & { json?: boolean };

export function addOperations(program: Command): void {
  const operations = subcommand(program, 'operations')
    .description('Snapshots, restores and migrations of a daemon: list, show and cancel them.')
    .addHelpText('after', EXAMPLES);

  withAddress(subcommand(operations, 'ls'))
    .description('List operations that run, and the last that ended, newest first.')
    .option('--json', 'an array of what show prints')
    .action((options: Options) =>
      onDaemon(options, async (service, call) => {
        const all = await service.operations(call);
        if (options.json === true) return printJson(all);
        const rows = all.map((one) => [
          one.id,
          one.type,
          one.provider,
          one.state,
          formatTime(one.startedAt),
          partOf(one),
          String(one.doneRegions),
        ]);
        const heads = ['ID', 'TYPE', 'PROVIDER', 'STATE', 'STARTED', 'DONE', 'REGIONS'];
        await printLine(table([heads, ...rows], ['DONE', 'REGIONS']));
      }),
    );

  withAddress(subcommand(operations, 'show'))
    .description('Show the progress of an operation, or how it ended.')
    .argument('<ID>', 'its ID')
    .option(
      '--json',
      'an object of {id, type, provider, state, startedAt, doneBytes, doneRegions}; also endedAt, totalBytes, totalRegions, error, result',
    )
    .action((id: string, options: Options) =>
      onDaemon(options, async (service, call) => {
        const status = await service.operation(id).status(call);
        await (options.json === true ? printJson(status) : printLine(textOf(status)));
      }),
    );

  withAddress(subcommand(operations, 'cancel'))
    .description('Cancel an operation. Its target is as it was before, or is marked as incomplete.')
    .argument('<ID>', 'its ID')
    .option('--wait', 'wait until it has stopped')
    .action((id: string, options: AddressOptions & { wait?: boolean }) =>
      onDaemon(options, async (service, call) => {
        const operation = service.operation(id);
        await operation.cancel(call);
        if (options.wait === true) await operation.ended(call);
      }),
    );
}

function partOf({ doneBytes, totalBytes }: OperationStatus): string {
  if (totalBytes === undefined) return formatSize(doneBytes);
  const part = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  return `${Math.floor(part * 100)}% of ${formatSize(totalBytes)}`;
}

function textOf(status: OperationStatus): string {
  const { id, type, provider, state, startedAt, endedAt, doneRegions, totalRegions, error } = status;
  const regions = totalRegions === undefined ? String(doneRegions) : `${doneRegions} of ${totalRegions}`;
  const lines = [
    `${type} ${id} of ${provider}: ${state}`,
    `started  ${formatTime(startedAt)}`,
    ...(endedAt === undefined ? [] : [`ended    ${formatTime(endedAt)}`]),
    `done     ${partOf(status)}, ${regions} regions`,
    ...(error === undefined ? [] : [`error    ${error.code}: ${error.message}`]),
  ];
  return lines.join('\n');
}
