/** The API reference that `npm run docs` makes of the docstrings. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { end, launch } from '../fixtures/run-command.js';

const SCRIPT = path.resolve(import.meta.dirname, '../../scripts/api-docs.js');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-api-docs-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('is made of all entry points, without a warning', async () => {
  await expect(end(launch(process.execPath, [SCRIPT, folder]))).resolves.toMatchObject({ status: 0 });
  expect(existsSync(path.join(folder, 'index.html'))).toBe(true);
  const pages = [
    'functions/core.bootstrap.html',
    'functions/core_conformance.describeTarget.html',
    'interfaces/native.Mapping.html',
  ];
  for (const page of pages) {
    await expect(readFile(path.join(folder, page), 'utf8')).resolves.toContain('<title>');
  }
});
