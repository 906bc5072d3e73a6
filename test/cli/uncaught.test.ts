/** What becomes of a daemon, and of a command, when a library throws where nobody catches, or ends the process. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bedrock, killAll, type BedrockProcess, type Exit } from '../fixtures/bedrock-process.js';
import { codeOf } from '../fixtures/run-command.js';
import { isThorough, sampled } from '../fixtures/thoroughness.js';

const LIBRARIES = path.resolve(import.meta.dirname, '../fixtures/libraries');
const WILD = path.join(LIBRARIES, 'wild.mjs');

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-uncaught-')));
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true });
});

let configs = 0;

/** A daemon with a pool, a provider that tells of its stop, and one that is wild. */
async function start(
  config: Record<string, unknown>,
  settings: object = {},
  others: readonly object[] = [],
): Promise<BedrockProcess> {
  const number = configs++;
  const pool = { path: `${number}.pool`, create_if_missing_with_size: 2 ** 23 };
  const text = JSON.stringify({
    'margo.mercury.address': 'http://127.0.0.1:0',
    libraries: [WILD, path.join(LIBRARIES, 'provider.mjs')],
    bedrock: settings,
    providers: [
      { type: 'warabi', name: 'store', config: { target: { type: 'file', config: pool } } },
      { type: 'recorder', provider_id: 5 },
      { type: 'wild', provider_id: 6, config },
      ...others,
    ],
  });
  const file = path.join(home, `${number}.json`);
  await writeFile(file, text);
  return bedrock(['-c', file]);
}

async function provoked(act: string): Promise<Exit> {
  const daemon = await start({ act });
  await daemon.address();
  daemon.signal('SIGUSR2');
  return daemon.exit;
}

describe.each(sampled(1, ['exception', 'rejection', 'event', 'again']))('a library with an %s', (act) => {
  it('that nobody caught stops the daemon in good order, with status 1 and the place in one line', async () => {
    const exit = await provoked(act);
    expect(exit).toMatchObject({ status: 1, signal: null });
    expect(codeOf(exit)).toBe('INTERNAL');
    expect(exit.stderr).toContain(`${WILD}:`);
    const said = exit.stdout.split('\n').filter((line) => line.includes('[critical] [bedrock]'));
    expect(said[0]).toContain(`${WILD}:`);
    if (act !== 'again') expect(said).toHaveLength(1);
    for (const provider of ['recorder:5', 'wild:6']) expect(exit.stdout).toContain(`[${provider}] stop\n`);
    expect(exit.stdout).toContain('[info] [bedrock] stopped, not cleanly\n');
  });
});

it('stops the daemon in good order however long its providers may take for that together', async () => {
  const others = Array.from({ length: 24 }, (_, index) => ({ type: 'recorder', provider_id: 10 + index }));
  const daemon = await start({ act: 'exception' }, { drain_timeout_ms: 86_400_000 }, others);
  await daemon.address();
  daemon.signal('SIGUSR2');
  const exit = await daemon.exit;
  expect([exit.status, codeOf(exit)]).toEqual([1, 'INTERNAL']);
  expect(exit.stdout).toContain('[info] [bedrock] stopped, not cleanly\n');
  expect(exit.stderr).not.toContain('TimeoutOverflowWarning');
});

if (isThorough)
  it('a rejection with nothing at all is told as well', async () => {
    const exit = await provoked('nothing');
    expect([exit.status, codeOf(exit)]).toEqual([1, 'INTERNAL']);
  });

it('an exception while the daemon starts ends the start, and what runs already is stopped', async () => {
  const exit = await (await start({ act: 'exception', at: 'start' })).exit;
  expect([exit.status, codeOf(exit)]).toEqual([1, 'INTERNAL']);
  expect(exit.stderr).toContain(`${WILD}:`);
  expect(exit.stdout).toContain('[recorder:5] stop\n');
  expect(exit.stdout).not.toContain('ready: ');
});

it.each(sampled(1, ['exit', 'exitAsFailed']))(
  'process.exit in a library names its file (%s)',
  async (act) => {
    const exit = await provoked(act);
    expect([exit.status, codeOf(exit)]).toEqual([1, 'INTERNAL']);
    expect(exit.stderr).toContain(`${WILD}:`);
  },
);

const COMMANDS: [string, string[]][] = [
  ['--check', ['start', '--check', '-c']],
  ['a command', ['pool', 'copy', 'from.pool', 'to.pool', '--library']],
];

it.each(sampled(1, COMMANDS))(
  'an exception of a library ends %s with 1 and one line',
  async (_what, args) => {
    const library = path.join(home, 'late.mjs');
    await writeFile(
      library,
      'setImmediate(() => { throw new Error("late"); });\nawait new Promise((resolve) => setTimeout(resolve, 60_000));\n',
    );
    const config = path.join(home, 'late.json');
    await writeFile(config, JSON.stringify({ libraries: ['./late.mjs'] }));
    const last = args.includes('copy') ? library : config;
    const exit = await bedrock([...args, last], { cwd: home }).exit;
    expect([exit.status, exit.stdout, codeOf(exit)]).toEqual([1, '', 'INTERNAL']);
    expect(exit.stderr).toContain(`${library}:1`);
  },
);
