/**
 * The pmem backend where the mapping passes for persistent memory, which takes other ways through
 * libpmem and the pool. The variable that forces it is read once in a process, hence one of its own
 * for the same tests.
 */
import { expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addonState } from '../../native/load.js';
import { needs } from '../fixtures/needs.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const hasLibpmem = (addonState().attributes?.libpmem ?? null) !== null;

const CONTRACT = 'test/backends/pmem.test.ts';
const POOLS = ['test/backends/pool.test.ts', 'test/backends/changed-file.test.ts'];

/**
 * @param subjects groups of the contract, as a pattern; all of it, and what pools in files have,
 *   unless told
 */
export function itKeepsTheContractForced(title: string, subjects?: string): void {
  const chosen = subjects === undefined ? POOLS : ['-t', `^pmem target contract (${subjects}) `];
  needs('libpmem', hasLibpmem).it(title, async () => {
    const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const home = await mkdtemp(path.join(memory, 'bedrock-forced-'));
    const child = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        '--silent',
        '--runInBand',
        CONTRACT,
        ...chosen,
      ],
      {
        cwd: ROOT,
        env: { ...process.env, PMEM_IS_PMEM_FORCE: '1', TMPDIR: home },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let report = '';
    child.stderr.on('data', (piece: Buffer) => (report += piece.toString()));
    const status = await new Promise((resolve) => child.on('close', resolve));
    await rm(home, { recursive: true, force: true });
    expect({ status, report: status === 0 ? '' : report }).toEqual({ status: 0, report: '' });
  });
}
