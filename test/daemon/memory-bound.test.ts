/**
 * What the daemon needs beside its regions, measured on the real process: at the peak of an upload and a download at most
 * 32 MiB more than at rest, whatever the size of the region. At rest it is the engine that counts: versions differ by 20 MiB.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { isThorough } from '../fixtures/thoroughness.js';

const MAIN = fileURLToPath(new URL('../../dist/core/cli/main.js', import.meta.url));
const CONFIG = {
  providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'memory', config: {} } } }],
};
/** More than the allowance, so that a daemon that kept a copy would show. */
const REGION_BYTES = (isThorough ? 512 : 128) * 2 ** 20;
const ALLOWANCE_BYTES = 32 * 2 ** 20;
const PIECE = Buffer.alloc(2 ** 20, 7);

let daemon: ChildProcess | undefined;

async function stop(): Promise<void> {
  if (daemon === undefined || daemon.exitCode !== null) return;
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
}
afterEach(stop);

async function launch(): Promise<{ url: string; pid: number }> {
  const child = spawn(process.execPath, [MAIN, 'start', 'http://127.0.0.1:0', '--stdin'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  daemon = child;
  child.stdin.end(JSON.stringify(CONFIG));
  let url = '';
  for await (const line of createInterface({ input: child.stdout })) {
    url = /listening on (\S+)/.exec(line)?.[1] ?? url;
    if (line.includes('ready')) break;
  }
  return { url, pid: child.pid ?? 0 };
}

/** Peak resident memory of a process, bytes (VmHWM of proc(5)). */
function peakBytes(pid: number): number {
  const kibibytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}

function* pieces(): Generator<Buffer> {
  for (let sent = 0; sent < REGION_BYTES; sent += PIECE.length) yield PIECE;
}

/** What the peak of a daemon rises by while a region is created, overwritten and read as a stream. */
async function riseOfTransfers(): Promise<number> {
  const { url, pid } = await launch();
  const atRest = peakBytes(pid);
  const regions = `${url}/v1/providers/store/regions`;
  const upload = { body: Readable.from(pieces()), duplex: 'half' } as unknown as RequestInit;
  const created = await fetch(`${regions}?size=${REGION_BYTES}`, { method: 'POST', ...upload });
  const { id } = (await created.json()) as { id: string };
  expect(created.status).toBe(201);
  const again = { body: Readable.from(pieces()), duplex: 'half' } as unknown as RequestInit;
  const written = await fetch(`${regions}/${id}?size=${REGION_BYTES}`, { method: 'PUT', ...again });
  expect(written.status).toBe(204);

  const response = await fetch(`${regions}/${id}`);
  let received = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) received += chunk.length;
  expect(received).toBe(REGION_BYTES);

  const rise = peakBytes(pid) - atRest;
  await stop();
  return rise;
}

test('needs at most 32 MiB beside a region that is created, overwritten and read as a stream', async () => {
  // A machine that is busy with other things lets more pieces wait now and then; what is held by design shows every time.
  let least = Infinity;
  for (let attempt = 0; attempt < 3 && least >= REGION_BYTES + ALLOWANCE_BYTES; attempt++)
    least = Math.min(least, await riseOfTransfers());
  expect(least).toBeLessThan(REGION_BYTES + ALLOWANCE_BYTES);
});
