/**
 * `bedrock pool repair`: drops what is damaged, so that the rest of a pool can be trusted again. It
 * can also undo a repair.
 */
import type { Command } from 'commander';
import type { Inspection } from '../pool/inspection.js';
import { subcommand } from './command-line.js';
import { UsageError } from './failure.js';
import { countOf, print, printJson, printLine } from './output.js';
import { named, onPool, type OpenedPool, type PoolOptions, withHeader, withPool } from './pool-command.js';
import { jsonDocument } from './pool-report.js';

const EXAMPLES = `
Examples:
  bedrock pool repair data/pool --dry-run
  bedrock pool repair data/pool
  bedrock pool repair data/pool --undo data/pool.repair-7

The command asks no questions. It first saves the bytes that it changes to a file next to the pool. --undo restores them, as long as
no region was created or erased since. No intact region is touched.
`;

interface RepairOptions extends PoolOptions {
  dryRun?: boolean;
  undo?: string;
}

export function addPoolRepair(pool: Command): void {
  withHeader(withPool(subcommand(pool, 'repair')))
    .description('Drop what is damaged, so that the rest of a pool can be trusted again.')
    .option('-n, --dry-run', 'only show what would be done')
    .option('--undo <BACKUP>', 'undo a repair')
    .option('--json', 'an object {path, isDryRun, undone?, backup?, regions, retiredSlots, repaired}')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: RepairOptions) => {
      if (options.undo === undefined)
        return onPool(path, { isReadOnly: options.dryRun === true }, (opened) => repair(opened, options));
      if (options.dryRun === true) throw new UsageError('--undo and --dry-run exclude each other');
      const backup = options.undo;
      return onPool(path, { isReadOnly: false }, (opened) => undo(opened, backup, options));
    });
}

async function repair({ pool, inspect }: OpenedPool, options: RepairOptions): Promise<void> {
  const { repairPool, undoBrokenOff } = await import('../pool-file/repair-pool.js');
  const { checkPool } = await import('../pool/check.js');
  const isDryRun = options.dryRun === true;
  const undone = isDryRun ? undefined : await undoBrokenOff(pool, options.header);
  const inspection = await inspectAfter(undone, inspect, options);
  const isSound = checkPool(inspection).next().done === true;
  if ('refusal' in inspection.headers) throw named(pool.path, inspection.headers.refusal);
  const backup = isSound || isDryRun ? undefined : await repairPool(pool, inspection);
  await report(pool.path, inspection, { isJson: options.json === true, isDryRun, undone, backup });
}

/** After an undo the headers contradict each other only if they did before the undone repair. */
async function inspectAfter(
  undone: string | undefined,
  inspect: OpenedPool['inspect'],
  { header, ...others }: RepairOptions,
): Promise<Inspection> {
  if (undone !== undefined) {
    const inspection = await inspect('checking', others);
    if (!('refusal' in inspection.headers)) return inspection;
  }
  return inspect('checking', { ...others, ...(header !== undefined && { header }) });
}

interface Outcome {
  isJson: boolean;
  isDryRun: boolean;
  /** Backup of an interrupted repair. */
  undone: string | undefined;
  backup: string | undefined;
}

async function report(path: string, inspection: Inspection, outcome: Outcome): Promise<void> {
  const { isJson, isDryRun, undone, backup } = outcome;
  const { checkPool } = await import('../pool/check.js');
  let [found, lost] = [0, 0];
  for (const { slots = 0 } of checkPool(inspection)) {
    found++;
    lost += slots;
  }
  const regions = 'refusal' in inspection.headers ? 0 : inspection.headers.recovery.regions;
  if (isJson) {
    const members = { path, isDryRun, undone, backup, regions, retiredSlots: lost };
    for (const piece of jsonDocument(members, 'repaired', checkPool(inspection))) await print(piece);
    return;
  }
  if (undone !== undefined)
    await printLine(`a repair was interrupted, and was undone by ${undone} before this one`);
  const lead = isDryRun ? 'would repair' : 'repaired';
  for (const { message, cure } of checkPool(inspection)) await printLine(`${message}\n  ${lead}: ${cure}`);
  const whole = `${countOf(regions, 'region')} whole`;
  if (found === 0) return printLine(`${path}: nothing is wrong, ${whole}`);
  await printLine(
    `${path}: ${isDryRun ? 'would repair' : 'repaired'} ${countOf(found, 'finding')}, ` +
      `${countOf(lost, 'slot')} given up, ${whole}`,
  );
  if (backup !== undefined)
    await printLine(`to take it back: bedrock pool repair ${quoted(path)} --undo ${quoted(backup)}`);
}

async function undo({ pool }: OpenedPool, backup: string, { json, header }: RepairOptions): Promise<void> {
  const { undoRepair } = await import('../pool-file/repair-pool.js');
  await undoRepair(pool, backup, header);
  if (json === true) await printJson({ path: pool.path, undone: backup });
  else await printLine(`${pool.path} is as it was before the repair whose backup is ${backup}`);
}

/** Quoted for a shell. */
function quoted(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
