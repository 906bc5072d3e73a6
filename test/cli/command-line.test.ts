/** What `bedrock` says of a command line that is wrong: one line, the nearest that there is, and status 2. */
import { describe, expect, it } from '@jest/globals';
import { packageVersion } from '../../core/base/package-version.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

describe('a command line that is wrong', () => {
  it.each([
    [['strat'], /"strat".*did you mean start\?/],
    [['regoin', 'ls'], /"regoin".*did you mean region\?/],
    [['stop'], /did you mean shutdown\?/],
    [['nonsense'], /"nonsense".* it has start, /],
    [['bedrock.json'], /-c bedrock\.json/],
    [['start', 'bedrock.json'], /"bedrock\.json".*-c bedrock\.json/],
    [['start', '--stdin', 'bedrock.json'], /-c bedrock\.json/],
    [['region'], /needs a command: create, /],
    [['region', 'delete', 'x'], /did you mean rm\?/],
    [['region', 'list'], /did you mean ls\?/],
    [['region', 'raed'], /did you mean read\?/],
    [['pool', 'chek', 'x'], /did you mean check\?/],
    [['new', 'bakend', 'x'], /did you mean backend\?/],
    [['start', '--nonsense'], /bedrock start has no option --nonsense/],
    [['start', '--chek'], /did you mean --check\?/],
    [['region', 'ls', '--jsn'], /bedrock region ls has no option --jsn; did you mean --json\?/],
    [['start', '-c'], /bedrock start: a value is missing: -c, --config <FILE>/],
    [['-v', 'loud'], /--verbose.*found "loud"; it takes one of critical, /],
    [['start', 'http://127.0.0.1:0', 'http://127.0.0.1:0'], /too many arguments.*\[ADDRESS\]/],
    [['region', 'read'], /REGION is missing.*bedrock region read \[options\] <REGION>/],
    [['region', 'stat', 'a', 'b'], /too many arguments.*<REGION>/],
    [['region', 'create', '--size', 'x'], /--size <N>: found "x"; it takes bytes/],
    [['region', 'read', 'x'.repeat(1025)], /REGION: found "x+"; the name has 1025 bytes/],
    [['get', ''], /REGION: found ""; the name is empty/],
    [['put', 'file', '0'.repeat(32)], /NAME: found "0+"; the name is 32 hexadecimal digits/],
    [['mv', 'a', 'not \ufffd'], /NEW: .*UTF-8/],
    [['put', 'file', 'name', '--if', 'x'], /--if <ID>: found "x"; a region ID is 32 hexadecimal digits/],
    [['list'], /did you mean ls\?/],
    [['erase', 'x'], /did you mean rm\?/],
    [['rename', 'x', 'y'], /did you mean mv\?/],
    [['completion', 'tcsh'], /found "tcsh"; it takes one of bash, zsh, fish/],
  ] as const)('is answered in one line: bedrock %j', async (args, expected) => {
    const ended = await runHere(args);
    expect({ status: ended.status, stdout: ended.stdout, code: codeOf(ended) }).toEqual({
      status: 2,
      stdout: '',
      code: 'INVALID_ARGUMENT',
    });
    expect(ended.stderr).toMatch(expected);
  });
});

it.each([['--help'], ['-h'], ['help'], ['start', '--help'], ['region', 'help']])(
  'help goes to standard output, with status 0: bedrock %s %s',
  async (...args) => {
    const ended = await runHere(args.filter((word) => typeof word === 'string'));
    expect(ended).toMatchObject({ status: 0, stderr: '' });
    expect(ended.stdout).toContain('Usage: bedrock');
  },
);

it.each(['--version', '-V'])('%s prints the version of the package', async (flag) => {
  await expect(runHere([flag])).resolves.toMatchObject({
    status: 0,
    stdout: `${packageVersion()}\n`,
    stderr: '',
  });
});
