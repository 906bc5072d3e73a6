/** `bedrock region`: works on single regions. region-transfer.ts transfers their contents. */
import type { Command } from 'commander';
import type { RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { RemoteTarget } from '../contract/remote-provider.js';
import type { RegionRange, RegionStat } from '../contract/target.js';
import {
  collect,
  onTarget,
  parseRegion,
  REGION_FORMS,
  type TargetOptions,
  withTarget,
} from './client-command.js';
import { subcommand } from './command-line.js';
import { print, printJson, printLine, shownName } from './output.js';
import { forEachRegion } from './region-list.js';
import { addCreate, addRead, addWrite } from './region-transfer.js';
import { formatSize } from '../base/size-text.js';
import { parseByteRange, SIZE_FORMS } from './sizes.js';
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

With --json each region is an object on its own line, {"id", "size", "createdAt", "name"?} (bytes, milliseconds since the
epoch), so that a million regions need no more memory than one.
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

Each is an ID or a name. If one cannot be removed, the others still are, and the exit status is 1.
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
    .description('List all regions: ID, size, time of creation, and the name if there is one.')
    .option('--json', 'one object per line')
    .addHelpText('after', LS_EXAMPLES)
    .action((options: TargetOptions & { json?: boolean }) =>
      onTarget(options, async (target, call) => {
        const isJson = options.json === true;
        const line = isJson ? (stat: RegionStat) => JSON.stringify(stat) : rowOf;
        let page = await target.list({}, call);
        if (!isJson) await printLine(headsOf(target));
        for (;;) {
          await print(page.regions.map((stat) => `${line(stat)}\n`).join(''), call.signal);
          if (page.next === undefined) return;
          page = await target.list({ after: page.next }, call);
        }
      }),
    );
}

function headsOf({ capabilities }: RemoteTarget): string {
  const heads = `${'ID'.padEnd(32)}  ${'SIZE'.padStart(SIZE_WIDTH)}  CREATED`;
  return capabilities.named ? `${heads.padEnd(rowOf(ANY).length)}  NAME` : heads;
}

/** The columns before the name have the same width in all rows. */
const ANY: RegionStat = { id: RegionId.of(0, 0, 0, 0), size: 0, createdAt: 0 };

function rowOf({ id, size, createdAt, name }: RegionStat): string {
  const row = `${id.toString()}  ${formatSize(size).padStart(SIZE_WIDTH)}  ${formatTime(createdAt)}`;
  return name === undefined ? row : `${row}  ${shownName(name)}`;
}

function addStat(region: Command): void {
  withTarget(subcommand(region, 'stat'))
    .description('Show the size, time of creation and name of a region.')
    .argument('<REGION>', REGION_FORMS, parseRegion)
    .option('--json', '{"id", "size", "createdAt", "name"?}, bytes and milliseconds since the epoch')
    .action((ref: RegionRef, options: TargetOptions & { json?: boolean }) =>
      onTarget(options, async (target, call) => {
        const stat = await target.stat(ref, call);
        if (options.json === true) return printJson(stat);
        const { id, size, createdAt, name } = stat;
        const lines = [`id       ${id.toString()}`, `size     ${formatSize(size)} (${size} bytes)`];
        lines.push(`created  ${formatTime(createdAt)}`);
        if (name !== undefined) lines.push(`name     ${shownName(name)}`);
        return printLine(lines.join('\n'));
      }),
    );
}

function addPersist(region: Command): void {
  withTarget(subcommand(region, 'persist'))
    .description('Make a region durable, or parts of it.')
    .argument('<REGION>', REGION_FORMS, parseRegion)
    .option(
      '--range <OFFSET:SIZE>',
      `only this part; can be repeated. Each is ${SIZE_FORMS}`,
      collect(parseByteRange),
    )
    .addHelpText('after', PERSIST_EXAMPLES)
    .action((ref: RegionRef, options: TargetOptions & { range?: RegionRange[] }) =>
      onTarget(options, (target, call) => target.persist(ref, options.range, call)),
    );
}

function addRemove(region: Command): void {
  withTarget(subcommand(region, 'rm'))
    .description('Erase regions. The erase is durable when the command ends.')
    .argument('<REGION...>', 'the regions, by their IDs or names', collect(parseRegion))
    .addHelpText('after', RM_EXAMPLES)
    .action((refs: RegionRef[], options: TargetOptions) =>
      onTarget(options, (target, call) => forEachRegion(refs, call, (ref) => target.erase(ref, call))),
    );
}
