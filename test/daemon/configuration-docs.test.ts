/** The reference in docs/configuration.md and the schemas of the configuration say the same. */
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { end, launch, type Ended } from '../fixtures/run-command.js';

interface Schema {
  description?: string;
  $ref?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
  minimum?: number;
  maximum?: number;
  'x-allowed'?: string;
  'x-ignored'?: string;
}

const ROOT = path.resolve(import.meta.dirname, '../..');
const SCRIPT = path.join(ROOT, 'scripts/docs.js');
const PAGE = 'docs/configuration.md';

function docs(...args: string[]): Promise<Ended> {
  return end(launch(process.execPath, [SCRIPT, ...args]));
}

async function readSchema(root: string, name: string): Promise<Schema> {
  return JSON.parse(await readFile(path.join(root, 'schemas', `${name}.schema.json`), 'utf8')) as Schema;
}

/** Sections of the reference by their heading. */
async function sectionsOf(root: string): Promise<Map<string, string>> {
  const page = await readFile(path.join(root, PAGE), 'utf8');
  const [, ...sections] = page.split(/^### /m);
  return new Map(
    sections.map((text) => {
      const endOfLine = text.indexOf('\n');
      return [text.slice(0, endOfLine), text.slice(endOfLine)];
    }),
  );
}

/** Calls `visit` on every key of a schema with the place of the object that it stands in. What is ignored is not entered. */
function walk(
  schema: Schema,
  visit: (place: string, key: string, property: Schema) => void,
  { root = schema, place = '' } = {},
): void {
  for (const [key, own] of Object.entries(schema.properties ?? {})) {
    const property = { ...follow(own, root), ...own };
    visit(place, key, property);
    if (property['x-ignored'] !== undefined) continue;
    const inner = place === '' ? key : `${place}.${key}`;
    walk(property, visit, { root, place: inner });
    if (property.items !== undefined)
      walk(follow(property.items, root), visit, { root, place: `${inner}[N]` });
  }
}

function follow(schema: Schema, root: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const { $defs } = root as { $defs?: Record<string, Schema> };
  return $defs?.[schema.$ref.replace('#/$defs/', '')] ?? {};
}

/** Whether the section of that heading is about the object at `place` in the schema `name`. */
function isAbout(heading: string, name: string, place: string): boolean {
  if (name === 'bedrock' && place === '') return heading === 'The whole file';
  const [, type, places = ''] =
    name === 'bedrock' ? [heading, name, heading] : (/^[A-Z][a-z ]+ `(.+?)`(?:: (.+))?$/.exec(heading) ?? []);
  if (type !== name) return false;
  return place === '' ? places === '' : places.split(', ').includes(`\`${place}\``);
}

/** The cells of a key's row, or nothing. */
function rowOf(section: string, key: string): string[] | undefined {
  const line = section.split('\n').find((one) => one.startsWith(`| \`${key}\` `));
  return line?.split('|').map((cell) => cell.trim());
}

describe('docs/configuration.md', () => {
  it('is what the schemas say', async () => {
    expect(await docs('--check')).toMatchObject({ status: 0, stderr: '' });
  });

  it('has every key of every schema in the section of its object, with its default and its limits', async () => {
    const sections = await sectionsOf(ROOT);
    const names = (await readdir(path.join(ROOT, 'schemas')))
      .filter((name) => name.endsWith('.schema.json'))
      .map((name) => name.replace('.schema.json', ''));
    let count = 0;
    for (const name of names) {
      walk(await readSchema(ROOT, name), (place, key, property) => {
        count++;
        const where = `${name} ${place} ${key}`;
        const [, section = ''] = [...sections].find(([heading]) => isAbout(heading, name, place)) ?? [];
        if (property['x-ignored'] !== undefined) {
          // Each entry of a list, with the lines that it goes on in.
          const lists = section.split('\n- ').slice(1);
          expect([where, lists.some((entry) => entry.includes(`\`${key}\``))]).toEqual([where, true]);
          return;
        }
        const row = rowOf(section, key);
        expect([where, row]).toEqual([where, expect.any(Array)]);
        const [, , , fallback, meaning] = row ?? [];
        if (property.default !== undefined)
          expect([where, fallback]).toEqual([
            where,
            expect.stringContaining(JSON.stringify(property.default)),
          ]);
        // What a value may be stands there in words then.
        if (property['x-allowed'] !== undefined) return;
        for (const limit of [property.minimum, property.maximum]) {
          if (limit === undefined) continue;
          const text = limit === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : String(limit);
          expect([where, meaning]).toEqual([where, expect.stringContaining(text)]);
        }
      });
    }
    expect(count).toBeGreaterThan(90);
  });

  it('has no link that leads nowhere, or to one of two headings', async () => {
    const page = await readFile(path.join(ROOT, PAGE), 'utf8');
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
    const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, link]) => link);
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect([link, anchors.filter((one) => one === link).length]).toEqual([link, 1]);
  });
});

describe('npm run docs', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'bedrock-docs-'));
    for (const name of ['schemas', 'docs'])
      await cp(path.join(ROOT, name), path.join(root, name), { recursive: true });
    for (const kind of ['backends', 'providers'])
      for (const name of await readdir(path.join(ROOT, kind)))
        await mkdir(path.join(root, kind, name), { recursive: true });
  });
  afterEach(() => rm(root, { recursive: true }));

  async function write(name: string, schema: object): Promise<void> {
    await writeFile(path.join(root, 'schemas', `${name}.schema.json`), JSON.stringify(schema));
  }

  it('brings a page up to date that a changed schema made stale', async () => {
    expect(await docs('--check', root)).toMatchObject({ status: 0 });
    const schema = await readSchema(root, 'memory');
    await write('memory', { ...schema, description: 'Other words.' });
    const page = await readFile(path.join(root, PAGE), 'utf8');

    expect(await docs('--check', root)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('npm run docs'),
    });
    expect(await readFile(path.join(root, PAGE), 'utf8')).toBe(page);

    expect(await docs(root)).toMatchObject({ status: 0 });
    expect(await readFile(path.join(root, PAGE), 'utf8')).not.toBe(page);
    expect(await docs('--check', root)).toMatchObject({ status: 0, stderr: '' });
  });

  it('shows a new backend by itself, quantities of bytes in larger units too', async () => {
    await mkdir(path.join(root, 'backends/tape'));
    await write('tape', {
      description: 'Settings of the tape backend.',
      type: 'object',
      required: ['device'],
      properties: {
        device: { type: 'string', minLength: 1, description: 'A | B.' },
        block_bytes: { type: 'integer', minimum: 512, default: 1024 ** 4, description: 'Size of a block.' },
        reels: {
          type: 'array',
          description: 'Reels.',
          items: {
            type: 'object',
            description: 'One reel.',
            properties: { label: { enum: ['a', 'b'], description: 'Its label.' } },
          },
        },
        speed: { type: 'number', description: 'Speed.', 'x-ignored': 'tapes choose it' },
      },
    });
    expect(await docs(root)).toMatchObject({ status: 0 });
    const sections = await sectionsOf(root);
    const tape = sections.get('Backend `tape`') ?? '';
    expect(tape).toContain('of a target whose `type` is `tape`');
    expect(tape).toContain('- tapes choose it: `speed`');
    expect(tape).toMatch(/\| `device` +\| string +\| required +\| A `\\\|` B\. Not empty\. +\|/);
    expect(rowOf(tape, 'block_bytes')?.slice(2, 5)).toEqual([
      'integer',
      '`1099511627776` (1 TiB)',
      'Size of a block. At least 512.',
    ]);
    expect(rowOf(tape, 'reels')?.[2]).toBe('array of [objects](#backend-tape-reelsn)');
    const reels = sections.get('Backend `tape`: `reels[N]`') ?? '';
    expect(rowOf(reels, 'label')?.[4]).toBe('Its label. One of `a`, `b`.');
  });

  it('refuses a key without a description, and a page without its marks', async () => {
    await write('memory', { description: 'Memory.', properties: { secret: { type: 'string' } } });
    expect(await docs(root)).toMatchObject({ status: 1, stderr: expect.stringContaining('secret') });
    await writeFile(path.join(root, PAGE), '# Configuration\n');
    expect(await docs(root)).toMatchObject({ status: 1, stderr: expect.stringContaining('marks') });
    expect(await readFile(path.join(root, PAGE), 'utf8')).toBe('# Configuration\n');
  });
});
