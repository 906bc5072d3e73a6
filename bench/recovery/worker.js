/**
 * One step of bench/recovery.js in a process of its own, with garbage collection exposed:
 * `worker.js STEP TYPE PATH REGIONS`. Prints what it found as JSON.
 */
import { open } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { bootstrap } from 'bedrock-node';
import { chooseHeader } from '../../dist/core/pool/header-choice.js';

const REGION_BYTES = 64;
const DESCRIPTOR_BYTES = 64;
const BATCH = 1024;
const LOOKUPS = 500_000;
const PIECE_BYTES = 2 ** 20;

const [, , step, type, file, count] = process.argv;
const regions = Number(count);

const STEPS = { make, open: recover, read: readDescriptors };

/**
 * A pool with so many regions, and as many gaps as a tenth of them.
 * @returns bytes of memory that they take in the process
 */
async function make() {
  const poolBytes = 2 ** 26 + regions * 512;
  const daemon = await start({ path: file, create_if_missing_with_size: poolBytes });
  const target = daemon.target('store');
  const before = memoryBytes();
  const gaps = [];
  const total = regions + Math.floor(regions / 10);
  for (let made = 0; made < total; made += BATCH) {
    const calls = Array.from({ length: Math.min(BATCH, total - made) }, () => target.create(REGION_BYTES));
    const ids = await Promise.all(calls);
    gaps.push(...ids.filter((id) => id.slot % 11 === 5));
  }
  while (gaps.length > total - regions) gaps.pop();
  for (const id of gaps.splice(0)) await target.erase(id);
  const held = memoryBytes() - before;
  const found = await target.stats();
  await daemon.close();
  return { regions: found.regions, heldBytes: held };
}

/** Opens the pool, as a daemon does when it starts. */
async function recover() {
  const before = memoryBytes();
  const peakBefore = process.resourceUsage().maxRSS;
  const daemon = await start({ path: file });
  const target = daemon.target('store');
  const { recovery } = await target.stats();
  const peakBytes = (process.resourceUsage().maxRSS - peakBefore) * 1024;
  const heldBytes = memoryBytes() - before;
  const { regions: page } = await target.list({ limit: regions });
  const ids = page.map(({ id }) => id);
  const nanos = { one: await lookupNanos(target, ids.slice(0, 1)), any: await lookupNanos(target, ids) };
  await daemon.close();
  return { recovery, heldBytes, peakBytes, nanos };
}

/** @returns nanoseconds to find regions at random */
async function lookupNanos(target, ids) {
  let random = 1;
  const start = process.hrtime.bigint();
  for (let number = 0; number < LOOKUPS; number++) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    await target.stat(ids[Math.floor((random / 2 ** 32) * ids.length)]);
  }
  return Number(process.hrtime.bigint() - start) / LOOKUPS;
}

/** What recovery cannot do without: the bytes of the descriptors, read and thrown away. */
async function readDescriptors() {
  const start = performance.now();
  const handle = await open(file);
  const header = Buffer.alloc(4096);
  await handle.read(header, 0, header.length, 0);
  const piece = Buffer.alloc(PIECE_BYTES);
  for (const { offset, count: slots } of chooseHeader(header, header).header.chunks) {
    const end = offset + slots * DESCRIPTOR_BYTES;
    for (let at = offset; at < end; at += PIECE_BYTES)
      await handle.read(piece, 0, Math.min(PIECE_BYTES, end - at), at);
  }
  const durationMs = performance.now() - start;
  await handle.close();
  return { durationMs };
}

function start(config) {
  const providers = [{ name: 'store', type: 'warabi', config: { target: { type, config } } }];
  return bootstrap({ providers }, { listen: false, logLevel: 'warning' });
}

/** What JavaScript holds: objects and the memory of arrays. */
function memoryBytes() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

console.log(JSON.stringify(await STEPS[step]()));
