/**
 * The package as it is published, but for its binaries of the addon, installed into an empty project: with install scripts, without
 * them, without a compiler. (test/package/slim-root.long.test.ts has those binaries.)
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { admits } from '../package/engines.js';

const root = path.resolve(import.meta.dirname, '../..');

let folder: string;
let project: string;
let installed: string;

interface End {
  status: number | null;
  output: string;
}

function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd = project,
): Promise<End> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}

/** The command as npm has linked it. */
function bedrock(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<End> {
  return run(path.join(project, 'node_modules/.bin/bedrock'), args, env);
}

/** What importing the addon's face comes to, in the project. */
async function importNative(env: NodeJS.ProcessEnv = {}): Promise<string> {
  const script = `import('bedrock-node/native').then(
    ({ attributes }) => console.log('loaded ' + (attributes().libpmem === null ? 'without' : 'with') + ' libpmem'),
    (error) => console.log(error.code + ' ' + error.message))`;
  return (await run(process.execPath, ['-e', script], env)).output.trim();
}

/** A PATH of its own that has some of the commands. */
function pathWith(name: string, commands: readonly string[]): string {
  const bin = path.join(folder, name);
  mkdirSync(bin, { recursive: true });
  for (const command of commands) {
    const from = (process.env.PATH ?? '')
      .split(path.delimiter)
      .map((one) => path.join(one, command))
      .find((file) => existsSync(file));
    if (from !== undefined) symlinkSync(from, path.join(bin, command));
  }
  return bin;
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bedrock-package-'));
  project = path.join(folder, 'project');
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  installed = path.join(project, 'node_modules/bedrock-node');
  // What prepack does, the build, `npm test` has done already.
  const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {}, root);
  if (packed.status !== 0) throw new Error(packed.output);
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const args = [
    'install',
    '--prefer-offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    path.join(folder, tarball),
  ];
  const { status, output } = await run('npm', args);
  if (status !== 0) throw new Error(output);
  // Which of them are there depends on what was built here before.
  rmSync(path.join(installed, 'prebuilds'), { recursive: true, force: true });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The order counts: each test finds what the one before it left.
describe('the package', () => {
  it('installed without install scripts says on import what is missing and how to get it', async () => {
    expect(existsSync(path.join(installed, 'native/build'))).toBe(false);
    await expect(importNative()).resolves.toMatch(/^NATIVE_UNAVAILABLE .*npx bedrock native build/);
    const info = await bedrock(['native', 'info']);
    expect(info).toMatchObject({
      status: 1,
      output: expect.stringMatching(/NATIVE_UNAVAILABLE.*native build/),
    });
  });

  it('brings nothing along that only its development needs', () => {
    const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    // These come with a dependency.
    const names = Object.keys(devDependencies).filter(
      (name) => !['@types/node', '@opentelemetry/api', 'semver'].includes(name),
    );
    expect(names.filter((name) => existsSync(path.join(project, 'node_modules', name)))).toEqual([]);
  });

  it('brings only packages along that run on the oldest Node.js version it is for', () => {
    const modules = path.join(project, 'node_modules');
    const manifests = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /(^|node_modules\/)(@[^/]+\/)?[^/]+\/package\.json$/.test(file),
    );
    expect(manifests.length).toBeGreaterThan(50);
    const refused = manifests.filter((file) => {
      const { engines } = JSON.parse(readFileSync(path.join(modules, file), 'utf8')) as {
        engines?: { node?: string };
      };
      return !admits(engines?.node);
    });
    expect(refused).toEqual([]);
  });

  it('works without the addon', async () => {
    const check = `import('bedrock-node').then(({ bootstrap }) => console.log(typeof bootstrap))`;
    await expect(run(process.execPath, ['-e', check])).resolves.toEqual({ status: 0, output: 'function\n' });
  });

  it('installed without a compiler says so in one line, and the installation succeeds', async () => {
    const PATH = pathWith('no-compiler', ['node', 'npm', 'sh', 'env', 'pkg-config']);
    const { status, output } = await run('npm', ['rebuild', '--foreground-scripts', 'bedrock-node'], {
      PATH,
    });
    expect(status).toBe(0);
    const lines = output.split('\n').filter((line) => line.includes('native addon'));
    expect(lines).toEqual([expect.stringMatching(/cmake.*npx bedrock native build/)]);
    await expect(importNative()).resolves.toMatch(/^NATIVE_UNAVAILABLE .*cmake.*npx bedrock native build/);
    const build = await bedrock(['native', 'build'], { PATH });
    expect(build.status).toBe(1);
  });

  it('installed with a compiler has an addon that does without libpmem where it is not', async () => {
    const { status, output } = await run('npm', ['rebuild', '--foreground-scripts', 'bedrock-node']);
    expect({ status, output }).toMatchObject({
      status: 0,
      output: expect.stringContaining('native addon built'),
    });
    await expect(importNative({ BEDROCK_LIBPMEM: 'off' })).resolves.toBe('loaded without libpmem');
    await expect(importNative({ BEDROCK_LIBPMEM: '/nowhere.so' })).resolves.toBe('loaded without libpmem');

    // In this process's place: the same tests of stores and files as with libpmem.
    const addon = path.join(installed, 'native/build/Release/bedrock_native.node');
    const jest = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ];
    const tests = ['stores', 'map-file', 'hostile', 'file.test', 'crc32c'].map(
      (name) => `test/native/${name}`,
    );
    const { status: passed, output: report } = await run(
      process.execPath,
      [...jest, '--silent', ...tests],
      { BEDROCK_NATIVE_ADDON: addon, BEDROCK_LIBPMEM: 'off' },
      root,
    );
    if (passed !== 0) throw new Error(report);
  });

  it('says which libpmem it uses, or why none, without a new build', async () => {
    const off = await bedrock(['native', 'info', '--json'], { BEDROCK_LIBPMEM: '/nowhere.so' });
    expect(JSON.parse(off.output)).toMatchObject({
      isLoaded: true,
      origin: 'built',
      libpmem: null,
      libpmemPath: null,
      libpmemReason: expect.stringContaining('/nowhere.so'),
    });
    const info = JSON.parse((await bedrock(['native', 'info', '--json'])).output) as {
      libpmem: string | null;
      libpmemPath: string | null;
      libpmemReason: string | null;
    };
    const isFound = info.libpmem !== null;
    expect(info.libpmemPath !== null).toBe(isFound);
    expect(info.libpmemReason === null).toBe(isFound);
    await expect(importNative()).resolves.toBe(isFound ? 'loaded with libpmem' : 'loaded without libpmem');
  });

  it('refuses a library that is not libpmem', async () => {
    const [libc = ''] = /\/\S*\/libc\.so\.6/.exec(readFileSync('/proc/self/maps', 'latin1')) ?? [];
    const { output } = await bedrock(['native', 'info', '--json'], { BEDROCK_LIBPMEM: libc });
    expect(JSON.parse(output)).toMatchObject({
      isLoaded: true,
      libpmem: null,
      libpmemReason: expect.stringContaining('pmem_'),
    });
  });

  it('names a library that is gone', async () => {
    const broken = path.join(folder, 'broken.node');
    const source = path.join(folder, 'broken.c');
    writeFileSync(source, 'int gone(void); int use(void) { return gone(); }');
    const library = path.join(folder, 'libgone.so.1');
    writeFileSync(`${source}.lib.c`, 'int gone(void) { return 1; }');
    await run('cc', ['-shared', '-fPIC', '-Wl,-soname,libgone.so.1', '-o', library, `${source}.lib.c`]);
    await run('cc', ['-shared', '-fPIC', '-o', broken, source, library]);
    rmSync(library);
    await expect(importNative({ BEDROCK_NATIVE_ADDON: broken })).resolves.toMatch(
      /^NATIVE_UNAVAILABLE .*libgone\.so\.1.*native build/,
    );
  });
});
