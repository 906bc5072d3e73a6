/**
 * `npm run release -- VERSION`: makes a release locally, for inspection. It pushes and publishes
 * nothing.
 *
 * VERSION is `patch`, `minor`, `major` or a version such as 1.2.0 or 1.2.0-rc.1, newer than the
 * present one. The steps:
 *
 * 1. Checks: the branch is main and has no changes, CHANGELOG.md lists changes under "Unreleased",
 *    the tag is free, `npm test` passes, the package can be packed.
 * 2. Writes the version into package.json and package-lock.json, and the version and the day into
 *    CHANGELOG.md.
 * 3. Commits, tags (annotated, vVERSION) and packs.
 *
 * `--dry-run` ends after the checks and prints what would be done. `--tested` skips `npm test`, for
 * a commit that has already passed it. A failure leaves branch, tags and files unchanged.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import semver from 'semver';

const KEYWORDS = ['patch', 'minor', 'major'];
const USAGE = 'npm run release -- patch|minor|major|VERSION [--dry-run] [--tested]';
/** The files that a release changes. */
const FILES = ['package.json', 'package-lock.json', 'CHANGELOG.md'];
const UNRELEASED = /^## \[?Unreleased\]?[ \t]*$/m;

class Refused extends Error {}

try {
  release(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

function release(args) {
  const { word, isDryRun, isTested } = optionsOf(args);
  const before = JSON.parse(readFileSync('package.json', 'utf8')).version;
  const version = nextVersion(before, word);
  const tag = `v${version}`;
  checkRepository(tag);
  const changelog = released(readFileSync('CHANGELOG.md', 'utf8'), version);
  if (!isTested) step('npm test', () => execFileSync('npm', ['test'], { stdio: 'inherit' }));
  step('npm pack --dry-run', () =>
    execFileSync('npm', ['pack', '--dry-run'], { stdio: ['ignore', 'ignore', 'pipe'] }),
  );
  if (git('status', '--porcelain') !== '')
    throw new Refused('The checks have changed files: see "git status"');
  if (isDryRun) {
    console.log(`${before} -> ${version}: would change ${FILES.join(', ')}, commit, tag ${tag} and pack.`);
    return;
  }
  const commit = git('rev-parse', 'HEAD');
  let tarball;
  try {
    writeVersion(version);
    writeFileSync('CHANGELOG.md', changelog);
    git('add', ...FILES);
    git('commit', '-q', '-m', `Release ${version}`);
    git('tag', '-a', tag, '-m', `Version ${version}`);
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts'], { encoding: 'utf8' }),
    );
    tarball = packed.filename;
  } catch (error) {
    undo(commit, tag);
    throw new Refused(`The release has failed, and nothing was changed: ${error.message}`);
  }
  console.log(`${version} is committed, tagged ${tag} and packed as ${tarball}. Look at it, then:
  git push origin main ${tag}
  npm publish ${tarball}${semver.prerelease(version) === null ? '' : ' --tag next'}
To take it back: git tag -d ${tag} && git reset --hard ${commit}`);
}

function optionsOf(args) {
  let parsed;
  try {
    const flag = { type: 'boolean', default: false };
    parsed = parseArgs({ args, options: { 'dry-run': flag, tested: flag }, allowPositionals: true });
  } catch (error) {
    throw new Refused(`${error.message}; usage: ${USAGE}`);
  }
  const { positionals, values } = parsed;
  if (positionals.length !== 1) throw new Refused(`usage: ${USAGE}`);
  return { word: positionals[0], isDryRun: values['dry-run'], isTested: values.tested };
}

function nextVersion(before, word) {
  if (KEYWORDS.includes(word)) return semver.inc(before, word);
  if (semver.valid(word) !== word) throw new Refused(`"${word}" is not a version; usage: ${USAGE}`);
  // Before the first release, the version in package.json itself may be released.
  const isFirst = word === before && git('tag', '--list', 'v*') === '';
  if (!isFirst && !semver.gt(word, before)) throw new Refused(`${word} is not newer than ${before}`);
  return word;
}

function checkRepository(tag) {
  const branch = git('branch', '--show-current');
  if (branch !== 'main') throw new Refused(`A release is made on the branch main, not on "${branch}"`);
  if (git('status', '--porcelain') !== '')
    throw new Refused('There are changes that are not committed: see "git status"');
  if (git('tag', '--list', tag) !== '') throw new Refused(`The tag ${tag} already exists`);
}

/** The changelog with the section "Unreleased" turned into that of a version, and an empty one above it. */
function released(text, version) {
  const found = UNRELEASED.exec(text);
  if (found === null) throw new Refused('CHANGELOG.md has no section "## [Unreleased]"');
  const end = found.index + found[0].length;
  const next = /^(## |\[[^\]]+\]: )/m.exec(text.slice(end));
  const section = next === null ? text.slice(end) : text.slice(end, end + next.index);
  if (!/^- /m.test(section)) throw new Refused('CHANGELOG.md lists no change under "Unreleased"');
  const day = new Date().toISOString().slice(0, 10);
  return `${text.slice(0, end)}\n\n## [${version}] - ${day}${text.slice(end)}`;
}

function writeVersion(version) {
  for (const file of ['package.json', 'package-lock.json']) {
    const content = JSON.parse(readFileSync(file, 'utf8'));
    content.version = version;
    if (content.packages?.[''] !== undefined) content.packages[''].version = version;
    writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  }
}

function undo(commit, tag) {
  if (git('tag', '--list', tag) !== '') git('tag', '-d', tag);
  // The tree was clean.
  git('reset', '-q', '--hard', commit);
  const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
  rmSync(path.resolve(`${name}-${tag.slice(1)}.tgz`), { force: true });
}

function step(name, work) {
  try {
    work();
  } catch (error) {
    throw new Refused(`${name} has failed: ${String(error.stderr ?? '') || error.message}`);
  }
}

function git(...args) {
  return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}
