/** What a user of the package has: a tarball without anything else, types, a configuration to begin with, packages of their own. */
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'jsonc-parser';
import { namesFrom } from '../../core/cli/templates.js';
import { killAll } from '../fixtures/bedrock-process.js';
import { runHere } from '../fixtures/run-here.js';
import { describeLinks } from './describe-links.js';
import { InstalledProject } from './installed.js';
import { itHasTheTypesOfItsSchema, launch, makePackages, PACKAGES } from './new-packages.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

let project: InstalledProject;
beforeAll(async () => {
  project = await InstalledProject.make();
});
afterAll(async () => {
  await killAll();
  await project.remove();
});

describe('the tarball', () => {
  it('holds what is used, and nothing of how it is developed', async () => {
    const files = await readdir(project.packageFolder, { recursive: true, withFileTypes: true });
    const names = files
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(project.packageFolder, path.join(entry.parentPath, entry.name)));
    const allowed = [
      /^dist\/(core|backends|providers|native|schemas)\/.*\.(js|d\.ts|js\.map)$/,
      /^dist\/schemas\/\w+\.schema\.json$/,
      /^dist\/schemas\/generated\/validators\.cjs$/,
      /^schemas\/\w+\.schema\.json$/,
      /^templates\/[a-z-]+\/(src\/)?[\w.-]+$/,
      /^dist\/dashboard\/[a-z]+\.(html|css|svg|js)$/,
      /^docs\/[a-z-]+\.(md|svg)$/,
      /^docs\/dashboard\/[a-z-]+\.png$/,
      /^native\/src\/[\w-]+\.(cc|h)$/,
      /^backends\/rados\/native\/([\w-]+\.(cc|h)|CMakeLists\.txt|package\.json)$/,
      /^scripts\/(native|run)\.js$/,
      /^examples\/[a-z-]+\/(test\/)?[a-z.-]+\.(js|json|yml)$/,
      /^examples\/checkpoint\/(c|python)\/heat\.(c|py)$/,
      /^deploy\/(docker|kubernetes)\/(Dockerfile|[a-z]+\.(json|yaml))$/,
      /^examples\/[a-z-]+\/README\.md$/,
      /^(CHANGELOG|CONTRIBUTING|README|SECURITY)\.md$/,
      /^(CMakeLists\.txt|LICENSE|bedrock\.json|package\.json)$/,
    ];
    // Of these there are as many as were built before.
    const binary = /^prebuilds\/linux-(x64|arm64)\/bedrock-node\.(glibc|musl)\.node$/;
    expect(names.filter((name) => ![...allowed, binary].some((pattern) => pattern.test(name)))).toEqual([]);
    for (const pattern of allowed) expect(names.some((name) => pattern.test(name))).toBe(true);
  });

  it('has source maps that carry what they point to', async () => {
    const map = JSON.parse(
      await readFile(path.join(project.packageFolder, 'dist/core/targets/table-target.js.map'), 'utf8'),
    ) as { sources: string[]; sourcesContent?: string[] };
    const source = await readFile(path.join(ROOT, 'core/targets/table-target.ts'), 'utf8');
    expect(map.sourcesContent).toEqual([source]);
  });
});

describe('a page', () => {
  describeLinks(() => project.packageFolder);
});

describe('bedrock init', () => {
  it('writes a configuration that names its schema, and with which a daemon runs', async () => {
    await expect(project.bedrock(['init'])).resolves.toMatchObject({ status: 0 });
    const text = await readFile(path.join(project.folder, 'bedrock.json'), 'utf8');
    const { $schema } = parse(text) as { $schema: string };
    expect($schema).toBe('./node_modules/bedrock-node/schemas/bedrock.schema.json');
    expect(existsSync(path.join(project.folder, $schema))).toBe(true);
    expect(await launch(project, project.folder)).toContain('ready: 2 of 2 providers are up');
    expect(existsSync(path.join(project.folder, 'data/store.pool'))).toBe(true);
  });

  it('leaves a file that is there as it is', async () => {
    await writeFile(path.join(project.folder, 'mine.json'), '{}');
    const { status, stderr } = await runHere(['init', 'mine.json'], { cwd: project.folder });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error INVALID_ARGUMENT: /);
    await expect(readFile(path.join(project.folder, 'mine.json'), 'utf8')).resolves.toBe('{}');
  });

  it('names the schema from where the file is', async () => {
    await expect(project.bedrock(['init', 'conf/daemon.json'])).resolves.toMatchObject({ status: 0 });
    const file = path.join(project.folder, 'conf/daemon.json');
    const { $schema } = parse(await readFile(file, 'utf8')) as { $schema: string };
    expect(existsSync(path.resolve(path.dirname(file), $schema))).toBe(true);
  });
});

describe('bedrock new', () => {
  beforeAll(() => makePackages(project, PACKAGES, (args) => runHere(args, { cwd: project.folder })));
  // The long test has the others, made by the package's own command, and that they work, for which they have to be compiled.
  itHasTheTypesOfItsSchema(() => project, PACKAGES.slice(-1));

  it.each(PACKAGES)('leaves no name of the template in a %s', async (_what, _args, name) => {
    const folder = path.join(project.folder, name);
    const files = (await readdir(folder, { recursive: true })).filter(
      (file) => !/node_modules|dist/.test(file),
    );
    expect(files.filter((file) => /sample|\/_/i.test(file))).toEqual([]);
    for (const file of files.filter((each) => /\.(ts|json|md)$/.test(each))) {
      expect([file, await readFile(path.join(folder, file), 'utf8')]).not.toEqual([
        file,
        expect.stringMatching(/sample/i),
      ]);
    }
  });

  it.each(['Upper', '../outside', 'bedrock-backend-', '7store', 'a b', '', 'a'.repeat(215)])(
    'refuses the name "%s"',
    (name) => {
      expect(() => namesFrom(name)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  it('refuses a folder that has something in it', async () => {
    const args = ['new', 'provider', 'bedrock-backend-notes'];
    const { status, stderr } = await runHere(args, { cwd: project.folder });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error INVALID_ARGUMENT: /);
  });
});

describe('bedrock types', () => {
  it('refuses what is no JSON Schema', async () => {
    await writeFile(path.join(project.folder, 'wrong.json'), '{ "type": "objekt" }');
    const { status, stderr } = await runHere(['types', 'wrong.json'], { cwd: project.folder });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error CONFIG_INVALID: wrong\.json /);
    // Each place once, whatever else it could have been.
    expect(stderr.match(/\btype must/g)).toHaveLength(1);
  });

  it('says what a schema is where a file holds something else', async () => {
    await writeFile(path.join(project.folder, 'list.json'), '[1]');
    const { status, stderr } = await runHere(['types', 'list.json'], { cwd: project.folder });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error CONFIG_INVALID: list\.json .*an object\n$/);
  });

  it('says what to install where its tool is not', async () => {
    await writeFile(path.join(project.folder, 'right.json'), '{ "type": "object" }');
    const { status, output } = await project.bedrock(['types', 'right.json']);
    expect(status).toBe(2);
    expect(output).toMatch(/^error LIBRARY_LOAD_FAILED: .*npm install --save-dev json-schema-to-typescript/);
  });
});
