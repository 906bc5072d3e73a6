/** What `bedrock new` makes appears when it is whole, and an attempt that was broken off is in the way of none. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { stagedIn } from '../../core/cli/staging.js';
import { writeTemplates } from '../../core/cli/templates.js';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-new-'));
});
afterEach(() => rm(home, { recursive: true }));

const never = new AbortController().signal;

/** Those of a folder, hidden ones as well. */
async function entriesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).toSorted();
}

it('nothing has the name before all is there', async () => {
  const folder = path.join(home, 'a', 'b');
  let seen: string[] = [];
  const finish = async (staged: string): Promise<void> => {
    seen = await readdir(path.dirname(staged));
    expect(await readdir(staged)).toContain('package.json');
  };
  await writeTemplates(['backend'], folder, (text) => text, finish, never);
  expect(seen).toEqual([expect.stringMatching(/^\.bedrock-/)]);
  expect(await readdir(folder)).toContain('package.json');
  expect(await readdir(path.dirname(folder))).toEqual(['b']);
});

it('a folder that is there and empty is filled, and stays the same folder', async () => {
  const folder = path.join(home, 'there');
  await mkdir(folder);
  const ended = await runHere(['new', 'backend', 'my-store', '-d', folder]);
  expect(ended.status).toBe(0);
  expect(await entriesOf(folder)).toEqual(expect.arrayContaining(['.gitignore', 'package.json']));
  expect((await entriesOf(folder)).filter((name) => name.startsWith('.bedrock'))).toEqual([]);
});

it.each([true, false])(
  'what a signal breaks off leaves nothing (the folder was there: %s)',
  async (isThere) => {
    const folder = path.join(home, 'x');
    if (isThere) await mkdir(folder);
    const ending = new AbortController();
    const finish = (): Promise<void> => {
      ending.abort();
      return Promise.resolve();
    };
    const writing = writeTemplates(['backend'], folder, (text) => text, finish, ending.signal);
    await expect(writing).rejects.toMatchObject({ name: 'AbortError' });
    expect(await entriesOf(home)).toEqual(isThere ? ['x'] : []);
    if (isThere) expect(await entriesOf(folder)).toEqual([]);
  },
);

it('what a kill left is in the way of no further attempt, and is removed where it lies in the folder', async () => {
  const folder = path.join(home, 'x');
  await mkdir(stagedIn(folder), { recursive: true });
  await mkdir(stagedIn(home));
  expect((await runHere(['new', 'provider', 'my-audit', '-d', folder])).status).toBe(0);
  expect((await entriesOf(folder)).filter((name) => name.startsWith('.bedrock'))).toEqual([]);
});

it('a folder with anything else in it is left as it is', async () => {
  await writeFile(path.join(home, '.mine'), '');
  const ended = await runHere(['new', 'backend', 'my-store', '-d', home]);
  expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'INVALID_ARGUMENT' });
  expect(await entriesOf(home)).toEqual(['.mine']);
});
