/** A child that starts and closes daemons again and again, and counts what is left of them. */
import { spawn } from 'node:child_process';
import path from 'node:path';

export interface Left {
  /** Daemons that were closed, or failed to start, and can still be reached. */
  daemons: number;
  /** Timers, sockets, files and the like, more than after the first tenth. */
  resources: string[];
  /** Observers of the process that were begun. */
  observers: number;
  /** Listeners at the process and its output, more than then. */
  listeners: number;
  /** Bytes of JavaScript's heap, more than then. */
  heapGrowth: number;
}

const SCRIPT = `
  import perfHooks, { PerformanceObserver } from 'node:perf_hooks';
  import { setImmediate as turn } from 'node:timers/promises';
  const [rounds, folder] = [Number(process.argv[1]), process.argv[2]];
  let observers = 0;
  const { observe } = PerformanceObserver.prototype;
  PerformanceObserver.prototype.observe = function (...args) { observers++; return observe.apply(this, args); };
  const monitor = perfHooks.monitorEventLoopDelay;
  perfHooks.monitorEventLoopDelay = (...args) => { observers++; return monitor(...args); };
  const { bootstrap, checkConfig } = await import('bedrock-node');
  const target = (type, config) => ({ type: 'warabi', config: { target: { type, config } } });
  const pool = { path: folder + '/pool', create_if_missing_with_size: 2 ** 23, sync: false };
  const good = {
    bedrock: { resp: { address: '127.0.0.1:0', unix: folder + '/socket' } },
    providers: [target('memory', {}), target('file', pool)],
  };
  const bad = { ...good, providers: [...good.providers, target('file', { path: folder + '/missing' })] };
  const listeners = () => [process, process.stdout, process.stderr]
    .flatMap((emitter) => emitter.eventNames().map((name) => emitter.listenerCount(name)))
    .reduce((sum, count) => sum + count, 0);
  const closed = [];
  const options = (listen) => ({ listen, logLevel: 'off', ...(listen && { address: 'http://127.0.0.1:0' }) });
  const round = async (number) => {
    const daemon = await bootstrap(good, options(number % 2 === 0));
    const id = await daemon.target(1).create(10);
    await daemon.target(2).erase(await daemon.target(2).create(10));
    await daemon.target(1).erase(id);
    await daemon.close();
    closed.push(new WeakRef(daemon));
    await checkConfig(good, options(false));
    if (number % 10 === 0) await bootstrap(bad, options(number % 20 === 0)).then(() => { throw new Error('started'); }, () => {});
  };
  const settle = async () => { for (let i = 0; i < 10; i++) { await turn(); gc(); } };
  let [heapBefore, listenersBefore, resourcesBefore] = [0, 0, []];
  for (let number = 0; number < rounds; number++) {
    await round(number);
    if (number !== Math.floor(rounds / 10)) continue;
    await settle();
    [heapBefore, listenersBefore, resourcesBefore] = [process.memoryUsage().heapUsed, listeners(), process.getActiveResourcesInfo()];
  }
  await settle();
  const resources = process.getActiveResourcesInfo();
  for (const known of resourcesBefore) if (resources.includes(known)) resources.splice(resources.indexOf(known), 1);
  console.log(JSON.stringify({
    daemons: closed.filter((one) => one.deref() !== undefined).length,
    resources,
    observers,
    listeners: listeners() - listenersBefore,
    heapGrowth: process.memoryUsage().heapUsed - heapBefore,
  }));
`;

export function closeDaemons(rounds: number, folder: string): Promise<Left> {
  const args = ['--expose-gc', '--input-type=module', '-e', SCRIPT, '--', String(rounds), folder];
  const child = spawn(process.execPath, args, {
    cwd: path.resolve(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (stdout += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      if (stderr === '') resolve(JSON.parse(stdout) as Left);
      else reject(new Error(stderr));
    });
  });
}
