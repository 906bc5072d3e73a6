/** What the pages link to is there where they are read: in the repository, in the package, and in what `bedrock new` writes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runHere } from '../fixtures/run-here.js';
import { brokenLinks } from './links.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

function readFrom(folder: string): (file: string) => string {
  return (file) => readFileSync(path.join(folder, file), 'utf8');
}

/** @param packageFolder gives where the package is, when the tests run */
export function describeLinks(packageFolder: () => string): void {
  const isPacked = (place: string): boolean => existsSync(path.join(packageFolder(), place));
  const pages = (): string[] =>
    readdirSync(packageFolder(), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.md'),
    );

  it('of the package links to what is in the package', () => {
    expect(pages().length).toBeGreaterThan(15);
    expect(pages().flatMap((page) => brokenLinks(page, isPacked, readFrom(ROOT)))).toEqual([]);
  });

  it('of the package links to what is in the repository', () => {
    const exists = (file: string): boolean => existsSync(path.join(ROOT, file));
    expect(pages().flatMap((page) => brokenLinks(page, exists, readFrom(ROOT)))).toEqual([]);
  });

  describe('that bedrock new writes', () => {
    let home: string;
    beforeAll(async () => {
      home = await mkdtemp(path.join(tmpdir(), 'bedrock-links-'));
    });
    afterAll(() => rm(home, { recursive: true }));

    it.each([
      ['a backend', ['backend', 'one']],
      ['a persistent backend', ['backend', 'two', '--persistent']],
      ['a provider', ['provider', 'three']],
    ])('links to and names only what exists: %s', async (_, args) => {
      const folder = path.join(home, args[1] ?? '');
      const ended = await runHere(['new', ...args, '--directory', folder]);
      expect(ended.status).toBe(0);
      const files = await readdir(folder, { recursive: true });
      const read = readFrom(folder);
      const exists = (file: string): boolean => files.includes(file);
      const pages = files.filter((file) => file.endsWith('.md'));
      expect(pages).toEqual(['README.md']);
      for (const page of pages) {
        expect(brokenLinks(page, exists, read)).toEqual([]);
        const named = [...read(page).matchAll(/node_modules\/bedrock-node\/([\w./-]*\w)/g)].map(
          ([, file]) => file,
        );
        expect(named.filter((file) => !isPacked(file ?? ''))).toEqual([]);
        const own = [...read(page).matchAll(/`((?:src\/)?[\w-]+\.(?:ts|json))`/g)].map(([, file]) => file);
        expect(own.filter((file) => !exists(file ?? ''))).toEqual([]);
        expect(own.length).toBeGreaterThan(3);
      }
    });
  });
}
