/**
 * The persistent list survives kill -9 at any point: what was acknowledged is there, what was begun
 * is there wholly or not at all.
 */
import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { isThorough } from '../fixtures/thoroughness.js';
import { useFolder } from '../native/folder.js';

const LIST = path.resolve(import.meta.dirname, '../../examples/persistent-list/list.js');
const MAIN = path.resolve(import.meta.dirname, '../../examples/persistent-list/main.js');

/** Appends and removes for as long as it lives; says what it is about to do, and that it is done. */
const WRITER = `
  import { PersistentList } from ${JSON.stringify(LIST)};
  import { writeSync } from 'node:fs';
  const list = await PersistentList.open(process.argv[1], 2 ** 16);
  let state = Number(process.argv[2]);
  const random = (below) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
  for (let i = 0; ; i++) {
    if (list.length > 20 || (list.length > 0 && random(3) === 0)) {
      const index = random(list.length);
      writeSync(1, 'rm ' + index + '\\n');
      await list.remove(index);
    } else {
      const text = process.argv[2] + '-' + i + '-' + 'x'.repeat(random(30));
      writeSync(1, 'add ' + text + '\\n');
      await list.append(text);
    }
    writeSync(1, 'ok\\n');
  }`;

const READER = `
  import { PersistentList } from ${JSON.stringify(LIST)};
  const list = await PersistentList.open(process.argv[1], 2 ** 16);
  console.log(JSON.stringify([...list]));
  await list.close();`;

function start(script: string, args: readonly string[], isForced: boolean): ReturnType<typeof spawn> {
  const env = { ...process.env, PMEM_IS_PMEM_FORCE: isForced ? '1' : '0' };
  return spawn(process.execPath, ['--input-type=module', '-e', script, '--', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** @param onLine is told of each, with how many there are */
async function linesOf(
  child: ReturnType<typeof spawn>,
  onLine: (count: number) => void = () => undefined,
): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) onLine(lines.push(line));
  return lines;
}

async function read(file: string, isForced: boolean): Promise<string[]> {
  const [line = ''] = await linesOf(start(READER, [file], isForced));
  return JSON.parse(line) as string[];
}

function apply(list: readonly string[], operation: string): string[] {
  const [, kind, argument = ''] = /^(\w+) (.*)$/.exec(operation) ?? [];
  return kind === 'add' ? [...list, argument] : list.toSpliced(Number(argument), 1);
}

describe.each([
  { medium: 'a disk', isForced: false, parent: undefined },
  { medium: 'memory that passes for persistent', isForced: true, parent: '/dev/shm' },
])('on $medium', ({ isForced, parent }) => {
  const at = useFolder(parent);

  it('the list is the old one or the new one after every kill', async () => {
    let expected: string[] = [];
    let operations = 0;
    for (let round = 0; round < (isThorough ? 6 : 3); round++) {
      const writer = start(WRITER, [at('list'), String(round * 7919 + 1)], isForced);
      // It goes on until it is gone, so that it is at any point then.
      const output = await linesOf(writer, (count) => {
        if (count === 20 + round * 15) writer.kill('SIGKILL');
      });
      let begun: string | undefined;
      for (const line of output) {
        if (line !== 'ok') begun = line;
        else if (begun !== undefined) {
          expected = apply(expected, begun);
          begun = undefined;
          operations++;
        }
      }
      const found = await read(at('list'), isForced);
      const possible = begun === undefined ? [expected] : [expected, apply(expected, begun)];
      expect(possible).toContainEqual(found);
      expected = found;
    }
    expect(operations).toBeGreaterThan(10);
  });
});

describe('the command', () => {
  const at = useFolder();

  it('adds, removes and prints', async () => {
    const run = async (...args: string[]): Promise<string[]> =>
      linesOf(spawn(process.execPath, [MAIN, at('list'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
    await expect(run('add', 'milk', 'bread')).resolves.toEqual(['0  milk', '1  bread']);
    await expect(run('rm', '0')).resolves.toEqual(['0  bread']);
    await expect(run()).resolves.toEqual(['0  bread']);
  });

  it('finds damage by its checksum', async () => {
    const run = (...args: string[]): Promise<number | null> =>
      new Promise((resolve) => {
        spawn(process.execPath, [MAIN, at('list'), ...args], { stdio: 'ignore' }).on('exit', resolve);
      });
    await expect(run('add', 'milk')).resolves.toBe(0);
    const bytes = readFileSync(at('list'));
    const text = bytes.indexOf('milk');
    bytes[text] = 0x4d;
    writeFileSync(at('list'), bytes);
    await expect(run()).resolves.toBe(1);
  });
});
