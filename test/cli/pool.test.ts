/** `bedrock pool info|check|repair`: pools in files, damaged and not, and everything that is no pool. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFile, mkdir, mkdtemp, open, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RegionId } from '../../core/index.js';
import { encodeDescriptor } from '../../core/pool/descriptor.js';
import { decodeHeader, encodeHeader, type PoolHeader } from '../../core/pool/header.js';
import { codeOf, type Ended } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { poolTarget } from '../backends/pool-factory.js';

const MIB = 2 ** 20;
/** Of the first chunk, which follows the headers. */
const DESCRIPTORS = 8192;

let home: string;
let file: string;
let ids: RegionId[];
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-pool-cli-'));
  file = path.join(home, 'pool');
  const target = await poolTarget('file', { path: 'pool', create_if_missing_with_size: 8 * MIB }, home);
  await target.open();
  ids = [];
  for (let index = 0; index < 4; index++)
    ids.push(await target.createAndWrite(Buffer.alloc(5000, index + 1)));
  await target.close();
});
afterEach(() => rm(home, { recursive: true, force: true }));

const pool = (...args: string[]): Promise<Ended> => runHere(['pool', ...args]);

async function put(offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

async function header(): Promise<PoolHeader> {
  const decoded = decodeHeader((await readFile(file)).subarray(0, 4096));
  if ('fault' in decoded) throw new Error(decoded.reason);
  return decoded.header;
}

interface Checked {
  findings: { kind: string; slot?: number; region?: { id: string }; overlaps?: { slot: number } }[];
  regions: number;
}

async function check(): Promise<Checked & { status: number | null }> {
  const { status, stdout } = await pool('check', file, '--json');
  return { status, ...(JSON.parse(stdout) as Checked) };
}

const kindsOf = ({ findings }: Checked): string[] => findings.map(({ kind }) => kind);

/** Bytes of the regions that the pool serves, by what they were filled with. */
async function served(): Promise<number[]> {
  const target = await poolTarget('file', { path: 'pool' }, home);
  await target.open();
  const found: number[] = [];
  for (const id of ids) {
    const bytes = await target.read(id, 0, 5000).catch(() => undefined);
    if (bytes !== undefined) found.push(bytes[4999] as number);
  }
  await target.close();
  return found;
}

describe('bedrock pool', () => {
  it('info tells what a pool is and how full it is, by its directory too', async () => {
    await mkdir(path.join(home, 'folder'));
    await copyFile(file, path.join(home, 'folder', 'pool.pmem'));
    const { status, stdout } = await pool('info', path.join(home, 'folder'), '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      poolId: ids[0]?.toString().slice(16),
      regions: 4,
      regionBytes: 20_000,
      capacityBytes: 8 * MIB,
      alignment: 4096,
      slots: { total: 1024, live: 4, quarantined: 0 },
      headers: [{ state: 'in use' }, { state: 'equal' }],
    });
    expect((await pool('info', file)).stdout).toContain('regions            4, ');
  });

  it('check finds nothing in a whole pool, and repair does nothing to it', async () => {
    const before = await readFile(file);
    expect(await check()).toMatchObject({ status: 0, findings: [], regions: 4 });
    expect((await pool('repair', file)).status).toBe(0);
    expect(before.equals(await readFile(file))).toBe(true);
    await expect(readdir(home)).resolves.toEqual(['pool']);
  });

  it('check names every finding, repair mends them with a backup, and --undo takes that back', async () => {
    await put(4096, Buffer.alloc(4096, 0xee));
    await put(DESCRIPTORS + 64 + 9, Buffer.from([0x55]));
    await put(DESCRIPTORS + 4096, Buffer.alloc(4096));
    const before = await readFile(file);
    const found = await check();
    expect(found.status).toBe(1);
    expect(kindsOf(found)).toEqual(['header', 'damaged', 'zeros']);
    expect(found.findings[1]).toMatchObject({
      slot: 1,
      region: { id: ids[1]?.toString(), isCertain: false },
    });
    expect(found.findings[2]).toMatchObject({ slot: 64, slots: 64, offset: DESCRIPTORS + 4096, size: 4096 });

    expect((await pool('repair', file, '--dry-run')).status).toBe(0);
    expect(before.equals(await readFile(file))).toBe(true);

    const repaired = await pool('repair', file, '--json');
    const { backup } = JSON.parse(repaired.stdout) as { backup: string };
    expect(repaired.status).toBe(0);
    expect(await check()).toMatchObject({ status: 0, findings: [], regions: 3 });
    const after = await readFile(file);
    await pool('repair', file);
    expect(after.equals(await readFile(file))).toBe(true);

    expect((await pool('repair', file, '--undo', backup)).status).toBe(0);
    expect(before.equals(await readFile(file))).toBe(true);
    expect(codeOf(await pool('repair', file, '--undo', backup))).toBe('INVALID_ARGUMENT');
    await pool('repair', file);
    await expect(served()).resolves.toEqual([1, 3, 4]);
  });

  it('refuses to undo a repair after regions were created, and a backup that is damaged', async () => {
    await put(DESCRIPTORS + 64 + 9, Buffer.from([0x55]));
    const { backup } = JSON.parse((await pool('repair', file, '--json')).stdout) as { backup: string };
    const target = await poolTarget('file', { path: 'pool' }, home);
    await target.open();
    await target.create(100);
    await target.close();
    const before = await readFile(file);
    expect(codeOf(await pool('repair', file, '--undo', backup))).toBe('INVALID_ARGUMENT');
    await truncate(backup, 5000);
    expect(codeOf(await pool('repair', file, '--undo', backup))).toBe('INVALID_ARGUMENT');
    expect(before.equals(await readFile(file))).toBe(true);
  });

  it('names both parties of an overlap, and gives up both', async () => {
    const descriptor = new Uint8Array(64);
    const [first] = (await header()).chunks;
    const extents = DESCRIPTORS + (first?.count ?? 0) * 64;
    encodeDescriptor(descriptor, 0, 9, await header(), 1, extents + 8192, 100, 1);
    await put(DESCRIPTORS + 9 * 64, descriptor);
    const found = await check();
    expect(kindsOf(found)).toEqual(['overlap', 'overlap']);
    expect(ids.map(String)).toContain(found.findings[0]?.region?.id);
    const slots = found.findings.map(({ slot, overlaps }) => [slot, overlaps?.slot]);
    expect(slots).toEqual([
      [slots[0]?.[0], 9],
      [9, slots[0]?.[0]],
    ]);
    await pool('repair', file);
    expect(await check()).toMatchObject({ status: 0, regions: 3 });
  });

  it('gives a file that was cut off its length back, without what was lost', async () => {
    await truncate(file, DESCRIPTORS + 65536 + 8192);
    expect(kindsOf(await check())).toEqual(['file', 'truncated', 'truncated', 'truncated']);
    expect((await pool('repair', file)).status).toBe(0);
    expect(await check()).toMatchObject({ status: 0, regions: 1 });
    await expect(served()).resolves.toEqual([1]);
  });

  it('repairs headers that contradict each other only by the one it is told', async () => {
    const own = await header();
    await put(4096, encodeHeader({ ...own, createdAt: own.createdAt + 1 }));
    const found = await check();
    expect([found.status, kindsOf(found)]).toEqual([1, ['contradiction']]);
    expect(codeOf(await pool('repair', file))).toBe('POOL_CORRUPT');
    expect((await pool('repair', file, '--header', '0')).status).toBe(0);
    expect(await check()).toMatchObject({ status: 0, regions: 4 });
    expect((await header()).createdAt).toBe(own.createdAt);
    const needless = await pool('repair', file, '--header', '0');
    expect([codeOf(needless), needless.status]).toEqual(['INVALID_ARGUMENT', 2]);
  });

  it('check tells of two damaged headers, which nothing repairs', async () => {
    await put(300, Buffer.from([1]));
    await put(4096 + 300, Buffer.from([1]));
    const found = await check();
    expect([found.status, kindsOf(found)]).toEqual([1, ['header', 'header']]);
    expect(codeOf(await pool('repair', file))).toBe('POOL_CORRUPT');
  });

  it('leaves a pool alone that is open', async () => {
    const target = await poolTarget('file', { path: 'pool' }, home);
    await target.open();
    const ended = await Promise.all([pool('info', file), pool('check', file), pool('repair', file)]);
    await target.close();
    expect(ended.map((one) => [codeOf(one), one.status])).toEqual([
      ['POOL_IN_USE', 1],
      ['POOL_IN_USE', 1],
      ['POOL_IN_USE', 1],
    ]);
  });

  it('says of what is no pool that it is none, with status 2', async () => {
    const contents = { empty: '', text: 'no pool at all\n' };
    for (const [name, text] of Object.entries(contents)) await writeFile(path.join(home, name), text);
    const cases: [string, string][] = [
      [path.join(home, 'empty'), 'POOL_CORRUPT'],
      [path.join(home, 'text'), 'POOL_CORRUPT'],
      [path.join(home, 'missing'), 'POOL_NOT_FOUND'],
      [home, 'POOL_NOT_FOUND'],
      ['/dev/null', 'START_FAILED'],
    ];
    const checked = await Promise.all(cases.map(([place]) => pool('check', place)));
    expect(checked.map((one) => [codeOf(one), one.status])).toEqual(cases.map(([, code]) => [code, 2]));
    for (const command of ['info', 'repair']) {
      const ended = await pool(command, path.join(home, 'text'));
      expect([codeOf(ended), ended.status]).toEqual(['POOL_CORRUPT', 2]);
    }
  });
});
