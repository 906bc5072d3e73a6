/**
 * Children that open pools as they are told, on a system that fails as they are told, and say what
 * came of each.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { expect } from '@jest/globals';
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

const ROOT = path.resolve(import.meta.dirname, '../..');

const SCRIPT = `
  import { bootstrap } from 'bedrock-node';
  const open = async ({ type, config }, directory) => {
    const log = [];
    const note = (message) => void log.push(message);
    const logger = { critical: note, error: note, warning: note, info: note, debug: note, trace: note, child: () => logger };
    const target = { type, config: { path: 'pool', create_if_missing_with_size: 2 ** 23, ...config } };
    try {
      const daemon = await bootstrap(
        { providers: [{ name: 's', type: 'warabi', config: { target } }] },
        { listen: false, logger, directory },
      );
      await daemon.target('s').createAndWrite(Buffer.from('contents'), { persist: true });
      await daemon.close();
      return { log };
    } catch ({ code, message }) {
      return { code, message, log };
    }
  };
  process.on('message', async ({ attempts, home, failures }) => {
    // The failing system asks the environment at each call.
    Object.assign(process.env, failures);
    const outcomes = [];
    for (const attempt of attempts) outcomes.push(await open(attempt, home));
    process.send(outcomes);
  });
  process.send('ready');
`;

/** By environment. To begin takes a child longer than all that it is told here. */
const children = new Map<string, Promise<ChildProcess>>();
/**
 * That were to be killed and outlived it, by environment. The next one that is to be killed is one
 * of them.
 */
const spared = new Map<string, ChildProcess>();

/** @returns what came of each attempt */
export async function openPools(
  system: FailingSystem | undefined,
  home: string,
  attempts: readonly Attempt[],
  failures: Omit<Failures, 'kill'> = {},
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome[]> {
  const key = JSON.stringify(env);
  const starting = children.get(key) ?? begin(system, env);
  children.set(key, starting);
  const child = await starting;
  child.send({ attempts, home, failures: system?.env(failures) });
  return (await answerOf(child)) as Outcome[];
}

/**
 * @param failures its kill is in a folder that none before was in, as the calls are counted by folder
 * @returns whether the child was killed before it had made the pool
 */
export async function isKilledAt(
  system: FailingSystem | undefined,
  home: string,
  attempt: Attempt,
  failures: Failures,
  env: NodeJS.ProcessEnv = {},
): Promise<boolean> {
  const key = JSON.stringify(env);
  const child = spared.get(key) ?? (await begin(system, env));
  spared.delete(key);
  child.send({ attempts: [attempt], home, failures: system?.env(failures) });
  const { signal, abort } = listening();
  const isKilled = await Promise.race([
    once(child, 'exit', { signal }).then(() => true),
    once(child, 'message', { signal }).then(() => false),
  ]);
  abort();
  if (isKilled) expect(child.signalCode).toBe('SIGKILL');
  else spared.set(key, child);
  return isKilled;
}

/** Ends the children. */
export async function endPrograms(): Promise<void> {
  for (const child of [...(await Promise.all(children.values())), ...spared.values()]) {
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
  }
  children.clear();
  spared.clear();
}

/** Not by test/native/script.ts, which loads the addon. */
async function begin(system: FailingSystem | undefined, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    cwd: ROOT,
    env: { ...process.env, ...system?.env({}), ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await answerOf(child);
  return child;
}

/** What it says next; fails if it ends before. */
async function answerOf(child: ChildProcess): Promise<unknown> {
  const { signal, abort } = listening();
  const [answer] = (await Promise.race(
    ['message', 'exit'].map((event) => once(child, event, { signal })),
  )) as unknown[];
  abort();
  if (child.exitCode !== null || child.signalCode !== null) throw new Error('the child has ended');
  return answer;
}

/** For listeners of which one is told something, and the others are to go. */
function listening(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
