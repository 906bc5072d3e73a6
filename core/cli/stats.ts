/** `bedrock stats`: shows how full targets are. */
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { Service } from '../client/service.js';
import type { CallOptions } from '../contract/remote-provider.js';
import type { TargetState, TargetStats } from '../contract/target.js';
import { type AddressOptions, onDaemon, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { bar, printJson, printLine, table } from './output.js';
import { formatSize } from '../base/size-text.js';

const EXAMPLES = `
Examples:
  bedrock stats
  bedrock stats scratch
  bedrock stats 42 --json | jq '.[0].usedBytes'

With --json the output is an array with an object for each target: provider, target (its number), type, state, and, if it is open,
mode, regions, capacityBytes (null: unlimited), usedBytes, freeBytes and largestFreeBytes (available now; null: unknown),
fragmentation and recovery.
`;

const BAR_WIDTH = 20;
const HEADS = ['PROVIDER', 'TARGET', 'TYPE', 'MODE', 'REGIONS', 'USED', 'CAPACITY', ''];
const NUMBERS = ['TARGET', 'REGIONS', 'USED', 'CAPACITY'];

interface ListedTarget {
  provider: string;
  /** Number of the target. */
  target: number;
  type: string;
  state: TargetState;
}
type Row = ListedTarget & Partial<TargetStats>;

export function addStats(program: Command): void {
  withAddress(subcommand(program, 'stats'))
    .description('Show how full the targets of a daemon are.')
    .argument('[PROVIDER]', 'name or id (default: all providers that hold regions)')
    .option('--json', 'an array, see below')
    .addHelpText('after', EXAMPLES)
    .action((provider: string | undefined, options: AddressOptions & { json?: boolean }) =>
      onDaemon(options, async (service, call) => {
        const rows = await Promise.all(
          listedTargets(service, provider).map((listed) => ask(service, listed, call)),
        );
        if (options.json === true) await printJson(rows);
        else await printLine(table([HEADS, ...rows.map(cellsOf)], NUMBERS));
      }),
    );
}

function listedTargets({ providers }: Service, wanted: string | undefined): ListedTarget[] {
  const listed = providers
    .filter(({ name, providerId }) => wanted === undefined || [name, String(providerId)].includes(wanted))
    .flatMap(({ name, targets }) =>
      targets.map(({ type, state }, target) => ({ provider: name, target, type, state })),
    );
  if (listed.length > 0 || wanted === undefined) return listed;
  const holders = providers.filter(({ targets }) => targets.length > 0);
  const names = holders.map(({ name, providerId }) => `${name} (${providerId})`).join(', ');
  throw new BedrockError(
    'PROVIDER_NOT_FOUND',
    `no provider ${wanted} holds regions; those that do: ${names === '' ? 'none' : names}`,
  );
}

async function ask(service: Service, listed: ListedTarget, call: CallOptions): Promise<Row> {
  // An optional provider may have failed; the others are still shown.
  if (listed.state !== 'open') return listed;
  return { ...listed, ...(await service.stats(listed.provider, listed.target, call)) };
}

function cellsOf(row: Row): string[] {
  const { provider, target, type, state, mode, regions, usedBytes, capacityBytes, freeBytes } = row;
  const head = [provider, String(target), type];
  if (usedBytes === undefined) return [...head, state, '-', '-', '-', ''];
  const figures = [mode ?? '', String(regions), formatSize(usedBytes)];
  if (capacityBytes === null || capacityBytes === undefined) {
    const free = typeof freeBytes === 'number' ? `${formatSize(freeBytes)} free` : '';
    return [...head, ...figures, 'unlimited', free];
  }
  const part = capacityBytes === 0 ? 1 : usedBytes / capacityBytes;
  const percent = `${Math.round(part * 100)}%`.padStart(4);
  return [...head, ...figures, formatSize(capacityBytes), `${bar(part, BAR_WIDTH)} ${percent}`];
}
