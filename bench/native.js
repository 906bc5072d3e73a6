/**
 * The native addon: durable copies and flushes on /dev/shm with persistent memory forced, beside a C program with libpmem that is
 * built for the occasion and measured in turn; and, on a disk, msync on the thread pool beside msync on the calling thread.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contender, buildReference } from './contender.js';
import { median, row, sizeText } from './table.js';

const SECTION = 'native';
const SIZES = [64, 256, 4096, 65536, 2 ** 20];
const FILE_BYTES = 2 ** 26;
// A round of one operation takes about so long.
const ROUND_NANOS = 1.5e8;
const BATCH = 64;

export async function nativeSection({ rounds }) {
  return [...(await comparePmem(rounds)), ...(await compareMsync(rounds))];
}

async function comparePmem(rounds) {
  const folder = mkdtempSync('/dev/shm/bedrock-bench-');
  const binary = buildReference(folder);
  // Each has a process of its own, as libpmem asks the environment but once, and a file of its own.
  const env = { ...process.env, PMEM_IS_PMEM_FORCE: '1' };
  const ours = await Contender.start(
    process.execPath,
    [here('native/worker.js'), path.join(folder, 'ours')],
    env,
  );
  await ours.ask('create', FILE_BYTES, 1);
  await ours.ask('create-for-reference', FILE_BYTES, 1);
  const reference = await Contender.start(binary, [path.join(folder, 'ours.reference')], env);
  try {
    const rows = [];
    for (const operation of ['copyPersist', 'persist']) {
      for (const size of SIZES) rows.push(await compare(ours, reference, operation, size, rounds));
    }
    const batch = await compare(ours, reference, 'batch', 64, rounds);
    const perStore = [batch.ours / BATCH, batch.reference / BATCH];
    rows.push(
      row(
        SECTION,
        `64 B, one of ${BATCH} with one persistRanges`,
        'ns',
        ...perStore,
        'C, flush each, one drain',
      ),
    );
    return rows;
  } finally {
    await Promise.all([ours.stop(), reference.stop()]);
    rmSync(folder, { recursive: true });
  }
}

async function compare(ours, reference, operation, size, rounds) {
  const figures = [[], []];
  const warm = await reference.ask(operation, size, 50);
  const times = Math.max(20, Math.round(ROUND_NANOS / Math.max(warm, 100)));
  for (let round = 0; round <= rounds; round++) {
    // Whoever comes second finds the caches otherwise, so they take turns at that too.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const i of order) {
      const nanos = await [ours, reference][i].ask(operation, size, times);
      // The first round warms up.
      if (round > 0) figures[i].push(nanos);
    }
  }
  const name = `${operation} ${sizeText(size)}`;
  return row(SECTION, name, 'ns', median(figures[0]), median(figures[1]), 'C with libpmem');
}

/** On a disk: one at a time, and 64 at once, which share msyncs. */
async function compareMsync(rounds) {
  const folder = mkdtempSync(path.join(tmpdir(), 'bedrock-bench-'));
  const env = { ...process.env, PMEM_IS_PMEM_FORCE: '0' };
  const ours = await Contender.start(
    process.execPath,
    [here('native/worker.js'), path.join(folder, 'disk')],
    env,
  );
  try {
    await ours.ask('create', FILE_BYTES, 1);
    const figures = { sync: [], async: [], together: [] };
    for (let round = 0; round <= rounds; round++) {
      const found = {
        sync: await ours.ask('msyncBlocking', 4096, 200),
        async: await ours.ask('msyncAsync', 4096, 200),
        together: await ours.ask('together', 4096, 10),
      };
      if (round === 0) continue;
      for (const [name, nanos] of Object.entries(found)) figures[name].push(nanos / 1000);
    }
    const [sync, alone, together] = [figures.sync, figures.async, figures.together].map(median);
    return [
      row(SECTION, 'store and msync 4 KiB on a disk, async', 'us', alone, sync, 'msyncBlocking'),
      row(
        SECTION,
        `copyPersist 4 KiB on a disk, one of ${BATCH} at once`,
        'us',
        together / BATCH,
        sync,
        'msyncBlocking',
      ),
    ];
  } finally {
    await ours.stop();
    rmSync(folder, { recursive: true });
  }
}

function here(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
