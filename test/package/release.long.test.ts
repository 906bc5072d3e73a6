/** `npm run release`, in a small repository of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const SCRIPT = path.resolve(import.meta.dirname, '../../scripts/release.js');
const CHANGELOG = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-release-'));
  const manifest = { name: 'sample', version: '0.1.0', scripts: { test: 'node test.js' } };
  const lock = {
    name: 'sample',
    version: '0.1.0',
    lockfileVersion: 3,
    packages: { '': { version: '0.1.0' } },
  };
  await write('package.json', JSON.stringify(manifest));
  await write('package-lock.json', JSON.stringify(lock));
  await write('CHANGELOG.md', CHANGELOG);
  await write('test.js', '');
  await write('.gitignore', '*.tgz\n');
  git('init', '-q', '-b', 'main');
  git('config', 'user.name', 'Somebody');
  git('config', 'user.email', 'somebody@example.org');
  commit();
});
afterEach(() => rm(folder, { recursive: true }));

const write = (name: string, text: string): Promise<void> => writeFile(path.join(folder, name), text);
const read = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8');
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' }).trim();
const release = (...args: string[]): number | null =>
  spawnSync(process.execPath, [SCRIPT, ...args], { cwd: folder, stdio: 'ignore' }).status;
/** Everything that a release changes. */
const state = (): string[] => [
  git('rev-parse', 'HEAD'),
  git('tag'),
  git('status', '--porcelain', '--ignored'),
];

function commit(): void {
  git('add', '-A');
  git('commit', '-q', '-m', 'Change a thing');
}

it('commits the version, tags it and packs it', async () => {
  expect(release('minor')).toBe(0);
  expect(JSON.parse(await read('package.json'))).toMatchObject({ version: '0.2.0' });
  expect(JSON.parse(await read('package-lock.json'))).toMatchObject({
    version: '0.2.0',
    packages: { '': { version: '0.2.0' } },
  });
  expect(await read('CHANGELOG.md')).toMatch(
    /## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d{2}-\d{2}\n\n### Added\n\n- A thing\.\n$/,
  );
  expect(git('cat-file', '-t', 'v0.2.0')).toBe('tag');
  expect(git('rev-parse', 'v0.2.0^{commit}')).toBe(git('rev-parse', 'HEAD'));
  expect(git('status', '--porcelain')).toBe('');
  expect(existsSync(path.join(folder, 'sample-0.2.0.tgz'))).toBe(true);
});

it('takes the version of a package that was never released', () => {
  expect(release('0.1.0', '--tested')).toBe(0);
  expect(git('tag')).toBe('v0.1.0');
});

it('changes nothing in a dry run', () => {
  const before = state();
  expect(release('1.0.0-rc.1', '--dry-run')).toBe(0);
  expect(state()).toEqual(before);
});

it('leaves everything as it was if the commit is refused', async () => {
  await writeFile(path.join(folder, '.git/hooks/pre-commit'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  const before = state();
  expect(release('patch', '--tested')).toBe(1);
  expect(state()).toEqual(before);
});

it('leaves everything as it was if packing fails after the tag', async () => {
  // npm of a folder of its own, which packs only for show.
  await writeFile(
    path.join(folder, '.git/npm'),
    '#!/bin/sh\ncase "$*" in *--dry-run*) exit 0;; *) exit 1;; esac\n',
    { mode: 0o755 },
  );
  const before = state();
  const env = { ...process.env, PATH: `${path.join(folder, '.git')}:${process.env.PATH ?? ''}` };
  const { status } = spawnSync(process.execPath, [SCRIPT, 'patch', '--tested'], { cwd: folder, env });
  expect(status).toBe(1);
  expect(state()).toEqual(before);
});

describe('it refuses, and changes nothing,', () => {
  it.each<[string, string[], () => unknown]>([
    ['a version that is no newer', ['0.0.9'], () => undefined],
    ['what is no version', ['next'], () => undefined],
    ['an option that it does not know', ['patch', '--force'], () => undefined],
    ['no version', [], () => undefined],
    ['a changed tree', ['patch'], () => write('test.js', '// changed')],
    ['another branch', ['patch'], () => git('switch', '-q', '-c', 'other')],
    ['a version that is tagged', ['patch'], () => git('tag', 'v0.1.1')],
    [
      'a changelog without changes',
      ['patch'],
      async () => {
        await write(
          'CHANGELOG.md',
          CHANGELOG.replace('- A thing.\n', '').replace('### Added', '## [0.1.0]\n\n- Old.'),
        );
        commit();
      },
    ],
    [
      'tests that fail',
      ['patch'],
      async () => {
        await write('test.js', 'process.exit(1)');
        commit();
      },
    ],
  ])('%s', async (_title, args, prepare) => {
    await prepare();
    const before = state();
    expect(release(...args)).toBe(1);
    expect(state()).toEqual(before);
  });
});
