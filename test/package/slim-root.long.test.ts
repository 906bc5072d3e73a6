/**
 * The packed package with its binary of the addon, in a root without a compiler: it is installed by its own script, starts a daemon, and
 * uses libpmem from when it is there. On each version of Node.js that the package is for and that can be had.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { addonState } from '../../native/load.js';
import { killAll } from '../fixtures/bedrock-process.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { libpmemFile, npmFolder, SlimRoot } from './slim-root.js';

const exec = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const NODE_VERSIONS = ['20', '22', '24'];

const isLinux = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
const compiler = needs('Linux with cmake and g++', isLinux && hasCommand('cmake') && hasCommand('g++'));
const rootUser = needs(
  'Linux as root, with chroot, ldd, cmake and g++',
  compiler.isHere && process.getuid?.() === 0 && hasCommand('chroot') && hasCommand('ldd'),
);

let folder: string;
let project: string;
/** By version: the path of a Node.js, as far as there is one. */
const nodes = new Map<string, string>();

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bedrock-prebuilt-'));
  if (!compiler.isHere) return;
  project = path.join(folder, 'project');
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  await exec(process.execPath, [path.join(ROOT, 'scripts/prebuild.js')]);
  await exec('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const args = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball()];
  await exec('npm', args, { cwd: project });
  for (const version of NODE_VERSIONS) {
    const file = await nodeOf(version);
    if (file !== undefined) nodes.set(version, file);
  }
});
afterEach(killAll);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tarball(): string {
  const [name = ''] = readdirSync(folder).filter((file) => /^bedrock-node-.*\.tgz$/.test(file));
  return path.join(folder, name);
}

/** This process's, or that of the npm package which carries it. */
async function nodeOf(version: string): Promise<string | undefined> {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const to = path.join(folder, `node-${version}`);
  mkdirSync(to);
  try {
    const name = `node-linux-${process.arch}@${version}`;
    const { stdout } = await exec('npm', ['pack', '--silent', '--pack-destination', to, name]);
    await exec('tar', ['-xzf', path.join(to, stdout.trim()), '-C', to]);
  } catch {
    return undefined;
  }
  const file = path.join(to, 'package/bin/node');
  return existsSync(file) ? file : undefined;
}

const CONFIG = {
  margo: { mercury: { address: 'http://127.0.0.1:0' } },
  providers: [
    {
      name: 'store',
      type: 'warabi',
      provider_id: 1,
      config: {
        target: { type: 'pmem', config: { path: '/data/store.pool', create_if_missing_with_size: 8388608 } },
      },
    },
  ],
};

interface Info {
  isLoaded: boolean;
  origin: string;
  libpmem: string | null;
  libpmemReason: string | null;
}

rootUser.describe('the package in a root without a compiler', () => {
  it.each(NODE_VERSIONS)(
    'is installed and serves, with libpmem and without, on Node.js %s',
    async (version) => {
      const node = nodes.get(version);
      const npm = await npmFolder();
      if (node === undefined || npm === undefined) {
        process.stderr.write(`[skipped: Node.js ${version} or npm cannot be had]\n`);
        return;
      }
      const root = await SlimRoot.make(node);
      try {
        cpSync(project, root.at('app'), { recursive: true });
        cpSync(npm, root.at('npm'), { recursive: true, dereference: true });
        writeFileSync(root.at('app/bedrock.json'), JSON.stringify(CONFIG));
        const rebuild = [
          '/npm/bin/npm-cli.js',
          'rebuild',
          '--prefix',
          '/app',
          '--foreground-scripts',
          'bedrock-node',
        ];
        const installed = await root.run('/usr/bin/node', rebuild);
        expect(installed).toEqual({ status: 0, output: expect.stringContaining('native addon prebuilt') });
        expect(existsSync(root.at('app/node_modules/bedrock-node/native/build'))).toBe(false);

        const main = '/app/node_modules/bedrock-node/dist/core/cli/main.js';
        const info = async (): Promise<Info> =>
          JSON.parse((await root.run('/usr/bin/node', [main, 'native', 'info', '--json'])).output) as Info;
        expect(await info()).toMatchObject({
          isLoaded: true,
          origin: 'prebuilt',
          libpmem: null,
          libpmemReason: expect.stringContaining('libpmem.so.1'),
        });
        await serves(root, main, { libpmem: false });

        const libpmem = libpmemFile(addonState().attributes);
        if (libpmem === undefined) return;
        // Installed later, and found without a new build.
        await root.addFile(libpmem, libpmem);
        expect(await info()).toMatchObject({
          origin: 'prebuilt',
          libpmem: expect.stringMatching(/^\d/),
          libpmemReason: null,
        });
        await serves(root, main, { libpmem: true });
      } finally {
        await killAll();
        root.remove();
      }
    },
  );
});

/** A daemon with a pool on (what passes for) persistent memory: writes, reads, stops. */
async function serves(root: SlimRoot, main: string, { libpmem }: { libpmem: boolean }): Promise<void> {
  const args = [main, 'start', '-c', '/app/bedrock.json'];
  const daemon = root.start('/usr/bin/node', args, { PMEM_IS_PMEM_FORCE: '1' });
  const regions = `${await daemon.address()}/v1/providers/store/regions`;
  const made = await fetch(`${regions}?persist=true`, { method: 'POST', body: 'of a slim root' });
  expect(made.status).toBe(201);
  const { id } = (await made.json()) as { id: string };
  await expect(fetch(`${regions}/${id}`).then((answer) => answer.text())).resolves.toBe('of a slim root');
  const stats = await fetch(regions.replace(/regions$/, 'stats')).then((answer) => answer.json());
  expect(stats).toMatchObject({ mode: libpmem ? 'pmem-forced' : 'msync' });
  expect(/libpmem is not used/.test(daemon.stdout)).toBe(!libpmem);
  daemon.signal('SIGTERM');
  await expect(daemon.exit).resolves.toMatchObject({ status: 0 });
}

compiler.describe('npx', () => {
  compiler.it('starts a daemon from an empty folder with the tarball alone', async () => {
    const empty = path.join(folder, 'empty');
    mkdirSync(empty);
    const began = performance.now();
    const { inShell } = await import('../fixtures/bedrock-process.js');
    const npx = inShell(
      `exec npx --yes --prefer-offline file:${tarball()} http://127.0.0.1:0 --resp-address 127.0.0.1:0`,
      { cwd: empty },
    );
    const address = await npx.address();
    process.stderr.write(
      `npx had a daemon ready after ${((performance.now() - began) / 1000).toFixed(1)} s\n`,
    );
    const { status } = await fetch(`${address}/readyz`);
    expect(status).toBe(200);
    expect(readdirSync(empty).sort()).toEqual(['bedrock.json', 'data']);
    await fetch(`${address}/v1/shutdown`, { method: 'POST' });
    await expect(npx.exit).resolves.toMatchObject({ status: 0 });
  });
});

describe('a binary of the package', () => {
  compiler.it('is not made for what it is not: another processor, another C library', async () => {
    const refused = async (target: string): Promise<string> =>
      exec(process.execPath, [
        path.join(ROOT, 'scripts/prebuild.js'),
        '--target',
        target,
        '--cxx',
        'g++',
      ]).then(
        () => '',
        (error: unknown) => (error as { stderr: string }).stderr,
      );
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    await expect(refused(`linux-${other}-glibc`)).resolves.toMatch(/is not for|does not compile/);
    await expect(refused('windows')).resolves.toMatch(/is expected/);
  });
});
