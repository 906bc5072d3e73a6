/** `bedrock pool check`: lists the findings of a pool, and changes nothing. */
import type { Command } from 'commander';
import type { Finding } from '../pool/findings.js';
import type { Inspection } from '../pool/inspection.js';
import { subcommand } from './command-line.js';
import { ExitStatus } from './exit-status.js';
import { Conclusion } from './failure.js';
import { countOf, print, printLine } from './output.js';
import { onPool, type PoolOptions, withHeader, withPool } from './pool-command.js';
import { jsonDocument } from './pool-report.js';

const EXAMPLES = `
Examples:
  bedrock pool check data/pool
  bedrock pool check data/pool --json | jq -r '.findings[].region.id // empty'

The exit status is 0 if nothing is wrong, 1 if there are findings or the pool could not be checked (then there is only an error), and
2 if there is no pool at the path.
The contents of regions have no checksum, so damage to them is not found.
`;

export function addPoolCheck(pool: Command): void {
  withHeader(withPool(subcommand(pool, 'check')))
    .description('List what is wrong with a pool. Only reads.')
    .option('--json', 'an object {path, poolId?, findings, notes, regions?, regionBytes?}')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: PoolOptions) =>
      onPool(path, { isReadOnly: true }, async (opened) => {
        const inspection = await opened.inspect('checking', options);
        const found = await report(opened.pool.path, inspection, options.json === true);
        if (found > 0) throw new Conclusion(ExitStatus.failed);
      }),
    );
}

/** @returns the number of findings */
async function report(path: string, inspection: Inspection, isJson: boolean): Promise<number> {
  const { checkPool, notesOf } = await import('../pool/check.js');
  const { poolIdText } = await import('../pool/pool-info.js');
  const { headers } = inspection;
  const whole = 'refusal' in headers ? undefined : headers;
  const notes = notesOf(inspection);
  let found = 0;
  function* counted(): Generator<Finding> {
    for (const finding of checkPool(inspection)) {
      found++;
      yield finding;
    }
  }
  if (isJson) {
    const facts = whole && {
      poolId: poolIdText(whole.choice.header),
      regions: whole.recovery.regions,
      regionBytes: whole.recovery.bytes,
    };
    for (const piece of jsonDocument({ path, ...facts, notes }, 'findings', counted())) await print(piece);
    return found;
  }
  for (const { message, cure } of counted()) await printLine(`${message}\n  repair: ${cure}`);
  for (const note of notes) await printLine(`note: ${note}`);
  const regions = whole === undefined ? '' : `, ${countOf(whole.recovery.regions, 'region')} whole`;
  await printLine(`${path}: ${found === 0 ? 'nothing is wrong' : countOf(found, 'finding')}${regions}`);
  return found;
}
