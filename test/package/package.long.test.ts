/** What a user of the package has, where a compiler has to say: types, and packages of their own with their tests. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { killAll } from '../fixtures/bedrock-process.js';
import { InstalledProject } from './installed.js';
import { PACKAGES, itHasTheTypesOfItsSchema, itWorksAsMade, makePackages } from './new-packages.js';

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
  );
});

describe('bedrock new', () => {
  beforeAll(() => makePackages(project, PACKAGES));
  itWorksAsMade(() => project, PACKAGES);
  itHasTheTypesOfItsSchema(() => project, PACKAGES);
});
