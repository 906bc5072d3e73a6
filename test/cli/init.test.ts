/** `bedrock init`: what it refuses, and what a failure leaves. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stagedIn } from '../../core/cli/staging.js';
import { codeOf, runShell } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-init-'));
});
afterAll(() => rm(home, { recursive: true }));

it.each(['toml', 'TOML', 'yaml', 'yml', 'js'])(
  'refuses a name in .%s, and writes nothing',
  async (extension) => {
    const ended = await runHere(['init', path.join(home, `daemon.${extension}`)]);
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'INVALID_ARGUMENT' });
    expect(ended.stderr).toContain('daemon.json');
    expect(await readdir(home)).toEqual([]);
  },
);

it.each(['daemon', 'daemon.json', 'daemon.JSONC'])('writes %s', async (name) => {
  const ended = await runHere(['init', path.join(home, name)]);
  expect(ended.status).toBe(0);
  expect(await readdir(home)).toEqual([name]);
  await rm(path.join(home, name));
});

it('leaves no part of a configuration where the file cannot be written whole', async () => {
  // No file may grow beyond no bytes at all: as on a full disk, it can be made, and not filled.
  const ended = await runShell(`trap '' XFSZ; ulimit -f 0; bedrock init '${home}/bedrock.json' | cat`);
  expect(codeOf(ended)).toBe('EFBIG');
  expect(await readdir(home)).toEqual([]);
});

it('takes the folders back that it made for a file that cannot be written whole', async () => {
  const ended = await runShell(`trap '' XFSZ; ulimit -f 0; bedrock init '${home}/a/b/bedrock.json'`);
  expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'EFBIG' });
  expect(await readdir(home)).toEqual([]);
});

it.each(['a file', 'a link that leads nowhere'])('leaves %s that is there as it is', async (what) => {
  const file = path.join(home, 'bedrock.json');
  if (what === 'a file') await writeFile(file, 'mine');
  else await symlink(path.join(home, 'nowhere'), file);
  const ended = await runHere(['init', file]);
  expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'INVALID_ARGUMENT' });
  expect(await readdir(home)).toEqual(['bedrock.json']);
  if (what === 'a file') expect(await readFile(file, 'utf8')).toBe('mine');
  await rm(file);
});

it('succeeds beside what a kill has left of another attempt', async () => {
  await writeFile(stagedIn(home), '{');
  const file = path.join(home, 'bedrock.json');
  const ended = await runHere(['init', file]);
  expect(ended.status).toBe(0);
  expect(await readFile(file, 'utf8')).toContain('"providers"');
  expect((await readdir(home)).filter((name) => name.startsWith('.bedrock'))).toHaveLength(1);
  for (const name of await readdir(home)) await rm(path.join(home, name));
});
