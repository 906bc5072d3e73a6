/**
 * Recovery of pools of ten thousand, a hundred thousand and a million regions of 64 bytes: from the
 * call of open to a pool that serves, file I/O included, beside a program that only reads the bytes
 * of the descriptors. And what a region costs in memory.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder, removeFolder } from './leftovers.js';
import { median, row } from './table.js';

const SECTION = 'recovery';
const COUNTS = [10_000, 100_000, 1_000_000];
const LIMIT_BYTES = 100;

/**
 * Both backends open the same files; a disk's are read from the disk, too, not only from the
 * system's cache.
 */
const CONTENDERS = [
  { name: 'file on a disk', type: 'file', on: 'disk', isCold: false },
  { name: 'file on a disk, not cached', type: 'file', on: 'disk', isCold: true },
  { name: 'pmem on a disk', type: 'pmem', on: 'disk', isCold: false },
  { name: 'pmem on a disk, not cached', type: 'pmem', on: 'disk', isCold: true },
  { name: 'pmem on /dev/shm', type: 'pmem', on: 'shm', isCold: false, isForced: true },
];

export function recoverySection({ rounds }) {
  const folders = {
    disk: makeFolder(tmpdir()),
    shm: makeFolder('/dev/shm'),
  };
  try {
    const rows = [];
    const perRegion = new Map();
    const smallest = new Map();
    for (const count of COUNTS) {
      for (const [on, folder] of Object.entries(folders)) {
        const { heldBytes, regions } = work('make', 'pmem', poolOf(folder, count), count, { isForced: true });
        if (on === 'shm' && count === COUNTS.at(-1))
          rows.push(memoryRow('pmem on /dev/shm', 'created', regions, heldBytes));
        // To the disk now, rather than while others are measured.
        execFileSync('sync', [poolOf(folder, count)]);
      }
      rows.push(...compare(folders, count, rounds, { perRegion, smallest }));
    }
    return [...rows.filter(({ unit }) => unit !== 'B'), ...rows.filter(({ unit }) => unit === 'B')];
  } finally {
    for (const folder of Object.values(folders)) removeFolder(folder);
  }
}

function compare(folders, count, rounds, { perRegion, smallest }) {
  const figures = CONTENDERS.map(() => ({ ours: [], reference: [], held: [], peak: [], one: [], any: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, { type, on, isCold, isForced }] of CONTENDERS.entries()) {
      const pool = poolOf(folders[on], count);
      const found = figures[index];
      if (isCold) forget(pool);
      found.reference.push(work('read', type, pool, count, { isForced }).durationMs);
      if (isCold) forget(pool);
      const { recovery, heldBytes, peakBytes, nanos } = work('open', type, pool, count, { isForced });
      if (recovery.regions !== count)
        throw new Error(`${recovery.regions} of ${count} regions were recovered`);
      found.ours.push(recovery.durationMs);
      found.held.push(heldBytes);
      found.peak.push(peakBytes);
      found.one.push(nanos.one);
      found.any.push(nanos.any);
    }
  }
  const rows = [];
  const text = count.toLocaleString('en').replaceAll(',', ' ');
  for (const [index, { name, isCold, isForced }] of CONTENDERS.entries()) {
    const { ours, reference, held, peak, one, any } = figures[index];
    const time = median(ours);
    if (count === COUNTS[0]) smallest.set(name, median(peak));
    rows.push(
      row(SECTION, `${name}, ${text} regions`, 'ms', time, median(reference), 'reading the descriptors'),
    );
    const before = perRegion.get(name);
    const nanos = (time * 1e6) / count;
    perRegion.set(name, nanos);
    if (count !== COUNTS.at(-1)) continue;
    rows.push(row(SECTION, `${name}, ${text} regions, each`, 'ns', nanos, before, 'a tenth as many'));
    if (isCold) continue;
    rows.push(
      row(SECTION, `${name}, stat of any of ${text}`, 'ns', median(any), median(one), 'of the same one'),
    );
    rows.push(memoryRow(name, 'recovered', count, median(held)));
    // A mapping of persistent memory counts the pages of the pool itself that are flushed.
    if (isForced) continue;
    // Beside that of a small pool, as the daemon itself takes some.
    const peakBytes = median(peak) - smallest.get(name);
    rows.push(memoryRow(name, 'recovered, most at a time', count - COUNTS[0], peakBytes));
  }
  return rows;
}

function memoryRow(name, what, regions, bytes) {
  return row(SECTION, `${name}, memory of a region, ${what}`, 'B', bytes / regions, LIMIT_BYTES, 'limit');
}

function poolOf(folder, count) {
  return path.join(folder, `${count}.pool`);
}

/** Has the system drop a file's pages, which it does for whoever says that they will not be needed. */
function forget(file) {
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}

/** One step in a process of its own. */
function work(step, type, pool, count, { isForced = false }) {
  const worker = fileURLToPath(new URL('recovery/worker.js', import.meta.url));
  const { stdout, status } = spawnSync(
    process.execPath,
    ['--expose-gc', worker, step, type, pool, String(count)],
    {
      env: { ...process.env, PMEM_IS_PMEM_FORCE: isForced ? '1' : '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`${step} of ${count} regions on ${type} failed with status ${status}`);
  return JSON.parse(stdout);
}
