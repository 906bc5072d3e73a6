/**
 * The file of the log: appended to, opened anew after a rotation, whole lines in their order, and
 * what is lost is told.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readlinkSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { LogFile } from '../../core/base/log-file.js';
import { bootstrap } from '../../core/index.js';
import { withoutTimes } from '../fixtures/log-times.js';

let home: string;
let name: string;
let tests = 0;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-log-'));
});
afterAll(async () => {
  await rm(home, { recursive: true });
});
beforeEach(() => {
  name = path.join(home, `log${tests++}`);
});

const contents = (file: string): Promise<string> => readFile(file, 'utf8');

function readlinkIfThere(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}

describe('a log file', () => {
  it('is appended to, in the order of the lines, those before it was opened included', async () => {
    await writeFile(name, 'from an earlier run\n');
    const log = new LogFile(name);
    log.stream.write('0\n');
    await log.open();
    for (let line = 1; line < 1000; line++) log.stream.write(`${line}\n`);
    await log.close();
    const lines = Array.from({ length: 1000 }, (_, line) => `${line}\n`);
    await expect(contents(name)).resolves.toBe(`from an earlier run\n${lines.join('')}`);
  });

  it('is opened anew after a rotation by renaming: no line is in neither file, or in both', async () => {
    const log = new LogFile(name);
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.stream.write(`before ${round}\n`);
      await rename(name, `${name}.${round}`);
      log.stream.write(`between ${round}\n`);
      await log.reopen();
    }
    log.stream.write('after\n');
    await log.close();
    const all = [...(await Promise.all([0, 1, 2].map((round) => contents(`${name}.${round}`))))];
    all.push(await contents(name));
    const written = [0, 1, 2].map((round) => `before ${round}\nbetween ${round}\n`);
    expect(all.join('')).toBe(`${written.join('')}after\n`);
  });

  it('stays closed if it is to be opened anew after its end, as by a signal during a stop', async () => {
    const log = new LogFile(name);
    await log.open();
    const closed = log.close();
    await rm(name);
    await Promise.all([closed, log.reopen()]);
    expect(existsSync(name)).toBe(false);
  });

  it('has no hole after a rotation that copies and truncates', async () => {
    const log = new LogFile(name);
    await log.open();
    log.stream.write('before\n'.repeat(1000));
    await log.reopen();
    await truncate(name);
    log.stream.write('after\n');
    await log.close();
    await expect(contents(name)).resolves.toBe('after\n');
  });

  it('goes on with the new one if the old one does not close, and says so', async () => {
    const lower = openSync('/dev/null', 'r');
    const log = new LogFile(name);
    await log.open();
    log.stream.write('old\n');
    await log.reopen();
    await rename(name, `${name}.1`);
    // Its descriptor is gone, and the next file gets the lower number.
    const own = (await readdir('/proc/self/fd')).find(
      (fd) => readlinkIfThere(`/proc/self/fd/${fd}`) === `${name}.1`,
    );
    for (const fd of [Number(own), lower]) closeSync(fd);
    await expect(log.reopen()).resolves.toContain('EBADF');
    log.stream.write('new\n');
    await log.close();
    await expect(contents(name)).resolves.toBe('new\n');
    await expect(contents(`${name}.1`)).resolves.toBe('old\n');
  });

  it('goes on where it was if it cannot be opened anew', async () => {
    const folder = `${name}.d`;
    await mkdir(folder);
    const log = new LogFile(path.join(folder, 'log'));
    await log.open();
    await rename(folder, `${folder}.away`);
    await expect(log.reopen()).rejects.toMatchObject({ code: 'ENOENT' });
    log.stream.write('on\n');
    await log.close();
    await expect(contents(path.join(`${folder}.away`, 'log'))).resolves.toBe('on\n');
  });

  it('loses what the disk does not take, goes on, and says how much when it can', async () => {
    await symlink('/dev/full', name);
    const log = new LogFile(name);
    const gaps: [number, string][] = [];
    log.onGap = (lines, reason) => gaps.push([lines, reason]);
    await log.open();
    for (const line of ['1\n', '2\n']) log.stream.write(line);
    await log.reopen();
    expect(gaps).toEqual([]);
    await rm(name);
    await log.reopen();
    log.stream.write('3\n');
    await log.close();
    await expect(contents(name)).resolves.toBe('3\n');
    expect(gaps).toEqual([[2, expect.stringContaining('ENOSPC')]]);
  });

  it('keeps no more than it may while the disk stands still', async () => {
    const log = new LogFile(name);
    const gaps: number[] = [];
    log.onGap = (lines) => gaps.push(lines);
    const line = Buffer.alloc(2 ** 20, 'x');
    for (let count = 0; count < 10; count++) log.stream.write(line);
    await log.open();
    await log.close();
    expect((await contents(name)).length).toBe(4 * 2 ** 20);
    expect(gaps).toEqual([6]);
  });

  it('does not wait long at its end for a pipe that nobody reads', async () => {
    execFileSync('mkfifo', [name]);
    const log = new LogFile(name);
    await expect(log.open()).rejects.toMatchObject({ code: 'START_FAILED' });
    const reader = await open(name, constants.O_RDWR | constants.O_NONBLOCK);
    await log.open();
    const losses: string[] = [];
    log.onLoss = (reason) => losses.push(reason);
    for (let count = 0; count < 3; count++) log.stream.write(Buffer.alloc(2 ** 16, 'x'));
    const { lines } = await log.close(50);
    expect([lines, log.lostLines, losses.length]).toEqual([3, 3, 1]);
    await reader.close();
  });
});

describe('bedrock.log.file', () => {
  const settings = { address: `http://127.0.0.1:0` };

  it('takes the whole log, from the folder of the configuration, up to the last line', async () => {
    const config = { bedrock: { log: { file: 'in-place.log' } } };
    const daemon = await bootstrap(config, { ...settings, directory: home });
    expect(daemon.config.bedrock?.log?.file).toBe(path.join(home, 'in-place.log'));
    await daemon.close();
    const lines = withoutTimes(await contents(path.join(home, 'in-place.log'))).split('\n');
    expect(lines[0]).toMatch(/^\[info\] \[bedrock\] listening on /);
    expect(lines.slice(-2)).toEqual(['[info] [bedrock] stopped', '']);
  });

  it('has the line of why a start failed', async () => {
    const config = {
      bedrock: { log: { file: name } },
      providers: [
        {
          type: 'warabi',
          config: { target: { type: 'file', config: { path: '/no-such-folder/pool', size: 2 ** 24 } } },
        },
      ],
    };
    await expect(bootstrap(config, settings)).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(await contents(name)).toMatch(
      /\[critical\] \[bedrock\] the daemon did not start: .*no-such-folder/,
    );
  });

  it('that cannot be opened fails the start; one of a bad configuration is not made', async () => {
    const log = { file: path.join(name, 'a/b.log') };
    await expect(bootstrap({ bedrock: { log } }, settings)).rejects.toMatchObject({ code: 'START_FAILED' });
    const bad = { bedrock: { log: { file: name } }, providers: [{ type: 'nobody' }] };
    await expect(bootstrap(bad, settings)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(contents(name)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
