/** Allocation, holes, locks, many writes in one, and reads from the page cache. */
import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { link, open, rename, truncate, writeFile } from 'node:fs/promises';
import {
  allocate,
  commit,
  dropCache,
  firstNonZero,
  HeldFile,
  lock,
  LockedError,
  punchHole,
  readNow,
  unlock,
  unshare,
  writeMany,
  zeroRange,
  verify,
} from '../../native/index.js';
import { useFolder } from './folder.js';
import { runScript, WELL } from './script.js';

const at = useFolder();
const shared = useFolder('/dev/shm');
const MIB = 2 ** 20;

describe('allocate', () => {
  it('extends a file, gives it blocks, and leaves what is there', async () => {
    await using file = await open(at('allocated'), 'w+');
    await file.write('before');
    await allocate(file, 0, MIB);
    await allocate(file.fd, 2 * MIB, MIB, { emulate: false });
    const { size, blocks } = await file.stat();
    expect(size).toBe(3 * MIB);
    expect(blocks * 512).toBeGreaterThanOrEqual(2 * MIB);
    expect((await file.read(Buffer.alloc(8), 0, 8, 0)).buffer).toEqual(Buffer.from('before\0\0'));
  });

  it('finds no space with ENOSPC, and changes nothing', async () => {
    await using file = await open(shared('full'), 'w+');
    await expect(allocate(file, 0, 2 ** 43)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'allocate' });
    expect((await file.stat()).size).toBe(0);
  });

  it('refuses a file that is open for reading only with EBADF', async () => {
    await (await open(at('read'), 'w')).close();
    await using file = await open(at('read'), 'r');
    await expect(allocate(file, 0, 1)).rejects.toMatchObject({ code: 'EBADF' });
  });
});

it('punchHole gives blocks back, and the bytes read as zero', async () => {
  await using file = await open(at('holed'), 'w+');
  await file.write(Buffer.alloc(MIB, 1));
  await file.sync();
  const before = statSync(at('holed')).blocks;
  await punchHole(file, 4096, MIB / 2);
  expect(statSync(at('holed'))).toMatchObject({ size: MIB });
  expect(statSync(at('holed')).blocks).toBeLessThan(before);
  const { buffer } = await file.read(Buffer.alloc(MIB), 0, MIB, 0);
  const expected = Buffer.alloc(MIB, 1).fill(0, 4096, 4096 + MIB / 2);
  // Not by toEqual, which takes seconds to look at each byte.
  expect(buffer.equals(expected)).toBe(true);
});

describe('zeroRange', () => {
  it('makes bytes read as zero, and gives holes their space', async () => {
    await using file = await open(at('zeroed'), 'w+');
    await file.write(Buffer.alloc(MIB, 1));
    await file.truncate(2 * MIB);
    await zeroRange(file, 4096, 2 * MIB - 4096);
    const { size, blocks } = await file.stat();
    expect(size).toBe(2 * MIB);
    expect(blocks * 512).toBeGreaterThanOrEqual(2 * MIB);
    const { buffer } = await file.read(Buffer.alloc(2 * MIB), 0, 2 * MIB, 0);
    expect(buffer.equals(Buffer.alloc(2 * MIB).fill(1, 0, 4096))).toBe(true);
  });

  it('is refused by tmpfs with ENOTSUP', async () => {
    await using file = await open(shared('zeroed'), 'w+');
    await file.write(Buffer.alloc(MIB, 1));
    await expect(zeroRange(file, 0, MIB)).rejects.toMatchObject({ code: 'ENOTSUP', syscall: 'zeroRange' });
  });
});

describe('unshare', () => {
  it('of a file that shares nothing changes nothing, beyond its end neither', async () => {
    await using file = await open(at('alone'), 'w+');
    await file.write(Buffer.alloc(MIB, 1));
    await file.sync();
    const { size, blocks } = await file.stat();
    await unshare(file, 0, MIB);
    await unshare(file.fd, 4097, 8 * MIB);
    await unshare(file, 0, 0);
    expect(await file.stat()).toMatchObject({ size, blocks });
  });

  it('serves a held file, and refuses one that is closed with EBADF', async () => {
    const file = await open(at('held'), 'w+');
    const held = new HeldFile(file);
    await unshare(held, 0, MIB);
    held.close();
    await expect(unshare(held, 0, MIB)).rejects.toMatchObject({ code: 'EBADF', syscall: 'unshare' });
    await file.close();
    await expect(unshare(-1, 0, MIB)).rejects.toMatchObject({ code: 'EBADF' });
  });
});

describe('a held file', () => {
  it('serves calls while the process has no descriptor left', async () => {
    const script = `
      const fd = fs.openSync(args[0], 'w+');
      const held = new native.HeldFile(fd);
      while (codeOf(() => fs.openSync('/dev/null')) === undefined);
      assert.equal(await codeOfAsync(() => native.punchHole(fd, 0, 1)), 'EMFILE');
      assert.equal(codeOf(() => new native.HeldFile(fd)), 'EMFILE');
      await native.allocate(held, 0, 65536);
      await native.writeMany(held, [{ offset: 0, bytes: Buffer.from('written') }]);
      await native.punchHole(held, 4096, 4096);
      assert.equal(fs.fstatSync(fd).size, 65536);
    `;
    const ended = await runScript(script, { args: [at('held')], before: 'ulimit -n 64' });
    expect(ended).toMatchObject(WELL);
  });

  it('keeps the file, and its lock, until it is closed', async () => {
    const first = await open(at('kept'), 'w+');
    await lock(first);
    const held = new HeldFile(first);
    await first.close();
    await using second = await open(at('kept'), 'r+');
    await expect(lock(second)).rejects.toMatchObject({ code: 'EAGAIN' });
    await writeMany(held, [{ offset: 0, bytes: Buffer.from('kept') }]);
    const last = writeMany(held, [{ offset: 4, bytes: Buffer.from(' to the end') }]);
    held.close();
    held.close();
    await last;
    expect(String(await second.readFile())).toBe('kept to the end');
    await expect(allocate(held, 0, 1)).rejects.toMatchObject({ code: 'EBADF' });
    await lock(second);
  });

  it('is nothing that others can make', async () => {
    expect(() => new HeldFile(-1)).toThrow('EBADF');
    expect(() => new HeldFile(9999)).toThrow('EBADF');
    const forged = Object.create(HeldFile.prototype) as HeldFile;
    await expect(allocate(forged, 0, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('writeMany', () => {
  it('writes each piece at its place, in order', async () => {
    await using file = await open(at('pieces'), 'w+');
    await writeMany(file, [
      { offset: 4, bytes: Buffer.from('efgh') },
      { offset: 8, bytes: Buffer.from('ijkl') },
      { offset: 0, bytes: Buffer.from('abcd') },
      { offset: 2, bytes: Buffer.from('CD') },
      { offset: 3, bytes: Buffer.alloc(0) },
      { offset: 14, bytes: Buffer.from('op') },
    ]);
    await writeMany(file.fd, []);
    expect(String(await file.readFile())).toBe('abCDefghijkl\0\0op');
  });

  it('has taken the bytes when it returns', async () => {
    await using file = await open(at('taken'), 'w+');
    const bytes = Buffer.from('as they were');
    const written = writeMany(file, [{ offset: 0, bytes }]);
    bytes.fill(0);
    await written;
    expect(String(await file.readFile())).toBe('as they were');
  });

  it('refuses what are no bytes and no offset, and writes nothing then', async () => {
    await using file = await open(at('refused'), 'w+');
    const good = { offset: 0, bytes: Buffer.from('good') };
    for (const bad of [
      { offset: -1, bytes: good.bytes },
      { offset: 0.5, bytes: good.bytes },
      { offset: 0, bytes: 'text' },
      { offset: 0, bytes: new Float64Array(1) },
    ])
      await expect(writeMany(file, [good, bad as never])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const grows = [good, good];
    Object.defineProperty(grows, 1, {
      get: () => (grows.push(good), good),
    });
    // oxlint-disable-next-line no-sparse-arrays -- the hole is what is tested
    for (const bad of [undefined, null, 5, 'text', {}, { length: 1 }, [null], [5], [, good], new Map()])
      await expect(writeMany(file, bad as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await file.stat()).size).toBe(0);
  });

  it('fails as the system says', async () => {
    const piece = { offset: 0, bytes: Buffer.from('bytes') };
    await using full = await open('/dev/full', 'r+');
    await expect(writeMany(full, [piece])).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'write' });
    await (await open(at('reading'), 'w')).close();
    await using reading = await open(at('reading'), 'r');
    await expect(writeMany(reading, [piece])).rejects.toMatchObject({ code: 'EBADF' });
  });
});

/** Bytes of a file that are in the system's cache (fincore(1)); nothing where nobody tells. */
function cachedBytes(name: string): number | undefined {
  const { status, stdout } = spawnSync('fincore', ['-n', '-b', '-o', 'RES', at(name)], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : undefined;
}

describe('commit', () => {
  it('makes durable, and tells a file that has its bytes and its name from one that has not', async () => {
    await using file = await open(at('pool'), 'w+');
    await file.write(Buffer.alloc(100, 7));
    const known = { path: at('pool'), size: 100 };
    await expect(commit(file, known)).resolves.toBe(true);
    await expect(commit(file, { ...known, size: 101 })).resolves.toBe(false);
    await expect(commit(file, { ...known, path: at('none') })).resolves.toBe(false);
    await rename(at('pool'), at('moved'));
    await expect(commit(file, known)).resolves.toBe(false);
    await using other = await open(at('pool'), 'w+');
    await other.write(Buffer.alloc(100, 7));
    await expect(commit(file, known)).resolves.toBe(false);
  });

  it('refuses what is no file, and arguments that are none', async () => {
    const file = await open(at('closed'), 'w');
    await file.close();
    await expect(commit(file, { path: at('closed'), size: 0 })).rejects.toMatchObject({ code: 'EBADF' });
    await using one = await open(at('one'), 'w');
    for (const known of [
      { path: 'a\0b', size: 0 },
      { path: 1, size: 0 },
      { path: 'a', size: -1 },
    ])
      await expect(commit(one, known as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('dropCache', () => {
  it('drops what is durable from the cache, and nothing from the file', async () => {
    await using file = await open(at('cached'), 'w+');
    await file.write(Buffer.alloc(MIB, 7));
    await file.datasync();
    const before = cachedBytes('cached');
    await dropCache(file);
    // A file system in memory keeps them, as it has nowhere else.
    const after = cachedBytes('cached');
    if (before !== undefined) expect([0, MIB]).toContain(after);
    const { buffer } = await file.read(Buffer.alloc(MIB), 0, MIB, 0);
    expect(buffer.equals(Buffer.alloc(MIB, 7))).toBe(true);
  });

  it('refuses a file that is closed with EBADF', async () => {
    const file = await open(at('closed'), 'w');
    await file.close();
    await expect(dropCache(file)).rejects.toMatchObject({ code: 'EBADF' });
  });
});

describe('lock', () => {
  it('excludes a second opening until it is closed', async () => {
    await using second = await open(at('lock'), 'w+');
    {
      await using first = await open(at('lock'), 'r+');
      await lock(first);
      await lock(first);
      await expect(lock(second)).rejects.toMatchObject({ code: 'EAGAIN', errno: -11 });
      await expect(lock(second, { shared: true })).rejects.toBeInstanceOf(LockedError);
    }
    await lock(second);
  });

  it('shared admits shared and excludes exclusive; unlock ends it', async () => {
    await using first = await open(at('lock'), 'w+');
    await using second = await open(at('lock'), 'r');
    await lock(first, { shared: true });
    await lock(second, { shared: true });
    await expect(lock(first)).rejects.toMatchObject({ code: 'EAGAIN' });
    await unlock(second);
    await lock(first);
  });

  it('names the process that holds it, and ends with that process', async () => {
    await using file = await open(at('lock'), 'w+');
    await lock(file);
    const end = await runScript(
      `
      const file = fs.openSync(args[0], 'r+');
      const failure = await native.lock(file).catch((error) => error);
      console.log(JSON.stringify({ code: failure.code, holders: failure.holders.map(({ pid }) => pid) }));
      const own = fs.openSync(args[0] + '.own', 'w');
      await native.lock(own);`,
      { args: [at('lock')] },
    );
    // Where another process's numbers are hidden there are no holders.
    expect(end).toMatchObject(WELL);
    const { code, holders } = JSON.parse(end.stdout) as { code: string; holders: number[] };
    expect(code).toBe('EAGAIN');
    expect([[process.pid], []]).toContainEqual(holders);
    await using own = await open(at('lock.own'), 'r+');
    await lock(own);
  });

  it('stays with the file when a number is given that is closed meanwhile', async () => {
    const file = await open(at('lock'), 'w+');
    const locking = lock(file);
    await file.close();
    await expect(locking).resolves.toBeUndefined();
    await using again = await open(at('lock'), 'r+');
    await lock(again);
  });
});

describe('firstNonZero', () => {
  it('finds the byte behind holes and zeros, and none where there is none', async () => {
    await using file = await open(at('sparse'), 'w+');
    await file.truncate(2 ** 36);
    await expect(firstNonZero(file, 0, 2 ** 36)).resolves.toBeUndefined();
    await file.write(Buffer.alloc(2 ** 21), 0, 2 ** 21, 2 ** 35);
    await file.write(Buffer.from([7]), 0, 1, 2 ** 35 + 2 ** 20 + 5);
    await expect(firstNonZero(file, 3, 2 ** 36)).resolves.toBe(2 ** 35 + 2 ** 20 + 5);
    await expect(firstNonZero(file, 0, 2 ** 35 + 2 ** 20 + 5)).resolves.toBeUndefined();
    await expect(firstNonZero(file, 2 ** 35 + 2 ** 20 + 6, 2 ** 50)).resolves.toBeUndefined();
    await expect(firstNonZero(file, -1, 5)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('verify', () => {
  const known = (size = 100): { path: string; size: number } => ({ path: at('file'), size });

  it('says nothing of a file that has its bytes and its name, whatever other names it has', async () => {
    await writeFile(at('file'), Buffer.alloc(100));
    await using file = await open(at('file'), 'r');
    await link(at('file'), at('other'));
    await expect(verify(file, known())).resolves.toBeUndefined();
    await expect(verify(file, known(101))).rejects.toMatchObject({ code: 'ESTALE' });
    await expect(verify(file, { path: 'a\0b', size: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each(['cut off', 'moved', 'replaced'])('says that a file was %s', async (change) => {
    await writeFile(at('file'), Buffer.alloc(100));
    await using file = await open(at('file'), 'r');
    if (change === 'cut off') await truncate(at('file'), 99);
    else await rename(at('file'), at('other'));
    if (change === 'replaced') await writeFile(at('file'), Buffer.alloc(100));
    await expect(verify(file, known())).rejects.toMatchObject({ code: 'ESTALE' });
  });
});

describe('readNow', () => {
  it('reads what is in the page cache, and only if all of it is there', async () => {
    await using file = await open(at('cached'), 'w+');
    const bytes = randomBytes(100_000);
    await file.write(bytes);
    const into = Buffer.alloc(bytes.length);
    // Undefined where the file system cannot tell: tmpfs.
    const isThere = readNow(file, into, 0);
    expect([true, undefined]).toContain(isThere);
    expect(isThere === undefined || into.equals(bytes)).toBe(true);
    expect(readNow(file, into, 1)).toBe(isThere && false);
    expect(readNow(file, into, 2 ** 53 - 1 - into.length)).toBe(isThere && false);
    const held = new HeldFile(file);
    expect(readNow(held, into.subarray(7, 9), 70)).toBe(isThere);
    expect(isThere === undefined || into.subarray(7, 9).equals(bytes.subarray(70, 72))).toBe(true);
    // What it returns after this depends on the file system; what it reads does not.
    await file.datasync();
    await dropCache(file);
    into.fill(0);
    expect(readNow(held, into, 0) !== true || into.equals(bytes)).toBe(true);
    held.close();
    expect(() => readNow(held, into, 0)).toThrow(
      expect.objectContaining({ code: 'EBADF', syscall: 'preadv2' }),
    );
  });

  it('refuses what are no bytes, no offset and no file', async () => {
    await using file = await open(at('refused'), 'w+');
    const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    for (const into of [
      undefined,
      null,
      'text',
      5,
      [1],
      new Float64Array(1),
      new DataView(new ArrayBuffer(1)),
    ])
      expect(() => readNow(file, into as never, 0)).toThrow(invalid);
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, '0', 1n, undefined])
      expect(() => readNow(file, Buffer.alloc(1), offset as never)).toThrow(invalid);
    for (const no of [undefined, {}, 'path', 2 ** 31])
      expect(() => readNow(no as never, Buffer.alloc(1), 0)).toThrow(invalid);
    expect(() => readNow(-1, Buffer.alloc(1), 0)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    await using writing = await open(at('refused'), 'a');
    expect(() => readNow(writing, Buffer.alloc(1), 0)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});
