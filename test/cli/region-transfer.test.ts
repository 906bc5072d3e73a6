/** Large transfers by `bedrock region`: digests, progress, and what is left when they break off. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomFillSync } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RegionId } from '../../core/index.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { isThorough, sampled } from '../fixtures/thoroughness.js';
import {
  MAIN,
  ONE_STORE,
  codeOf,
  end,
  launch,
  runShell,
  startDaemon,
  type Running,
} from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

/** More than a pipe and the buffers on the way hold. */
const SIZE = (isThorough ? 64 : 16) * 2 ** 20;

let home: string;
let running: Running;
let file: string;
let digest: string;
let id: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-transfer-'));
  running = await startDaemon(ONE_STORE);
  file = path.join(home, 'source');
  const contents = randomFillSync(Buffer.allocUnsafe(SIZE));
  digest = digestOf(contents);
  await writeFile(file, contents);
  id = (await running.daemon.target('store').createAndWrite(contents)).toString();
});
afterAll(async () => {
  await running.daemon.close();
  await rm(home, { recursive: true });
});

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function folder(name: string): Promise<string> {
  const place = path.join(home, name);
  await mkdir(place);
  return place;
}

describe('a large transfer', () => {
  it('comes back from a pipe into a pipe, byte for byte, with no progress bar', async () => {
    const script = `id=$(cat '${file}' | bedrock region create - --size ${SIZE}) && bedrock region read "$id" | sha256sum`;
    const { stdout, stderr } = await runShell(script, { env: running.env });
    expect({ digest: stdout.slice(0, 64), stderr }).toEqual({ digest, stderr: '' });
  });

  it('comes back from a file into a file', async () => {
    const output = path.join(await folder('files'), 'out');
    const created = await run(['region', 'create', file], { env: running.env });
    const read = await run(['region', 'read', created.stdout.trim(), '-o', output], { env: running.env });
    expect(read).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(digestOf(await readFile(output))).toBe(digest);
    await expect(readdir(path.dirname(output))).resolves.toEqual(['out']);
  });

  it('goes to a file that is standard output', async () => {
    const output = path.join(await folder('redirected'), 'out');
    const { status } = await runShell(`bedrock region read ${id} > '${output}'`, { env: running.env });
    expect(status).toBe(0);
    expect(digestOf(await readFile(output))).toBe(digest);
  });

  it('overwrites a region', async () => {
    const empty = await running.daemon.target('store').create(SIZE);
    const { status } = await run(['region', 'write', empty.toString(), file], { env: running.env });
    expect(status).toBe(0);
    expect(digestOf(await running.daemon.target('store').read(empty, 0, SIZE))).toBe(digest);
  });

  it('ends quietly if nobody reads on', async () => {
    const script = `bedrock region read ${id} | head -c 10 | wc -c; echo \${PIPESTATUS[0]}`;
    const { stdout, stderr } = await runShell(script, { env: running.env });
    expect({ figures: stdout.trim().split(/\s+/), stderr }).toEqual({ figures: ['10', '0'], stderr: '' });
  });
});

describe('a file that is read into', () => {
  it('keeps what it held if the read fails', async () => {
    const place = await folder('failed');
    const output = path.join(place, 'out');
    await writeFile(output, 'before');
    const ended = await run(['region', 'read', RegionId.random().toString(), '-o', output], {
      env: running.env,
    });
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'REGION_NOT_FOUND' });
    await expect(readFile(output, 'utf8')).resolves.toBe('before');
    await expect(readdir(place)).resolves.toEqual(['out']);
  });

  it('is replaced where a link leads to, and keeps its permissions', async () => {
    const place = await folder('linked');
    const output = path.join(place, 'out');
    await writeFile(output, 'before', { mode: 0o600 });
    await symlink('out', path.join(place, 'link'));
    const { status } = await run(['region', 'read', id, '--length', '5', '-o', path.join(place, 'link')], {
      env: running.env,
    });
    expect(status).toBe(0);
    expect((await lstat(path.join(place, 'link'))).isSymbolicLink()).toBe(true);
    expect(await lstat(output)).toMatchObject({ size: 5, mode: 0o100600 });
  });

  it('may be a device', async () => {
    const { status } = await run(['region', 'read', id, '-o', '/dev/null'], { env: running.env });
    expect(status).toBe(0);
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  it("says the system's code if its folder is not there", async () => {
    const ended = await run(['region', 'read', id, '-o', path.join(home, 'no/where')], { env: running.env });
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'ENOENT' });
  });
});

const SIGNALS: ['SIGINT' | 'SIGTERM', number][] = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
];

describe.each(sampled(1, SIGNALS))('%s during a transfer', (signal, status) => {
  it('leaves no file behind and exits with the status of the signal', async () => {
    // Large enough that it cannot be over before the signal comes.
    const large = await running.daemon.target('store').create(2 ** 30);
    const place = await folder(`interrupted-${signal}`);
    const args = [MAIN, 'region', 'read', large.toString(), '-o', path.join(place, 'out')];
    const child = launch(process.execPath, args, { env: running.env });
    const ended = end(child);
    while ((await readdir(place)).length === 0) await delay(5);
    child.kill(signal);
    await expect(ended).resolves.toMatchObject({ status, stderr: '' });
    await expect(readdir(place)).resolves.toEqual([]);
    await running.daemon.target('store').erase(large);
  });

  it('makes no region of contents that had not all come', async () => {
    const target = running.daemon.target('store');
    const before = await target.stats();
    const child = launch(process.execPath, [MAIN, 'region', 'create', '-', '--size', '1M'], {
      env: running.env,
      stdin: '',
    });
    let output = '';
    child.stdout?.on('data', (piece: Buffer) => (output += piece.toString()));
    child.stdin?.write(Buffer.alloc(1000));
    while ((await target.stats()).usedBytes === before.usedBytes) await delay(5);
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.kill(signal);
    await expect(closed).resolves.toBe(status);
    expect(output).toBe('');
    while ((await target.stats()).usedBytes !== before.usedBytes) await delay(5);
    expect((await target.stats()).regions).toBe(before.regions);
  });
});

needs('script', hasCommand('script')).describe('under a terminal', () => {
  /** Standard output and standard error of the command, as the terminal gets them. */
  async function onTerminal(command: string): Promise<string> {
    const full = `'${process.execPath}' '${MAIN}' region ${command}`;
    const child = launch('script', ['-qec', full, '/dev/null'], { env: running.env });
    const { status, stdout } = await end(child);
    expect(status).toBe(0);
    return stdout;
  }

  const commands: [string, () => string][] = [
    ['create', () => `create '${file}'`],
    ['write', () => `write ${id} '${file}'`],
    ['read', () => `read ${id} -o '${path.join(home, 'seen')}'`],
  ];

  it.each(sampled(1, commands))('%s shows a bar that ends full', async (_, command) => {
    await expect(onTerminal(command())).resolves.toMatch(/\r[a-z]+ \[#{30}\] 100%/);
  });

  it('shows none with --quiet, nor for a small transfer', async () => {
    await expect(onTerminal(`read ${id} --quiet -o /dev/null`)).resolves.toBe('');
    await expect(onTerminal(`read ${id} --length 8M -o /dev/null`)).resolves.toBe('');
  });
});
