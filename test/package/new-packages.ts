/** The packages that `bedrock new` makes in a project, and that they work as they are. */
import { beforeAll, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { launchBedrock } from '../fixtures/bedrock-process.js';
import type { InstalledProject } from './installed.js';

type Package = readonly [what: string, args: readonly string[], name: string, source: string];

/** What is made, and the name of the file that is the heart of it. */
export const PACKAGES: readonly Package[] = [
  ['backend', ['backend', 'bedrock-backend-notes'], 'bedrock-backend-notes', 'notes-target.ts'],
  ['persistent backend', ['backend', '@acme/my-store', '--persistent'], 'my-store', 'my-store-target.ts'],
  ['provider', ['provider', 'bedrock-provider-audit'], 'bedrock-provider-audit', 'audit-provider.ts'],
];

/** @param bedrock runs the command in the project's folder; the package's own unless told */
export async function makePackages(
  project: InstalledProject,
  packages: readonly Package[],
  bedrock: (args: readonly string[]) => Promise<{ status: number | null }> = (args) => project.bedrock(args),
): Promise<void> {
  for (const [, args, name] of packages) {
    const ended = await bedrock(['new', ...args]);
    if (ended.status !== 0) throw new Error(JSON.stringify(ended));
    await project.linkDevelopment(path.join(project.folder, name));
  }
}

/** Defines the tests of packages that have been made. */
export function itWorksAsMade(project: () => InstalledProject, packages: readonly Package[]): void {
  const tested = new Map<string, { status: number; output: string }>();

  beforeAll(async () => {
    const run = async ([, , name]: Package): Promise<void> => {
      const cwd = path.join(project().folder, name);
      tested.set(name, await project().run('npm', ['test'], { cwd }));
    };
    await Promise.all(packages.map(run));
  });

  it.each(packages)('makes a %s whose tests pass as they are, under node:test', (_what, _args, name) => {
    const { status, output } = tested.get(name) ?? { status: -1, output: '' };
    expect({ status, output: status === 0 ? '' : output }).toEqual({ status: 0, output: '' });
    // Node's runner reports as TAP, or after a sign of its own.
    expect(output).toMatch(/^. fail 0\n. cancelled 0\n. skipped 0$/m);
  });

  it.each(packages)('makes a %s that a daemon runs with', async (_what, _args, name) => {
    expect(await launch(project(), path.join(project().folder, name))).toMatch(
      /ready: (1 of 1|2 of 2) providers are up/,
    );
  });
}

/** Defines the tests of what lies in packages that have been made. */
export function itHasTheTypesOfItsSchema(
  project: () => InstalledProject,
  packages: readonly Package[],
): void {
  it.each(packages)('makes a %s with the types that its schema has', async (_what, _args, name, source) => {
    const folder = path.join(project().folder, name);
    expect(existsSync(path.join(folder, 'src', source))).toBe(true);
    const { status, output } = await project().bedrock(['types', 'schema.json'], { cwd: folder });
    expect(status).toBe(0);
    expect(output).toBe(await readFile(path.join(folder, 'src/config.ts'), 'utf8'));
  });
}

/** Launches a daemon with the package's command, and stops it when it is ready. @returns its log */
export async function launch(project: InstalledProject, folder: string): Promise<string> {
  const main = path.join(project.packageFolder, 'dist/core/cli/main.js');
  const free = ['http://127.0.0.1:0', '--resp-address', '127.0.0.1:0'];
  const daemon = launchBedrock(main, ['start', ...free, '-c', 'bedrock.json'], { cwd: folder });
  await daemon.address();
  daemon.signal('SIGTERM');
  const { status, stdout, stderr } = await daemon.exit;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}
