/**
 * The native addon: durable copies and flushes on /dev/shm with persistent memory forced, beside a
 * C program with libpmem that is built for the occasion and measured in turn; and, on a disk, msync
 * on the thread pool beside msync on the calling thread.
 */
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contender, buildReference } from './contender.js';
import { makeFolder, removeFolder } from './leftovers.js';
import { row, sizeText } from './table.js';
import { medianInTurns } from './turns.js';

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
  const folder = makeFolder('/dev/shm');
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
    removeFolder(folder);
  }
}

async function compare(ours, reference, operation, size, rounds) {
  const warm = await reference.ask(operation, size, 50);
  const times = Math.max(20, Math.round(ROUND_NANOS / Math.max(warm, 100)));
  for (const each of [ours, reference]) await each.ask(operation, size, times);
  const nanos = await medianInTurns([ours, reference], rounds, (each) => each.ask(operation, size, times));
  const name = `${operation} ${sizeText(size)}`;
  return row(SECTION, name, 'ns', nanos.get(ours), nanos.get(reference), 'C with libpmem');
}

/** On a disk: one at a time, and 64 at once, which share msyncs. */
async function compareMsync(rounds) {
  const folder = makeFolder(tmpdir());
  const env = { ...process.env, PMEM_IS_PMEM_FORCE: '0' };
  const ours = await Contender.start(
    process.execPath,
    [here('native/worker.js'), path.join(folder, 'disk')],
    env,
  );
  try {
    await ours.ask('create', FILE_BYTES, 1);
    const ways = { msyncBlocking: 200, msyncAsync: 200, together: 10 };
    const micros = async (way) => (await ours.ask(way, 4096, ways[way])) / 1000;
    for (const way of Object.keys(ways)) await micros(way);
    const found = await medianInTurns(Object.keys(ways), rounds, micros);
    const sync = found.get('msyncBlocking');
    return [
      row(
        SECTION,
        'store and msync 4 KiB on a disk, async',
        'us',
        found.get('msyncAsync'),
        sync,
        'msyncBlocking',
      ),
      row(
        SECTION,
        `copyPersist 4 KiB on a disk, one of ${BATCH} at once`,
        'us',
        found.get('together') / BATCH,
        sync,
        'msyncBlocking',
      ),
    ];
  } finally {
    await ours.stop();
    removeFolder(folder);
  }
}

function here(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
