/** `bedrock types`: what it refuses, and how it writes a file. (test/package has what it makes.) */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, readlink, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runHere } from '../fixtures/run-here.js';
import { codeOf, run, runShell } from '../fixtures/run-command.js';

let home: string;
let schema: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-types-'));
  schema = path.join(home, 'schema.json');
  await writeFile(schema, '{ "title": "Mine", "type": "object" }');
});
afterAll(() => rm(home, { recursive: true }));

it('names the folder that it was given instead of a schema', async () => {
  const ended = await runHere(['types', home]);
  expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'INVALID_ARGUMENT' });
  expect(ended.stderr).toContain(home);
});

it('replaces the file that a name or a link leads to by a whole one, and leaves nothing beside it', async () => {
  const folder = path.join(home, 'src');
  await mkdir(folder);
  const [file, link] = ['config.ts', 'link.ts'].map((name) => path.join(folder, name)) as [string, string];
  await writeFile(file, 'old');
  await symlink(file, link);
  const before = await stat(file);
  const ended = await run(['types', schema, '-o', link]);
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(await readFile(file, 'utf8')).toContain('interface Mine');
  expect(await readdir(folder)).toEqual(['config.ts', 'link.ts']);
  // Written in place it would be the same one.
  expect((await stat(file)).ino).not.toBe(before.ino);
});

it('makes the file that a link leads to, where there is none yet', async () => {
  const folder = path.join(home, 'made');
  await mkdir(folder);
  const link = path.join(folder, 'link.ts');
  await symlink('config.ts', link);
  expect(await run(['types', schema, '-o', link])).toMatchObject({ status: 0, stderr: '' });
  expect(await readlink(link)).toBe('config.ts');
  expect(await readFile(path.join(folder, 'config.ts'), 'utf8')).toContain('interface Mine');
});

it('goes on in the file that is its standard output, where a name such as /proc/self/fd/1 leads there', async () => {
  const file = path.join(home, 'own.txt');
  const ended = await runShell(
    `{ echo before; bedrock types '${schema}' -o /proc/self/fd/1; echo after; } > '${file}'`,
  );
  expect(ended).toMatchObject({ status: 0, stderr: '' });
  expect(await readFile(file, 'utf8')).toMatch(/^before\n[^]*interface Mine[^]*\nafter\n$/);
});

it('leaves the file as it was where it cannot be written', async () => {
  const ended = await run(['types', schema, '-o', path.join(home, 'nowhere/config.ts')]);
  expect(ended.status).toBe(1);
  expect(codeOf(ended)).toBe('ENOENT');
});
