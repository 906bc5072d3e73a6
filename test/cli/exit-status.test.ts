/** The exit statuses of docs/cli.md, held against every command that there is. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ExitStatus } from '../../core/cli/exit-status.js';
import { COMMANDS, makeHome, removeHome, USES } from '../fixtures/command-uses.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

beforeAll(makeHome);
afterAll(removeHome);

const leaves = [...COMMANDS.keys()];

it('every command has an entry here', () => {
  expect(Object.keys(USES).toSorted()).toEqual(leaves.toSorted());
});

it('docs/cli.md has a table of the statuses, and of those that signals make', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const [, table = ''] = /\n\| status \|.*\n\|[ |-]+\n((?:\|.*\n)+)/.exec(page) ?? [];
  const statuses = [...table.matchAll(/^\| (\d+) /gm)].map(([, status]) => Number(status));
  expect(statuses).toEqual([...Object.values(ExitStatus), 129, 130, 143]);
});

describe.each(leaves)('bedrock %s', (name) => {
  const words = name.split(' ');
  const use = USES[name];

  it('ends with 0 when help is asked for', async () => {
    await expect(runHere([...words, '--help'])).resolves.toMatchObject({ status: 0, stderr: '' });
  });

  it('ends with 2 and one line of an error if it is used wrongly', async () => {
    for (const args of [['--no-such-option'], use?.wrong() ?? []]) {
      const ended = await runHere([...words, ...args]);
      expect([args, ended.status, ended.stdout, codeOf(ended)]).toEqual([args, 2, '', expect.any(String)]);
    }
  });

  const fails = use?.fails;
  if (fails === undefined) return;
  it('ends with 1 and one line of an error if it fails', async () => {
    const ended = await runHere([...words, ...fails()]);
    expect([ended.status, ended.stdout, codeOf(ended)]).toEqual([1, '', expect.any(String)]);
  });
});
