import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-token-'));
  file = path.join(folder, 'tokens.json');
});
afterEach(() => rm(folder, { recursive: true }));

it('makes, lists and revokes a token', async () => {
  const made = await runHere([
    'token',
    'new',
    'app',
    '-g',
    'write:orders:a:b/',
    '-g',
    'read',
    '-e',
    '2d',
    '-f',
    file,
  ]);
  expect(made.stdout).toMatch(/^bedrock_app_[\w-]{43}\n$/);
  const listed = await runHere(['token', 'ls', '-f', file]);
  expect(listed.stdout).toContain('write:orders:a:b/ read');
  const { stdout } = await runHere(['token', 'ls', '--json', '-f', file]);
  expect(JSON.parse(stdout)).toMatchObject([
    { id: 'app', grants: [{ scope: 'write', provider: 'orders', prefix: 'a:b/' }, { scope: 'read' }] },
  ]);
  expect((await runHere(['token', 'revoke', 'app', '-f', file])).status).toBe(0);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ tokens: [] });
});

it.each([
  [['token', 'new', 'a_b', '-g', 'read'], 2],
  [['token', 'new', 'app'], 2],
  [['token', 'new', 'app', '-g', 'all'], 2],
  [['token', 'new', 'app', '-g', 'admin:*:x'], 2],
  [['token', 'new', 'app', '-g', 'read', '-e', '2001-01-01'], 2],
  [['token', 'new', 'app', '-g', 'read', '-e', 'soon'], 2],
  [['token', 'ls'], 2],
  [['token', 'revoke', 'app'], 1],
])('refuses %j', async (args, status) => {
  const ended = await runHere([...args, '-f', file]);
  expect(ended.status).toBe(status);
  expect(codeOf(ended)).toMatch(/^(INVALID_ARGUMENT|CONFIG_INVALID|NOT_FOUND)$/);
});

it('does not replace a token', async () => {
  await runHere(['token', 'new', 'app', '-g', 'read', '-f', file]);
  const before = await readFile(file, 'utf8');
  expect((await runHere(['token', 'new', 'app', '-g', 'admin', '-f', file])).status).toBe(2);
  expect(await readFile(file, 'utf8')).toBe(before);
});
