/** What the benchmarks make of their rows: tables of a page, and a picture. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

interface Row {
  section: string;
  name: string;
  unit: string;
  ours: number;
  reference: number | null;
  referenceName: string;
  ratio: number | null;
}

// Plain JavaScript without declarations, hence not by paths that the compiler would follow.
const MARKDOWN: string = '../../bench/markdown.js';
const PLOT: string = '../../bench/plot.js';
const markdown = (await import(MARKDOWN)) as {
  writeTables: (file: string, rows: Row[]) => Promise<void>;
};
const plot = (await import(PLOT)) as { plotOf: (rows: Row[]) => string };

function rowOf(name: string, ours: number, reference: number | null, unit = 'op/s'): Row {
  const ratio = reference === null ? null : ours / reference;
  return { section: 'transport', name, unit, ours, reference, referenceName: 'redis-server', ratio };
}

const ROWS = [
  rowOf('TCP, memory, write 64 B, depth 1', 60_000, 30_000),
  rowOf('TCP, memory, write 64 B, depth 16', 300_000, null),
  rowOf('TCP, memory, write 64 B, depth 32, server CPU', 1.5, null, 'us/op'),
];

const folder = mkdtempSync(path.join(tmpdir(), 'bedrock-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function pageOf(text: string): string {
  const file = path.join(folder, 'page.md');
  writeFileSync(file, text);
  return file;
}

describe('tables of a page', () => {
  test('stand between the marks of their section, and nothing else changes', async () => {
    const file = pageOf(
      'Before\n\n<!-- Figures of transport -->\n\nstale\n\n<!-- End of the figures of transport -->\n\nAfter\n',
    );
    await markdown.writeTables(file, ROWS);
    const page = readFileSync(file, 'utf8');
    expect(page).toMatch(/^Before\n\n<!-- Figures/);
    expect(page).toMatch(/figures of transport -->\n\nAfter\n$/);
    expect(page).not.toContain('stale');
    expect(page).toMatch(/^\| memory, write 64 B +\| 60.00 \(2.00\) \| +300 \|$/m);
    expect(page).toMatch(/^\| memory, write 64 B +\| 1.50 \| +absent \|$/m);
  });

  test('are refused by a page that has no place for them', async () => {
    const text = '<!-- End of the figures of transport -->\n';
    const file = pageOf(text);
    await expect(markdown.writeTables(file, ROWS)).rejects.toThrow();
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});

test('the picture shows what was measured, and leaves out what was not', () => {
  const picture = plot.plotOf(ROWS);
  expect(picture.match(/<circle class="ours"/g)).toHaveLength(2);
  expect(picture.match(/<circle class="redis"/g)).toHaveLength(1);
  expect(picture).not.toContain('NaN');
});
