/** mapFile: the rules of pmem_map_file(3), and its errors. */
import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';
import { mapFile, type MapFileOptions } from '../../native/index.js';
import { needs } from '../fixtures/needs.js';
import { useFolder } from './folder.js';
import { runScript, WELL } from './script.js';

const at = useFolder();
const shared = useFolder('/dev/shm');
const MIB = 2 ** 20;
// A sanitizer needs /proc.
const canHide = process.env.ASAN_OPTIONS === undefined && spawnSync('unshare', ['-rm', 'true']).status === 0;
const namespaces = needs('name spaces of mounts', canHide);

describe('mapFile', () => {
  it('creates a file, allocates it and maps it', async () => {
    const mapping = await mapFile(at('new'), { create: true, size: MIB, mode: 0o600 });
    const { size, blocks, mode } = statSync(at('new'));
    expect({ size, mode: mode & 0o777 }).toEqual({ size: MIB, mode: 0o600 });
    expect(blocks * 512).toBeGreaterThanOrEqual(MIB);
    expect(mapping).toMatchObject({ size: MIB, path: at('new'), windowCount: 1, isOpen: true });
    await mapping.close();
  });

  it('maps the whole of a file that is there', async () => {
    writeFileSync(at('old'), 'what was there');
    const mapping = await mapFile(at('old'));
    expect(mapping.size).toBe(14);
    expect(String(Buffer.from(mapping.window(0)))).toBe('what was there');
    await mapping.close();
  });

  it('extends and cuts off an existing file with create', async () => {
    writeFileSync(at('old'), Buffer.alloc(8192, 1));
    await (await mapFile(at('old'), { create: true, size: 16384 })).close();
    expect(statSync(at('old')).size).toBe(16384);
    await (await mapFile(at('old'), { create: true, size: 4096, sparse: true })).close();
    expect(readFileSync(at('old'))).toEqual(Buffer.alloc(4096, 1));
  });

  it('leaves a sparse file without blocks', async () => {
    const mapping = await mapFile(at('sparse'), { create: true, sparse: true, size: 64 * MIB });
    expect(statSync(at('sparse')).blocks).toBe(0);
    await mapping.close();
  });

  it('maps a temporary file without a name', async () => {
    const folder = path.dirname(at('x'));
    const mapping = await mapFile(folder, { create: true, tmpfile: true, size: MIB });
    expect(readdirSync(folder)).toEqual([]);
    mapping.window(0)[5] = 6;
    await mapping.persist(5, 1);
    expect(mapping.view(5, 1)).toEqual(new Uint8Array([6]));
    await mapping.close();
  });

  const REFUSED: { title: string; name: string; options?: MapFileOptions; code: string }[] = [
    { title: 'no such file', name: 'missing', code: 'ENOENT' },
    { title: 'no such folder', name: 'missing/x', options: { create: true, size: 1 }, code: 'ENOENT' },
    {
      title: 'a file that is there, exclusive',
      name: 'there',
      options: { create: true, exclusive: true, size: 1 },
      code: 'EEXIST',
    },
    { title: 'a directory', name: '', code: 'EISDIR' },
    { title: 'an empty file', name: 'empty', code: 'EINVAL' },
    { title: 'create without a size', name: 'new', options: { create: true }, code: 'EINVAL' },
    { title: 'create with size 0', name: 'new', options: { create: true, size: 0 }, code: 'EINVAL' },
    { title: 'a size without create', name: 'there', options: { size: 5 }, code: 'EINVAL' },
    { title: 'tmpfile without create', name: '', options: { tmpfile: true }, code: 'EINVAL' },
    {
      title: 'create for reading only',
      name: 'new',
      options: { create: true, size: 1, readOnly: true },
      code: 'EINVAL',
    },
    { title: 'no such file, for reading', name: 'missing', options: { readOnly: true }, code: 'ENOENT' },
    { title: 'an empty file, for reading', name: 'empty', options: { readOnly: true }, code: 'EINVAL' },
    { title: 'a directory, for reading', name: '', options: { readOnly: true }, code: 'ENODEV' },
    {
      title: 'more than the file system takes',
      name: 'new',
      options: { create: true, sparse: true, size: 2 ** 53 - 1 },
      code: 'EFBIG',
    },
  ];

  it.each(REFUSED)('refuses $title with $code', async ({ name, options, code }) => {
    writeFileSync(at('there'), 'x');
    writeFileSync(at('empty'), '');
    const file = at(name);
    const failure: unknown = await mapFile(file, options).catch((error: unknown) => error);
    const errno = -constants.errno[code as keyof typeof constants.errno];
    expect(failure).toMatchObject({ name: 'SystemError', code, errno, path: file, syscall: 'mapFile' });
    // The call, or the rule.
    expect((failure as Error).message.length).toBeGreaterThan(code.length + file.length);
  });

  it('reports a full medium as ENOSPC, and leaves no file of an exclusive creation', async () => {
    // A tmpfs refuses beforehand; a disk would fill up first, for everybody.
    const file = shared('huge');
    await expect(mapFile(file, { create: true, exclusive: true, size: 2 ** 43 })).rejects.toMatchObject({
      code: 'ENOSPC',
      errno: -constants.errno.ENOSPC,
      path: file,
    });
    expect(existsSync(file)).toBe(false);
  });

  it('says of a failure nothing that is of an earlier one', async () => {
    // libpmem keeps its last message, and not every failure leaves a new one.
    await mapFile(at('missing')).catch(() => undefined);
    const failure: unknown = await mapFile('/dev/null').catch((error: unknown) => error);
    expect(failure).toMatchObject({ path: '/dev/null' });
    expect((failure as Error).message).not.toContain('missing');
  });

  it('maps an open file, and names it by its path in errors', async () => {
    writeFileSync(at('old'), 'opened before');
    const file = await open(at('old'), 'r+');
    const mapping = await mapFile('the pool', { file });
    await file.truncate(0);
    const failure: unknown = await mapFile('the pool', { file }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'EINVAL', path: 'the pool' });
    expect((failure as Error).message).not.toContain('/proc');
    await file.close();
    expect(mapping).toMatchObject({ size: 13, path: 'the pool' });
    await mapping.close();
    await expect(mapFile('the pool', { file })).rejects.toMatchObject({ code: 'EBADF' });
  });

  it('maps for reading what may not be written', async () => {
    writeFileSync(at('secret'), 'for reading only', { mode: 0o444 });
    chmodSync(path.dirname(at('secret')), 0o755);
    const end = await runScript(
      `
      if (process.getuid() === 0) process.seteuid(65534);
      console.log(await codeOfAsync(() => mapFile(args[0])));
      const mapping = await mapFile(args[0], { readOnly: true });
      console.log(Buffer.from(mapping.view(0, mapping.size)).toString());
      await mapping.close();
      const file = fs.openSync(args[0], 'r');
      await (await mapFile(args[0], { readOnly: true, file })).close();`,
      { args: [at('secret')] },
    );
    expect(end).toEqual({ ...WELL, stdout: 'EACCES\nfor reading only\n' });
  });

  const WRONG: { title: string; path?: unknown; options?: unknown }[] = [
    { title: 'no path', path: undefined },
    { title: 'an empty path', path: '' },
    { title: 'a path with a NUL', path: 'a\0b' },
    { title: 'a Buffer as path', path: Buffer.from('a') },
    { title: 'null as options', options: null },
    { title: 'options that are a number', options: 5 },
    { title: 'an unknown option', options: { crate: true } },
    { title: 'a negative size', options: { create: true, size: -1 } },
    { title: 'a fractional size', options: { create: true, size: 1.5 } },
    { title: 'NaN as size', options: { create: true, size: NaN } },
    { title: 'an infinite size', options: { create: true, size: Infinity } },
    { title: 'a size beyond 2^53', options: { create: true, size: 2 ** 53 } },
    { title: 'a bigint as size', options: { create: true, size: 5n } },
    { title: 'a string as size', options: { create: true, size: '4096' } },
    { title: 'a number as flag', options: { create: 1, size: 5 } },
    { title: 'a mode that is none', options: { create: true, size: 5, mode: 0o10000 } },
    { title: 'a file that is none', options: { file: 'x' } },
    { title: 'an open file with create', options: { create: true, size: 5, file: 0 } },
    { title: 'a mode as text', options: { create: true, size: 5, mode: '0600' } },
  ];

  it.each(WRONG)('rejects $title with INVALID_ARGUMENT', async (wrong) => {
    const file = 'path' in wrong ? wrong.path : at('x');
    const options = wrong.options as MapFileOptions | undefined;
    await expect(mapFile(file as string, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(existsSync(at('x'))).toBe(false);
  });

  it('takes a file by its descriptor, through /proc/self/fd', async () => {
    writeFileSync(at('old'), 'opened before');
    const file = await open(at('old'), 'r+');
    const mapping = await mapFile(`/proc/self/fd/${file.fd}`);
    await file.close();
    expect(mapping.size).toBe(13);
    await mapping.close();
  });

  it('names the mode that PMEM_IS_PMEM_FORCE makes', async () => {
    const script = `
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      console.log(mapping.mode, mapping.isPmem, mapping.attributes().mode);
      await mapping.close();`;
    const hasLibpmem = (await import('../../native/index.js')).attributes().libpmem !== null;
    const forced = await runScript(script, { args: [at('a')], isForced: true });
    expect(forced).toEqual({
      ...WELL,
      stdout: hasLibpmem ? 'pmem-forced true pmem-forced\n' : 'msync false msync\n',
    });
    const plain = await runScript(script, { args: [at('b')] });
    expect(plain).toEqual({ ...WELL, stdout: 'msync false msync\n' });
  });

  it('reports an exhausted address space as ENOMEM', async () => {
    const end = await runScript(
      `
      // The address space that is left is measured, as sanitizers take most of it.
      const code = await codeOfAsync(() => mapFile(args[0], { create: true, sparse: true, size: 2 ** 43 }));
      const tooMany = [];
      for (let i = 0; code === undefined && i < 40; i++) {
        try { tooMany.push(await mapFile(args[0])); } catch (error) { assert.equal(error.code, 'ENOMEM'); break; }
      }
      assert.ok(code === 'ENOMEM' || tooMany.length < 40, String(code));
      for (const one of tooMany) await one.close();`,
      { args: [at('large')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('reports a size above the limit of the process as EFBIG', async () => {
    const end = await runScript(
      `console.log(await codeOfAsync(() => mapFile(args[0], { create: true, sparse: true, size: 2 ** 30 })));`,
      { args: [at('limited')], before: 'ulimit -f 1024' },
    );
    expect(end).toEqual({ ...WELL, stdout: 'EFBIG\n' });
  });

  namespaces.it('says that /proc is missing, by whose path libpmem finds an open file', async () => {
    const script = `
      const fd = fs.openSync(args[0], 'w+');
      fs.writeSync(fd, 'contents');
      console.log(await codeOfAsync(() => mapFile(args[0], { file: fd })), await codeOfAsync(() => mapFile('/none')));`;
    const before = `exec unshare -rm sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "$@"`;
    const end = await runScript(script, { args: [at('open')], before });
    expect(end).toEqual({ ...WELL, stdout: 'NOT_SUPPORTED ENOENT\n' });
  });
});
