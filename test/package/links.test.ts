/** What the pages link to is there where they are read: in the repository, in the package, and in what `bedrock new` writes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { runHere } from '../fixtures/run-here.js';
import { anchorsOf, brokenLinks, linksOf } from './links.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Files of the package, by their paths in it. */
let packed: Set<string>;
beforeAll(async () => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, maxBuffer: 2 ** 26 });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  packed = new Set(files.map((file) => file.path));
});

function readFrom(folder: string): (file: string) => string {
  return (file) => readFileSync(path.join(folder, file), 'utf8');
}

function isPacked(place: string): boolean {
  const folder = place.replace(/\/?$/, '/');
  return packed.has(place) || [...packed].some((file) => file.startsWith(folder));
}

describe('the reader of links', () => {
  it('finds links and images, and none in code', () => {
    const page = ['[a](b.md) ![c](d.svg#e)', '```md', '[f](g.md)', '```', '[h]: i.md'].join('\n');
    expect(linksOf(page)).toEqual(['b.md', 'd.svg#e', 'i.md']);
  });

  it('makes anchors of headings as GitHub does', () => {
    const page = ['# One `two`: three', '## a_b, c-d', '## a_b, c-d', '```sh', '# no', '```'].join('\n');
    expect([...anchorsOf(page)]).toEqual(['one-two-three', 'a_b-c-d', 'a_b-c-d-1']);
  });

  it.each(['gone.md', '#nowhere', 'page.md#nowhere', 'https://example.org/bedrock-node'])(
    'finds that %s does not exist',
    (link) => {
      const read = (): string => `# Here\n[x](${link}) [y](#here)`;
      expect(brokenLinks('page.md', (file) => file === 'page.md', read)).toEqual([`page.md: ${link}`]);
    },
  );
});

it('every page of the package links to what is in the package', () => {
  const pages = [...packed].filter((file) => file.endsWith('.md'));
  expect(pages.length).toBeGreaterThan(15);
  expect(pages.flatMap((page) => brokenLinks(page, isPacked, readFrom(ROOT)))).toEqual([]);
});

it('every page of the package links to what is in the repository', () => {
  const pages = [...packed].filter((file) => file.endsWith('.md'));
  const exists = (file: string): boolean => existsSync(path.join(ROOT, file));
  expect(pages.flatMap((page) => brokenLinks(page, exists, readFrom(ROOT)))).toEqual([]);
});

describe('what bedrock new writes', () => {
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
