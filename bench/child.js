/** Servers under test as processes of their own, each with one core to itself where the machine has two. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { noteChild } from './leftovers.js';

/** Starts a program of Node's. @see startProgram */
export function start(args, options) {
  return startProgram(process.execPath, args, options);
}

/**
 * Starts a program, and waits until it says that it is ready; what it says before may tell where it
 * listens.
 */
export async function startProgram(
  program,
  args,
  { input, env = process.env, readyWord = 'listening' } = {},
) {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  noteChild(child);
  child.stdin.end(input);
  const urls = [];
  let isReady = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /listening on (\S+)/.exec(line)?.[1];
    if (url !== undefined) urls.push(new URL(url));
    isReady = line.includes(readyWord);
    if (isReady) break;
  }
  if (!isReady) throw new Error(`${child.spawnargs.join(' ')} ended before it was ready`);
  child.stdout.resume();
  return {
    /** Where it listens first of all. */
    url: urls[0],
    urls,
    /**
     * CPU time that the process's threads have used, seconds (schedstat of proc(5): the first field
     * is nanoseconds).
     */
    cpuSeconds() {
      const tasks = readdirSync(`/proc/${child.pid}/task`);
      const nanos = tasks.map((task) => readFileSync(`/proc/${child.pid}/task/${task}/schedstat`, 'utf8'));
      return nanos.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0) / 1e9;
    },
    /** Memory of the process that is not on disk only, bytes (VmRSS of proc(5)). */
    residentBytes() {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
