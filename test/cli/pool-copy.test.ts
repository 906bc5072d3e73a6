/** `bedrock pool copy`: the same regions under the same IDs, erased IDs never again, and nothing left of a copy that failed. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, open, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pattern, snapshotOf } from '../../core/conformance/assertions.js';
import type { RegionId, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { poolFolder, poolTarget, type PoolConfig } from '../backends/pool-factory.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { MAIN, codeOf, end, launch, run, runShell, type Ended } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

const MIB = 2 ** 20;
const LARGE_BYTES = 192 * MIB;
/** Large enough for a bar. */
const MIDDLING_BYTES = 9 * MIB;
/** What the command takes for the smallest pool is about 110 MiB, and pieces in flight are 16 MiB. */
const MOST_RESIDENT_KIB = 200 * 1024;
const LIBRARY = path.resolve(import.meta.dirname, '../fixtures/libraries/importable.mjs');
const STUB = path.resolve(import.meta.dirname, '../fixtures/libraries/backend.mjs');
const MAPPED = addonState().attributes === undefined ? 'file' : 'pmem';

let home: string;
/** Of the pool `source` in the folder. */
let erased: RegionId[];
let contents: Awaited<ReturnType<typeof snapshotOf>>['regions'];
/** A folder for one test. */
let place: string;
let tests = 0;

async function openPool(name: string, config: Partial<PoolConfig> = {}): Promise<Target> {
  const target = await poolTarget('file', { path: name, ...config }, home);
  await target.open();
  return target;
}

const inPlace = (name: string): string => path.join(place, name);

const copy = (...args: string[]): Promise<Ended> => runHere(['pool', 'copy', ...args]);

const resultOf = ({ stdout }: Ended): Record<string, unknown> =>
  JSON.parse(stdout) as Record<string, unknown>;

beforeAll(async () => {
  home = await poolFolder();
  const source = await openPool('source', { create_if_missing_with_size: 16 * MIB });
  for (const [at, size] of [0, 1, 300, 4097, 700_000].entries())
    await source.createAndWrite(pattern(size, at + 1));
  erased = [];
  for (let round = 0; round < 7; round++) {
    const ids = await Promise.all([source.create(64), source.create(5000)]);
    for (const id of ids) await source.erase(id);
    erased.push(...ids);
  }
  contents = (await snapshotOf(source)).regions;
  await source.close();
  const large = await openPool('large', { create_if_missing_with_size: LARGE_BYTES + 8 * MIB });
  const id = await large.create(LARGE_BYTES);
  await large.write(id, LARGE_BYTES - 100, pattern(100));
  await large.close();
  const middling = await openPool('middling', { create_if_missing_with_size: MIDDLING_BYTES + 8 * MIB });
  await middling.create(MIDDLING_BYTES);
  await middling.close();
});
afterAll(() => rm(home, { recursive: true, force: true }));
beforeEach(async () => {
  place = path.join(home, `test${tests++}`);
  await mkdir(place);
});

describe('bedrock pool copy', () => {
  it('copies to another backend and back, with IDs, times and bytes; erased IDs stay erased', async () => {
    const there = await copy(
      path.join(home, 'source'),
      `${MAPPED}:${inPlace('there')}`,
      '--json',
      '--verify',
    );
    expect([there.stderr, there.status]).toEqual(['', 0]);
    expect(resultOf(there)).toMatchObject({
      from: { type: 'file' },
      to: { type: MAPPED, path: inPlace('there') },
      regions: contents.length,
      erased: 2,
      quarantined: 0,
      isVerified: true,
    });
    const back = await copy(`${MAPPED}:${inPlace('there')}`, `${place}/`, '--json');
    expect([back.stderr, back.status]).toEqual(['', 0]);
    expect(await readdir(place)).toEqual(['pool.pmem', 'there']);
    const target = await openPool(place);
    expect((await snapshotOf(target)).regions).toEqual(contents);
    const known = new Set([...erased, ...contents.map(({ id }) => id)].map(String));
    for (let count = 0; count < 10; count++) expect(known).not.toContain(String(await target.create(1)));
    await target.close();
  });

  if (isThorough) {
    it('holds a region larger than the memory that it uses', async () => {
      const child = launch(process.execPath, [
        ...[MAIN, 'pool', 'copy', path.join(home, 'large'), inPlace('copy'), '--json'],
      ]);
      let peak = 0;
      const watch = setInterval(() => {
        void readFile(`/proc/${child.pid}/status`, 'utf8').then(
          (status) => (peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0))),
          () => undefined,
        );
      }, 10);
      const ended = await end(child).finally(() => clearInterval(watch));
      expect(resultOf(ended)).toMatchObject({ regions: 1, bytes: LARGE_BYTES });
      expect(peak).toBeGreaterThan(0);
      expect(peak).toBeLessThan(MOST_RESIDENT_KIB);
      const target = await openPool(inPlace('copy'), { read_only: true });
      const [region] = (await target.list()).regions;
      const tail = await target.read(region?.id as RegionId, LARGE_BYTES - 100, 100);
      expect(Buffer.compare(tail, pattern(100))).toBe(0);
      await target.close();
      await rm(inPlace('copy'));
    });
  }

  it('copies out of and into a backend that a library brings', async () => {
    // In processes of their own: a library works with the package as it was built.
    const options = ['--library', LIBRARY, '--verify', '--json'];
    const [out, into] = await Promise.all([
      run(['pool', 'copy', 'shelf:{"regions": 3}', inPlace('out'), ...options]),
      run(['pool', 'copy', path.join(home, 'source'), 'shelf:{}', ...options]),
    ]);
    expect([out.stderr, out.status, into.stderr, into.status]).toEqual(['', 0, '', 0]);
    expect(resultOf(into)).toMatchObject({ to: { type: 'shelf' }, regions: contents.length, erased: 2 });
    const target = await openPool(inPlace('out'));
    const { regions } = await target.list();
    // Slot 0 had a generation 1 before.
    expect(regions.map(({ id, size }) => [id.slot, id.generation, size])).toEqual([
      [0, 2, 100],
      [1, 1, 100],
      [2, 1, 100],
    ]);
    await target.close();
  });

  it('refuses what cannot be, and leaves nothing behind', async () => {
    const source = path.join(home, 'source');
    const used = await openPool(inPlace('used'), { create_if_missing_with_size: 8 * MIB });
    await writeFile(inPlace('there'), 'no pool');
    const cases: [args: string[], status: number, code: string][] = [
      [[inPlace('used'), inPlace('new')], 1, 'POOL_IN_USE'],
      [[source, inPlace('used'), '--override'], 1, 'POOL_IN_USE'],
      [[source, source, '--override'], 2, 'INVALID_ARGUMENT'],
      [[source, inPlace('there')], 1, 'INVALID_ARGUMENT'],
      [[source, inPlace('there'), '--override'], 2, 'POOL_CORRUPT'],
      [[inPlace('there'), inPlace('new')], 2, 'POOL_CORRUPT'],
      [[inPlace('nothing'), inPlace('new')], 2, 'POOL_NOT_FOUND'],
      [[source, inPlace('no/folder')], 1, 'ENOENT'],
      [[path.join(home, 'large'), inPlace('new'), '--size', '9M'], 1, 'OUT_OF_SPACE'],
      [[source, inPlace('new'), '--size', '1M'], 2, 'INVALID_ARGUMENT'],
      [[source, `fiel:${inPlace('new')}`], 2, 'INVALID_ARGUMENT'],
      [[source, `file:{"path": "${inPlace('new')}", "sise": 1}`], 2, 'INVALID_ARGUMENT'],
      [[source, 'file:{'], 2, 'INVALID_ARGUMENT'],
      [[source, 'memory:{}', '--size', '8M'], 2, 'INVALID_ARGUMENT'],
      [[source, 'memory:{"max_bytes": 1000}'], 1, 'OUT_OF_SPACE'],
      [[source, 'stub:{}', '--library', STUB], 1, 'NOT_SUPPORTED'],
      [[source, 'shelf:{"regions": 1}', '--library', LIBRARY], 1, 'INVALID_ARGUMENT'],
    ];
    for (const [args, status, code] of cases) {
      const ended = await copy(...args);
      expect([args, ended.status, codeOf(ended)]).toEqual([args, status, code]);
    }
    await used.close();
    expect((await readdir(place)).toSorted()).toEqual(['there', 'used']);
  });

  it("refuses settings that contradict each other by the backend's own rules", async () => {
    const settings = { path: inPlace('there'), size: 16 * MIB, max_size: 8 * MIB };
    const refused = await copy(path.join(home, 'source'), `file:${JSON.stringify(settings)}`);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('$.max_size');
    expect(await readdir(place)).toEqual([]);
  });

  it('replaces a pool with --override, and only then', async () => {
    const old = await openPool(inPlace('old'), { create_if_missing_with_size: 8 * MIB });
    const id = await old.create(10);
    await old.close();
    const ended = await copy(path.join(home, 'source'), inPlace('old'), '--override', '--size', '9M');
    expect([ended.stderr, ended.status]).toEqual(['', 0]);
    const target = await openPool(inPlace('old'));
    await expect(target.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect((await target.stats()).regions).toBe(contents.length);
    await target.close();
    expect(await readdir(place)).toEqual(['old']);
  });

  it('names what is damaged, copies the rest, and never gives the lost ID out', async () => {
    await writeFile(inPlace('damaged'), await readFile(path.join(home, 'source')));
    const file = await open(inPlace('damaged'), 'r+');
    // The first chunk follows the headers; a bit of the extent of slot 2.
    await file.write(Buffer.from([0x41]), 0, 1, 8192 + 2 * 64 + 9);
    await file.close();
    const ended = await copy(inPlace('damaged'), inPlace('copy'), '--json');
    expect([ended.status, resultOf(ended).quarantined]).toEqual([1, 1]);
    expect(ended.stderr).toMatch(/slot 2\b/);
    expect(ended.stderr).toContain('error POOL_CORRUPT: ');
    const target = await openPool(inPlace('copy'));
    const left = contents.filter((_, at) => at !== 2);
    expect((await snapshotOf(target)).regions).toEqual(left);
    for (let count = 0; count < 5; count++) expect((await target.create(1)).slot).not.toBe(2);
    await target.close();
  });

  it('leaves nothing when it is interrupted, and no pool when it is killed', async () => {
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGKILL', null],
    ] as const) {
      const child = launch(process.execPath, [
        MAIN,
        'pool',
        'copy',
        path.join(home, 'large'),
        inPlace('copy'),
      ]);
      const ended = end(child);
      while ((await readdir(place)).length === 0) await delay(5);
      child.kill(signal);
      expect((await ended).status).toBe(status);
      const left = await readdir(place);
      if (signal === 'SIGINT') expect(left).toEqual([]);
      else expect(left.filter((name) => !name.startsWith('.bedrock-copy-'))).toEqual([]);
    }
  });

  needs('script', hasCommand('script')).it('shows a bar on a terminal', async () => {
    const command = `'${process.execPath}' '${MAIN}' pool copy '${home}/middling' '${inPlace('bar')}'`;
    const { stdout } = await runShell(`script -qec "${command}" /dev/null`);
    expect(stdout).toMatch(/copying \[#+\] 100% 9\.0 MiB of 9\.0 MiB/);
  });
});
