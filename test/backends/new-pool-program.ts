/** A child that opens pools as it is told, on a system that fails as it is told, and says what came of each. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { FailingSystem, Failures } from '../fixtures/failing-system.js';

/** Settings of a pool, with the type of its backend. */
export interface Attempt {
  type: 'file' | 'pmem';
  config: Record<string, unknown>;
}

export interface Outcome {
  code?: string;
  message?: string;
  log: string[];
}

interface End {
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const ROOT = path.resolve(import.meta.dirname, '../..');

const SCRIPT = `
  import { bootstrap } from 'bedrock-node';
  const args = process.argv.slice(1);
  for (const { type, config } of JSON.parse(args[0])) {
    const log = [];
    const note = (message) => void log.push(message);
    const logger = { critical: note, error: note, warning: note, info: note, debug: note, trace: note, child: () => logger };
    const target = { type, config: { path: 'pool', create_if_missing_with_size: 2 ** 23, ...config } };
    try {
      const daemon = await bootstrap(
        { providers: [{ name: 's', type: 'warabi', config: { target } }] },
        { listen: false, logger, directory: args[1] },
      );
      await daemon.target('s').createAndWrite(Buffer.from('contents'), { persist: true });
      await daemon.close();
      console.log(JSON.stringify({ log }));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message, log }));
    }
  }
`;

/** @returns how the child ended, and what it said of each attempt that has ended */
export async function openPools(
  system: FailingSystem | undefined,
  home: string,
  attempts: readonly Attempt[],
  failures: Failures = {},
  env: NodeJS.ProcessEnv = {},
): Promise<{ end: End; outcomes: Outcome[] }> {
  const end = await run([JSON.stringify(attempts), home], { ...system?.env(failures), ...env });
  if (end.signal === null && end.stderr !== '') throw new Error(end.stderr);
  const outcomes = end.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Outcome);
  return { end, outcomes };
}

/** Not by test/native/script.ts, which loads the addon. */
function run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<End> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, '--', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end: End = { signal: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (end.stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (end.stderr += piece));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (_status, signal) => resolve({ ...end, signal }));
  });
}
