/** What a user of the package has: a tarball without anything else, types, a configuration to begin with, packages of their own. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'jsonc-parser';
import { namesFrom } from '../../core/cli/templates.js';
import { killAll, launchBedrock } from '../fixtures/bedrock-process.js';
import { InstalledProject } from './installed.js';

const MINUTES = 60_000;
const ROOT = path.resolve(import.meta.dirname, '../..');

let project: InstalledProject;
beforeAll(async () => {
  project = await InstalledProject.make();
}, MINUTES);
afterAll(async () => {
  await killAll();
  await project.remove();
});

/** Launches a daemon with the package's command, and stops it when it is ready. @returns its log */
async function launch(folder: string): Promise<string> {
  const main = path.join(project.packageFolder, 'dist/core/cli/main.js');
  const free = ['http://127.0.0.1:0', '--resp-address', '127.0.0.1:0'];
  const daemon = launchBedrock(main, ['start', ...free, '-c', 'bedrock.json'], { cwd: folder });
  await daemon.address();
  daemon.signal('SIGTERM');
  const { status, stdout, stderr } = await daemon.exit;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

describe('the tarball', () => {
  it('holds what is used, and nothing of how it is developed', async () => {
    const files = await readdir(project.packageFolder, { recursive: true, withFileTypes: true });
    const names = files
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(project.packageFolder, path.join(entry.parentPath, entry.name)));
    const allowed = [
      /^dist\/(core|backends|native|schemas)\/.*\.(js|d\.ts|js\.map)$/,
      /^dist\/schemas\/\w+\.schema\.json$/,
      /^schemas\/\w+\.schema\.json$/,
      /^templates\/[a-z-]+\/(src\/)?[\w.-]+$/,
      /^docs\/[a-z-]+\.(md|svg)$/,
      /^native\/src\/[\w-]+\.(cc|h)$/,
      /^scripts\/(native|run)\.js$/,
      /^(CHANGELOG\.md|CMakeLists\.txt|LICENSE|README\.md|bedrock\.json|package\.json)$/,
    ];
    expect(names.filter((name) => !allowed.some((pattern) => pattern.test(name)))).toEqual([]);
    for (const pattern of allowed) expect(names.some((name) => pattern.test(name))).toBe(true);
  });

  it('has source maps that carry what they point to', async () => {
    const map = JSON.parse(
      await readFile(path.join(project.packageFolder, 'dist/core/target/table-target.js.map'), 'utf8'),
    ) as { sources: string[]; sourcesContent?: string[] };
    const source = await readFile(path.join(ROOT, 'core/target/table-target.ts'), 'utf8');
    expect(map.sourcesContent).toEqual([source]);
  });

  it.each([
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ])(
    'has types that hold under tsc --strict with the resolution of %s, without leaving libraries out',
    async (moduleResolution, module) => {
      const folder = path.join(project.folder, `consumer-${moduleResolution}`);
      await mkdir(folder);
      const source = `
        import { RegionId, TableTarget, bootstrap, connect, defineBackend, defineProvider } from 'bedrock-node';
        import type { BackendContext, Daemon, Provider, Target } from 'bedrock-node';
        import { describeTarget, makeTarget, type TargetFactory } from 'bedrock-node/conformance';
        import { mapFile } from 'bedrock-node/native';
        const daemon: Daemon = await bootstrap({ providers: [] }, { listen: false });
        const target: Target = daemon.target('store');
        const id: RegionId = await target.create(8);
        const bytes: Uint8Array = await target.read(id, 0, 8);
        // @ts-expect-error a size is a number
        await target.create('8');
        // @ts-expect-error there is no such method
        await target.truncate(id);
        export default defineBackend<{ max_bytes: number }>({
          apiVersion: 1,
          type: 'mine',
          schema: {},
          capabilities: target.capabilities,
          // @ts-expect-error the settings have no such key
          create: (config, context: BackendContext) => makeMine(config.least_bytes, context),
        });
        declare function makeMine(bytes: number, context: BackendContext): Target;
        export { TableTarget, connect, defineProvider, describeTarget, makeTarget, mapFile, bytes };
        export type All = [Provider, TargetFactory];
      `;
      await writeFile(path.join(folder, 'index.ts'), source);
      const compilerOptions = {
        ...{ module, moduleResolution, strict: true, noEmit: true, target: 'es2023', lib: ['es2023'] },
        ...{ types: ['node'], typeRoots: [path.join(ROOT, 'node_modules/@types')], skipLibCheck: false },
      };
      await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
      await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
      const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
      await expect(project.run(process.execPath, [tsc, '-p', folder])).resolves.toEqual({
        status: 0,
        output: '',
      });
    },
    MINUTES,
  );
});

describe('bedrock init', () => {
  it(
    'writes a configuration that names its schema, and with which a daemon runs',
    async () => {
      await expect(project.bedrock(['init'])).resolves.toMatchObject({ status: 0 });
      const text = await readFile(path.join(project.folder, 'bedrock.json'), 'utf8');
      const { $schema } = parse(text) as { $schema: string };
      expect($schema).toBe('./node_modules/bedrock-node/schemas/bedrock.schema.json');
      expect(existsSync(path.join(project.folder, $schema))).toBe(true);
      expect(await launch(project.folder)).toContain('ready: 2 of 2 providers are up');
      expect(existsSync(path.join(project.folder, 'data/store.pool'))).toBe(true);
    },
    MINUTES,
  );

  it('leaves a file that is there as it is', async () => {
    await writeFile(path.join(project.folder, 'mine.json'), '{}');
    const { status, output } = await project.bedrock(['init', 'mine.json']);
    expect(status).toBe(1);
    expect(output).toMatch(/^error INVALID_ARGUMENT: /);
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
  /** What is made, and the name of the file that is the heart of it. */
  const PACKAGES: [what: string, args: string[], name: string, source: string][] = [
    ['backend', ['backend', 'bedrock-backend-notes'], 'bedrock-backend-notes', 'notes-target.ts'],
    ['persistent backend', ['backend', '@acme/my-store', '--persistent'], 'my-store', 'my-store-target.ts'],
    ['provider', ['provider', 'bedrock-provider-audit'], 'bedrock-provider-audit', 'audit-provider.ts'],
  ];
  const tested = new Map<string, Promise<{ status: number; output: string }>>();

  beforeAll(async () => {
    for (const [, args, name] of PACKAGES) {
      const { status, output } = await project.bedrock(['new', ...args]);
      if (status !== 0) throw new Error(output);
      const folder = path.join(project.folder, name);
      await project.linkDevelopment(folder);
      // All at once: most of it is waiting for compilers and disks.
      tested.set(name, project.run('npm', ['test'], { cwd: folder }));
    }
  }, MINUTES);

  it.each(PACKAGES)(
    'makes a %s whose tests pass as they are, under node:test',
    async (_what, _args, name) => {
      const { status, output } = (await tested.get(name)) ?? { status: -1, output: '' };
      expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
      // Node's runner reports as TAP, or after a sign of its own.
      expect(output).toMatch(/^. fail 0\n. cancelled 0\n. skipped 0$/m);
    },
    3 * MINUTES,
  );

  it.each(PACKAGES)(
    'makes a %s that a daemon runs with',
    async (_what, _args, name) => {
      await tested.get(name);
      expect(await launch(path.join(project.folder, name))).toMatch(
        /ready: (1 of 1|2 of 2) providers are up/,
      );
    },
    3 * MINUTES,
  );

  it.each(PACKAGES)('makes a %s with the types that its schema has', async (_what, _args, name, source) => {
    const folder = path.join(project.folder, name);
    expect(existsSync(path.join(folder, 'src', source))).toBe(true);
    const { status, output } = await project.bedrock(['types', 'schema.json'], { cwd: folder });
    expect(status).toBe(0);
    expect(output).toBe(await readFile(path.join(folder, 'src/config.ts'), 'utf8'));
  });

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

  it.each(['Upper', '../outside', 'bedrock-backend-', '7store', 'a b', ''])(
    'refuses the name "%s"',
    (name) => {
      expect(() => namesFrom(name)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  it('refuses a folder that has something in it', async () => {
    const { status, output } = await project.bedrock(['new', 'provider', 'bedrock-backend-notes']);
    expect(status).toBe(1);
    expect(output).toMatch(/^error INVALID_ARGUMENT: /);
  });
});

describe('bedrock types', () => {
  it('refuses what is no JSON Schema', async () => {
    await writeFile(path.join(project.folder, 'wrong.json'), '{ "type": "objekt" }');
    const { status, output } = await project.bedrock(['types', 'wrong.json']);
    expect(status).toBe(1);
    expect(output).toMatch(/^error CONFIG_INVALID: wrong\.json /);
  });

  it('says what to install where its tool is not', async () => {
    await writeFile(path.join(project.folder, 'right.json'), '{ "type": "object" }');
    const { status, output } = await project.bedrock(['types', 'right.json']);
    expect(status).toBe(1);
    expect(output).toMatch(/^error LIBRARY_LOAD_FAILED: .*npm install --save-dev json-schema-to-typescript/);
  });
});
