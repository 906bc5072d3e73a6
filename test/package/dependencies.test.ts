/** Dependencies: what package.json promises of Node.js versions holds for all of them, also for those who install the package. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { OLDEST_NODE, admits } from './engines.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Manifest {
  engines: { node: string };
  overrides?: Record<string, unknown>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

interface Lock {
  packages: Record<string, { dev?: boolean; engines?: { node?: string } }>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(path.join(ROOT, name), 'utf8'));
const manifest = read('package.json') as Manifest;
const { engines, overrides = {} } = manifest;
const production = Object.entries((read('package-lock.json') as Lock).packages).filter(
  ([place, { dev }]) => place !== '' && dev !== true,
);

describe('the oldest Node.js version that the package is for', () => {
  it('is the one that its engines line begins with', () => {
    expect(engines.node).toBe(`>=${OLDEST_NODE.split('.').slice(0, 2).join('.')}`);
  });

  it('is admitted by all that production needs', () => {
    expect(production.length).toBeGreaterThan(50);
    const refused = production.filter(([, { engines: own }]) => !admits(own?.node));
    expect(refused.map(([place, { engines: own }]) => `${place} ${own?.node ?? ''}`)).toEqual([]);
  });
});

it('needs no override for production, as none holds for those who install the package', () => {
  const names = production.map(([place]) => place.slice(place.lastIndexOf('node_modules/') + 13));
  expect(Object.keys(overrides).filter((name) => names.includes(name))).toEqual([]);
});

it('has only dependencies of which CONTRIBUTING.md says what they are for', () => {
  const { dependencies, devDependencies } = manifest;
  const page = readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const named = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  );
  const all = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  expect(all.filter((name) => !named.includes(name))).toEqual([]);
});
