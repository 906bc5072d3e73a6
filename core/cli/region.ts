/** `bedrock region`: regions one by one. Their contents go through region-transfer. */
import type { Command } from 'commander';
import type { RegionId } from '../contract/region-id.js';
import type { RegionRange, RegionStat } from '../contract/target.js';
import { collect, onTarget, parseRegionId, type TargetOptions, withTarget } from './client-command.js';
import { subcommand } from './command-line.js';
import { reportFailure } from './failure.js';
import { print, printJson, printLine } from './output.js';
import { addCreate, addRead, addWrite } from './region-transfer.js';
import { formatSize, parseByteRange, SIZE_FORMS } from './sizes.js';
import { formatTime } from './times.js';

const EXAMPLES = `
Examples:
  id=$(bedrock region create results.tar --persist)
  bedrock region ls -a http://node1:7480 -p store
  bedrock region read "$id" -o results.tar
  bedrock region rm "$id"

Each command says more with --help.
`;

const LS_EXAMPLES = `
Examples:
  bedrock region ls
  bedrock region ls --json | jq -r 'select(.size == 0).id'
  bedrock region ls --json | jq -s 'map(.size) | add'

With --json each region is an object in a line of its own, {"id", "size", "createdAt"} (bytes, milliseconds since the epoch),
so that a million regions need no more memory than one.
`;

const PERSIST_EXAMPLES = `
Examples:
  bedrock region persist ID
  bedrock region persist ID --range 0:4K --range 1M:64K
`;

const RM_EXAMPLES = `
Examples:
  bedrock region rm ID
  bedrock region ls --json | jq -r .id | xargs bedrock region rm     all of them

If one cannot be removed, the others are all the same, and the exit status is 1.
`;

/** Wide enough for the largest size, as in \`1023.9 KiB\`. */
const SIZE_WIDTH = 10;

export function addRegion(program: Command): void {
  const region = subcommand(program, 'region')
    .description('Create, write, read and remove regions.')
    .addHelpText('after', EXAMPLES);
  addCreate(region);
  addWrite(region);
  addRead(region);
  addList(region);
  addStat(region);
  addPersist(region);
  addRemove(region);
}

function addList(region: Command): void {
  withTarget(subcommand(region, 'ls'))
    .description('List all regions: ID, size, time of creation.')
    .option('--json', 'an object a line')
    .addHelpText('after', LS_EXAMPLES)
    .action((options: TargetOptions & { json?: boolean }) =>
      onTarget(options, async (target, call) => {
        const isJson = options.json === true;
        const line = isJson ? (stat: RegionStat) => JSON.stringify(stat) : rowOf;
        let page = await target.list({}, call);
        if (!isJson) await printLine(`${'ID'.padEnd(32)}  ${'SIZE'.padStart(SIZE_WIDTH)}  CREATED`);
        for (;;) {
          await print(page.regions.map((stat) => `${line(stat)}\n`).join(''), call.signal);
          if (page.next === undefined) return;
          page = await target.list({ after: page.next }, call);
        }
      }),
    );
}

function rowOf({ id, size, createdAt }: RegionStat): string {
  return `${id.toString()}  ${formatSize(size).padStart(SIZE_WIDTH)}  ${formatTime(createdAt)}`;
}

function addStat(region: Command): void {
  withTarget(subcommand(region, 'stat'))
    .description('Show what is known of a region.')
    .argument('<ID>', 'the region', parseRegionId)
    .option('--json', '{"id", "size", "createdAt"}, bytes and milliseconds since the epoch')
    .action((id: RegionId, options: TargetOptions & { json?: boolean }) =>
      onTarget(options, async (target, call) => {
        const stat = await target.stat(id, call);
        if (options.json === true) return printJson(stat);
        const created = formatTime(stat.createdAt);
        return printLine(
          `id       ${id.toString()}\nsize     ${formatSize(stat.size)} (${stat.size} bytes)\ncreated  ${created}`,
        );
      }),
    );
}

function addPersist(region: Command): void {
  withTarget(subcommand(region, 'persist'))
    .description('Make a region durable, or parts of it.')
    .argument('<ID>', 'the region', parseRegionId)
    .option(
      '--range <OFFSET:SIZE>',
      `only this part; may come several times. Each is ${SIZE_FORMS}`,
      collect(parseByteRange),
    )
    .addHelpText('after', PERSIST_EXAMPLES)
    .action((id: RegionId, options: TargetOptions & { range?: RegionRange[] }) =>
      onTarget(options, (target, call) => target.persist(id, options.range, call)),
    );
}

function addRemove(region: Command): void {
  withTarget(subcommand(region, 'rm'))
    .description('Remove regions for good; durable when it ends.')
    .argument('<ID...>', 'the regions', collect(parseRegionId))
    .addHelpText('after', RM_EXAMPLES)
    .action((ids: RegionId[], options: TargetOptions) =>
      onTarget(options, async (target, call) => {
        const failures: unknown[] = [];
        for (const id of ids) {
          await target.erase(id, call).catch((error: unknown) => failures.push(error));
          call.signal.throwIfAborted();
        }
        // Each gets its line; the last ends the command.
        for (const failure of failures.slice(0, -1)) reportFailure(failure);
        if (failures.length > 0) throw failures.at(-1);
      }),
    );
}
