/**
 * The commands of Redis on keys: they rename, copy and find them. A key is the name of a region, or
 * its ID if it has no name.
 */
import { type Command, command, MANY, READS_ONE, type Run } from './command.js';
import { look } from './direct-steps.js';
import { Simple } from './replies.js';
import type { Step } from './step.js';
import { runStep } from './steps.js';
import * as strings from './string-steps.js';

/** The first two arguments are keys. */
const TWO = [1, 2, 1] as const;

const STRING = new Simple('string');
const NONE = new Simple('none');

const typeOf: Step = async (args, { view }) =>
  (await view.contents(args.ref(1))) === undefined ? NONE : STRING;

const type = look(
  (found, { replies }) => replies.line(found === undefined ? '+none\r\n' : '+string\r\n'),
  typeOf,
);

/** A row of the table. */
function row(name: string, arity: Command['arity'], run: Run, step: Step, summary: string): Command {
  return command(name, arity, run, summary, {
    keys: TWO,
    isWrite: true,
    scope: 'write',
    step,
    group: 'generic',
  });
}

const { rename, renameNx, copy } = strings;

export const KEY_COMMANDS: readonly Command[] = [
  command('type', [2, 2], type, 'Returns the type of a value, or none.', {
    ...READS_ONE,
    step: typeOf,
    group: 'generic',
  }),
  row(
    'rename',
    [3, 3],
    runStep('rename', TWO, rename),
    rename,
    'Renames a region; a region that had the new name is removed.',
  ),
  row(
    'renamenx',
    [3, 3],
    runStep('rename', TWO, renameNx),
    renameNx,
    'Renames a region, unless a region has the new name.',
  ),
  row('copy', [3, MANY], runStep('transact', TWO, copy), copy, 'Copies a value to another name.'),
];
