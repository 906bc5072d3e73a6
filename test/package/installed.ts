/**
 * The package as npm would install it, without npm: what `npm pack` puts into the tarball, below a project's node_modules, with its
 * dependencies beside it and nothing that only development needs. (test/native/package.long.test.ts has npm do it, once.)
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { RunOptions } from '../fixtures/bedrock-process.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const exec = promisify(execFile);

/** Of a package that `bedrock new` makes, in place of what its `npm install` would fetch. */
const DEVELOPMENT = ['typescript', '@types', 'json-schema-to-typescript'];

export interface Ended {
  status: number;
  output: string;
}

export class InstalledProject {
  private constructor(readonly home: string) {}

  /** The project's folder. */
  get folder(): string {
    return path.join(this.home, 'project');
  }

  get packageFolder(): string {
    return path.join(this.folder, 'node_modules/bedrock-node');
  }

  static async make(): Promise<InstalledProject> {
    const home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-installed-')));
    const project = new InstalledProject(home);
    await mkdir(path.join(project.packageFolder), { recursive: true });
    await mkdir(path.join(project.folder, 'node_modules/.bin'));
    await writeFile(path.join(project.folder, 'package.json'), '{ "private": true }');
    // What prepack does, the build, has been done.
    await exec('npm', ['pack', '--ignore-scripts', '--pack-destination', home], { cwd: ROOT });
    const [tarball = ''] = (await readdir(home)).filter((name) => name.endsWith('.tgz'));
    const args = ['-xzf', path.join(home, tarball), '--strip-components=1', '-C', project.packageFolder];
    await exec('tar', args);
    const { dependencies } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      const to = path.join(project.folder, 'node_modules', name);
      await mkdir(path.dirname(to), { recursive: true });
      await symlink(path.join(ROOT, 'node_modules', name), to);
    }
    await symlink(
      '../bedrock-node/dist/core/cli/main.js',
      path.join(project.folder, 'node_modules/.bin/bedrock'),
    );
    return project;
  }

  /** Gives a package in the project what its development needs. */
  async linkDevelopment(folder: string): Promise<void> {
    const modules = path.join(folder, 'node_modules');
    await mkdir(path.join(modules, '.bin'), { recursive: true });
    for (const name of DEVELOPMENT)
      await symlink(path.join(ROOT, 'node_modules', name), path.join(modules, name));
    await symlink(this.packageFolder, path.join(modules, 'bedrock-node'));
    await symlink('../bedrock-node/dist/core/cli/main.js', path.join(modules, '.bin/bedrock'));
    await symlink('../typescript/bin/tsc', path.join(modules, '.bin/tsc'));
  }

  /** Runs a command to its end. */
  async run(
    command: string,
    args: readonly string[],
    { cwd = this.folder }: RunOptions = {},
  ): Promise<Ended> {
    const PATH = [path.join(this.folder, 'node_modules/.bin'), process.env.PATH].join(path.delimiter);
    // What runs these tests must not tell the runner of those what to do.
    const env = { ...process.env, PATH, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
    try {
      const { stdout, stderr } = await exec(command, args, { cwd, env, maxBuffer: 2 ** 26 });
      return { status: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
      if (typeof code !== 'number') throw error;
      return { status: code, output: stdout + stderr };
    }
  }

  bedrock(args: readonly string[], options?: RunOptions): Promise<Ended> {
    return this.run('bedrock', args, options);
  }

  remove(): Promise<void> {
    return rm(this.home, { recursive: true });
  }
}
