/** The pages that say where things are in the repository: every file and folder that they name exists, and they name every floor. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { missingFiles, namedFiles } from './named-files.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const ROOMS = [
  'core',
  'backends',
  'providers',
  'dashboard',
  'native',
  'schemas',
  'templates',
  'test',
  'bench',
  'examples',
  'scripts',
];

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const ARCHITECTURE = read('docs/architecture.md');
const CONTRIBUTING = read('CONTRIBUTING.md');

/** Paths of the files below a folder, without packages. Links are not followed: an installed example links to the repository itself. */
function filesBelow(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .flatMap((entry) =>
      entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
    );
}

describe('the reader of named files', () => {
  const files = ['core/pool/header.ts', 'core/resp/key-commands.ts', 'core/client/http/pool.ts'];

  it('finds paths, folders and names of source files, and no other code', () => {
    const page =
      '`core/pool/header.ts`, `core/pool`, `header.ts`, `persist`, `target.write`, `a b/c`, `schemas/`';
    expect(namedFiles(page)).toEqual(['core/pool/header.ts', 'core/pool', 'header.ts', 'schemas/']);
  });

  it.each(['core/pool/header.ts', 'header.ts', 'core/pool', 'client/http', 'core/resp/*-commands.ts'])(
    'knows that %s exists',
    (named) => {
      expect(missingFiles(`\`${named}\``, files)).toEqual([]);
    },
  );

  it.each(['core/pool/headers.ts', 'core/header.ts', 'headers.ts', 'core/pools', 'core/resp/*-command.ts'])(
    'knows that %s does not',
    (named) => {
      expect(missingFiles(`\`${named}\``, files)).toEqual([named]);
    },
  );
});

describe('docs/architecture.md', () => {
  it('names only files and folders that exist', () => {
    const files = [...ROOMS, 'docs'].flatMap((room) => filesBelow(room));
    expect(namedFiles(ARCHITECTURE).length).toBeGreaterThan(50);
    expect(missingFiles(ARCHITECTURE, files)).toEqual([]);
  });

  it('has every folder of core among the floors', () => {
    const floors = namedFiles(
      ARCHITECTURE.slice(ARCHITECTURE.indexOf('## The floors'), ARCHITECTURE.indexOf('## Where')),
    );
    const folders = readdirSync(path.join(ROOT, 'core'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `core/${name}`);
    expect(folders.filter((folder) => !floors.includes(folder))).toEqual([]);
  });

  it('explains no word twice', () => {
    const glossary = ARCHITECTURE.slice(ARCHITECTURE.indexOf('## Glossary'));
    const words = [...glossary.matchAll(/^\| ([a-z][a-z ]*?) +\|/gm)].map(([, word]) => word).slice(1);
    expect(words.length).toBeGreaterThanOrEqual(20);
    expect(words).toEqual([...new Set(words)].toSorted());
  });
});

describe('CONTRIBUTING.md', () => {
  it.each([
    'A door',
    'A capability',
    'An error code',
    "A field of the pool's header",
    'An option of a backend',
  ])('says where to change %s, with files', (what) => {
    const from = CONTRIBUTING.indexOf(`**${what}: `);
    expect(from).toBeGreaterThan(0);
    const end = CONTRIBUTING.indexOf('\n**', from + 1);
    expect(namedFiles(CONTRIBUTING.slice(from, end))).not.toEqual([]);
  });
});
