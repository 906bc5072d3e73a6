/** How the command line says who it is, by every command that talks to a daemon. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { COMMANDS, makeHome, NOBODY, removeHome, USES } from '../fixtures/command-uses.js';
import { codeOf, type Ended } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { closeSecured, Secured } from './secured-daemon.js';

const CODES = [
  ['requires a token', 'UNAUTHENTICATED'],
  ['bedrock_ID_SECRET', 'INVALID_ARGUMENT'],
] as const;

let daemon: Secured;
let file: string;

beforeAll(async () => {
  await makeHome();
  daemon = await Secured.start();
  file = path.join(daemon.folder, 'nobody.token');
  await writeFile(file, `${daemon.tokens.nobody ?? ''}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await closeSecured();
  await removeHome();
});

const talking = [...COMMANDS].filter(([, { options }]) =>
  options.some(({ long }) => long === '--token-file'),
);

it('every command that takes an address takes a token', () => {
  const addressed = [...COMMANDS].filter(([, { options }]) =>
    options.some(({ long }) => long === '--address'),
  );
  expect(talking.map(([name]) => name)).toEqual(addressed.map(([name]) => name));
  expect(talking.length).toBeGreaterThan(25);
});

it('no command takes a token as an argument, which other users would see', () => {
  for (const [, { options }] of COMMANDS) expect(options.map(({ long }) => long)).not.toContain('--token');
});

describe.each(talking.map(([name]) => name))('bedrock %s', (name) => {
  /** Its token allows nothing, so that nothing is done. */
  async function run(address: string, more: readonly string[], token = ''): Promise<string> {
    const args = (USES[name]?.fails?.() ?? []).slice(0, -NOBODY.length);
    const ended: Ended = await runHere([...name.split(' '), ...args, '-a', address, ...more], {
      env: { BEDROCK_TOKEN: token },
    });
    expect(`${ended.stdout}${ended.stderr}`).not.toContain(daemon.tokens.nobody);
    if (ended.status === 0) return 'ok';
    // `doctor` tells what is wrong rather than to fail by it.
    if (ended.stderr === '') return CODES.find(([text]) => ended.stdout.includes(text))?.[1] ?? 'ok';
    return codeOf(ended);
  }

  it('presents a token of a file or of BEDROCK_TOKEN, over both doors', async () => {
    const { url, respUrl } = daemon;
    const known = expect.stringMatching(/^(ok|PERMISSION_DENIED|PROVIDER_NOT_FOUND|NOT_FOUND)$/);
    expect(await run(url, [])).toBe('UNAUTHENTICATED');
    expect(await run(url, ['--token-file', file])).toEqual(known);
    expect(await run(respUrl, [], daemon.tokens.nobody)).toEqual(known);
    // The file is meant if both are there.
    expect(await run(url, ['--token-file', file], 'bedrock_x_y')).toEqual(known);
    expect(await run(url, [], 'bedrock_x_y')).toBe('INVALID_ARGUMENT');
  });
});
