/** Servers under test as processes of their own, each with one core to itself where the machine has two. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Starts a program of Node's, and waits until it says where it listens (and, if asked, that it is ready). */
export async function start(args, { input, readyWord = 'listening' } = {}) {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(input);
  let url;
  for await (const line of createInterface({ input: child.stdout })) {
    url = /listening on (\S+)/.exec(line)?.[1] ?? url;
    if (line.includes(readyWord)) break;
  }
  child.stdout.resume();
  return {
    url: new URL(url),
    /** CPU time the process has used, seconds (utime and stime of proc(5)). */
    cpuSeconds() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async stop() {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
