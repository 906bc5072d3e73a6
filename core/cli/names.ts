/** `bedrock put`, `get`, `cat`, `ls`, `rm` and `mv`: contents under names, as files are used to. */
import type { Command } from 'commander';
import type { NamedRegion, PutOptions, RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import {
  collect,
  onTarget,
  parseName,
  parseRegion,
  parseRegionId,
  REGION_FORMS,
  type TargetOptions,
  withTarget,
} from './client-command.js';
import { subcommand } from './command-line.js';
import { UsageError } from './failure.js';
import { openAllContents } from './input.js';
import { print, printJson, printLine, shownName } from './output.js';
import { forEachRegion } from './region-list.js';
import {
  openRegion,
  transferCommand,
  type TransferOptions,
  withProgress,
  writeOut,
} from './region-transfer.js';
import { formatSize } from '../base/size-text.js';
import { parseSize, SIZE_FORMS } from './sizes.js';
import { formatTime } from './times.js';

const PUT_EXAMPLES = `
Examples:
  bedrock put state.bin run/17                     replaces the region that had the name
  tar c results | bedrock put - results.tar        from a pipe
  bedrock put first.bin run/18 --if-absent         only if no region has the name
  bedrock put next.bin run/18 --if "$id"           only if that region still has it

The name keeps its old contents until the new ones are complete and durable, and if anything fails. A pipe is read into a
temporary file first, unless --size gives its length.
`;

const GET_EXAMPLES = `
Examples:
  bedrock get run/17 state.bin
  bedrock get results.tar | tar t

A file appears under its name only when it is complete.
`;

const LS_EXAMPLES = `
Examples:
  bedrock ls
  bedrock ls run/                  names that begin with run/
  bedrock ls --delimiter /         as if slashes made folders
  bedrock ls --json | jq -r .name

Names are in the order of their bytes. With --json each is an object on its own line, {"name", "id", "size", "createdAt"}
(bytes, milliseconds since the epoch), or {"prefix"} for names that are grouped.
`;

const RM_EXAMPLES = `
Examples:
  bedrock rm run/17
  bedrock ls run/ --json | jq -j '.name + "\\u0000"' | xargs -0 bedrock rm --     all below run/

If one cannot be removed, the others still are, and the exit status is 1.
`;

const MV_EXAMPLES = `
Examples:
  bedrock mv new current --replace     erases the region named "current" in the same step
  bedrock mv "$id" results.tar         a name for a region that had none
`;

/** Wide enough for the largest size, as in \`1023.9 KiB\`. */
const SIZE_WIDTH = 10;

export function addNames(program: Command): void {
  addPut(program);
  addGet(program);
  addCat(program);
  addList(program);
  addRemove(program);
  addMove(program);
}

interface PutCommandOptions extends TransferOptions {
  size?: number;
  ifAbsent?: boolean;
  if?: RegionId;
  json?: boolean;
}

function addPut(program: Command): void {
  transferCommand(program, 'put')
    .description(
      'Store a file under a name, replacing the region that had it, and print the ID of the new region.',
    )
    .argument('<FILE>', 'the contents; - is standard input')
    .argument('<NAME>', 'the name', parseName)
    .option('--size <N>', `length of a pipe, so that no temporary file is needed: ${SIZE_FORMS}`, parseSize)
    .option('--if-absent', 'only if no region has the name')
    .option('--if <ID>', 'only if that region has the name', parseRegionId)
    .option('--json', 'print {"name", "id", "size"} instead of the ID')
    .addHelpText('after', PUT_EXAMPLES)
    .action((file: string, name: string, options: PutCommandOptions) =>
      onTarget(options, async (target, call) => {
        const contents = await openAllContents(file, options.size, call.signal);
        const id = await withProgress('putting', contents, options, (source) =>
          target.put(name, source, conditionOf(options), call),
        );
        if (options.json === true) await printJson({ name, id, size: contents.size });
        else await printLine(id.toString());
      }),
    );
}

function conditionOf(options: PutCommandOptions): PutOptions {
  if (options.ifAbsent === true && options.if !== undefined)
    throw new UsageError('--if-absent and --if exclude each other; give one of them');
  if (options.ifAbsent === true) return { if: 'absent' };
  return options.if === undefined ? {} : { if: options.if };
}

function addGet(program: Command): void {
  transferCommand(program, 'get')
    .description('Copy a region, given by name or ID, to standard output or a file.')
    .argument('<REGION>', REGION_FORMS, parseRegion)
    .argument('[FILE]', 'the file; - or nothing is standard output')
    .addHelpText('after', GET_EXAMPLES)
    .action((ref: RegionRef, file: string | undefined, options: TransferOptions) =>
      onTarget(options, async (target, call) => {
        const contents = await openRegion(target, ref, WHOLE, call);
        await writeOut(contents, file, options, call.signal);
      }),
    );
}

const WHOLE = { offset: 0 };

function addCat(program: Command): void {
  transferCommand(program, 'cat')
    .description(
      'Print regions, given by name or ID, one after another. If one is missing, the others are still printed.',
    )
    .argument('<REGION...>', 'the regions, by their names or IDs', collect(parseRegion))
    .action((refs: RegionRef[], options: TransferOptions) =>
      onTarget(options, (target, call) =>
        forEachRegion(refs, call, async (ref) => {
          const contents = await openRegion(target, ref, WHOLE, call);
          await writeOut(contents, '-', options, call.signal);
        }),
      ),
    );
}

interface ListCommandOptions extends TargetOptions {
  delimiter?: string;
  json?: boolean;
}

function addList(program: Command): void {
  withTarget(subcommand(program, 'ls'))
    .description('List names: size, time of creation, name.')
    .argument('[PREFIX]', 'only names that begin with this')
    .option('-d, --delimiter <TEXT>', 'list only the part of each name up to this text, once')
    .option('--json', 'one object per line')
    .addHelpText('after', LS_EXAMPLES)
    .action((prefix: string | undefined, options: ListCommandOptions) =>
      onTarget(options, async (target, call) => {
        const isJson = options.json === true;
        const asked = {
          ...(prefix !== undefined && { prefix }),
          ...(options.delimiter !== undefined && { delimiter: options.delimiter }),
        };
        let page = await target.names(asked, call);
        if (!isJson) await printLine(`${'SIZE'.padStart(SIZE_WIDTH)}  ${'CREATED'.padEnd(TIME_WIDTH)}  NAME`);
        for (;;) {
          const entries = inOrder(page.names, page.prefixes);
          await print(
            entries.map((entry) => `${isJson ? JSON.stringify(entry) : rowOf(entry)}\n`).join(''),
            call.signal,
          );
          if (page.next === undefined) return;
          page = await target.names({ ...asked, after: page.next }, call);
        }
      }),
    );
}

type Entry = NamedRegion | { prefix: string };

/** Names and common prefixes of a page as one list, in the order of their bytes. */
function inOrder(names: readonly NamedRegion[], prefixes: readonly string[]): Entry[] {
  if (prefixes.length === 0) return [...names];
  const entries: Entry[] = [...names, ...prefixes.map((prefix) => ({ prefix }))];
  return entries
    .map((entry) => ({ entry, bytes: Buffer.from('prefix' in entry ? entry.prefix : entry.name) }))
    .sort((one, other) => Buffer.compare(one.bytes, other.bytes))
    .map(({ entry }) => entry);
}

const TIME_WIDTH = formatTime(0).length;

function rowOf(entry: Entry): string {
  if ('prefix' in entry) return `${' '.repeat(SIZE_WIDTH + TIME_WIDTH + 2)}  ${shownName(entry.prefix)}`;
  const { name, size, createdAt } = entry;
  return `${formatSize(size).padStart(SIZE_WIDTH)}  ${formatTime(createdAt)}  ${shownName(name)}`;
}

function addRemove(program: Command): void {
  withTarget(subcommand(program, 'rm'))
    .description('Erase regions, given by name or ID. The erase is durable when the command ends.')
    .argument('<REGION...>', 'the regions, by their names or IDs', collect(parseRegion))
    .addHelpText('after', RM_EXAMPLES)
    .action((refs: RegionRef[], options: TargetOptions) =>
      onTarget(options, (target, call) => forEachRegion(refs, call, (ref) => target.erase(ref, call))),
    );
}

function addMove(program: Command): void {
  withTarget(subcommand(program, 'mv'))
    .description('Give a region another name; its ID and contents stay.')
    .argument('<OLD>', REGION_FORMS, parseRegion)
    .argument('<NEW>', 'the new name', parseName)
    .option(
      '--replace',
      'erase the region that has the new name, in the same step; otherwise the command is refused',
    )
    .addHelpText('after', MV_EXAMPLES)
    .action(
      (
        old: RegionRef,
        name: string,
        { replace = false, ...options }: TargetOptions & { replace?: boolean },
      ) => onTarget(options, (target, call) => target.rename(old, name, { replace }, call)),
    );
}
