/**
 * A snapshot of a target that others write to: how long it takes beside a copy of the same bytes,
 * and how long its last step holds writers up, beside the limit that it keeps by default.
 */
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { bootstrap } from 'bedrock-node';
import { makeFolder, removeFolder } from './leftovers.js';
import { median, row } from './table.js';

const SECTION = 'snapshot';
const REGIONS = 20_000;
const REGION_BYTES = 4096;
const BATCH = 256;
/** The default of `max_hold_ms`. */
const MAX_HOLD_MS = 1000;

const CONTENDERS = [
  { name: 'memory', type: 'memory' },
  { name: 'pmem on /dev/shm', type: 'pmem', on: '/dev/shm' },
  { name: 'file on a disk', type: 'file', on: tmpdir() },
];

export async function snapshotSection({ rounds }) {
  const rows = [];
  for (const contender of CONTENDERS) {
    const folder = makeFolder(contender.on ?? tmpdir());
    const out = makeFolder(tmpdir());
    try {
      rows.push(...(await measure(contender, folder, out, rounds)));
    } finally {
      removeFolder(folder);
      removeFolder(out);
    }
  }
  return rows;
}

async function measure({ name, type }, folder, out, rounds) {
  const pool = { path: path.join(folder, 'pool'), create_if_missing_with_size: 2 ** 28 };
  const daemon = await bootstrap(
    {
      providers: [
        {
          name: 'store',
          type: 'warabi',
          config: { target: { type, config: type === 'memory' ? {} : pool } },
        },
      ],
    },
    { listen: false, logLevel: 'off' },
  );
  try {
    const target = daemon.target('store');
    const ids = await fill(target);
    const found = { idle: [], busy: [], incremental: [], copy: [], hold: [], gap: [] };
    for (let round = 0; round < rounds; round++) {
      const at = (kind) => path.join(out, `${round}-${kind}`);
      found.copy.push(await copyAll(target, ids, at('copy')));
      found.idle.push((await timed(() => daemon.snapshot('store', { path: at('idle') }))).tookMs);
      const writer = new Writer(target, ids);
      const { tookMs, result } = await timed(() => daemon.snapshot('store', { path: at('busy') }));
      found.gap.push(await writer.stop());
      found.busy.push(tookMs);
      found.hold.push(result.result.holdMs);
      const options = { incremental: at('busy') };
      const again = await timed(() => daemon.snapshot('store', { path: at('again'), options }));
      found.incremental.push(again.tookMs);
    }
    const copy = median(found.copy);
    const line = (what, figures) =>
      row(SECTION, `${name}, ${what}`, 'ms', median(figures), copy, 'a copy of the bytes');
    return [
      line('snapshot, nobody writes', found.idle),
      line('snapshot beside a writer', found.busy),
      line('incremental snapshot', found.incremental),
      row(SECTION, `${name}, writers held up`, 'ms', median(found.hold), MAX_HOLD_MS, 'max_hold_ms'),
      row(SECTION, `${name}, longest write meanwhile`, 'ms', median(found.gap), MAX_HOLD_MS, 'max_hold_ms'),
    ];
  } finally {
    await daemon.close();
  }
}

/** Fills the target with regions. @returns their IDs */
async function fill(target) {
  const ids = [];
  for (let made = 0; made < REGIONS; made += BATCH) {
    const calls = Array.from({ length: BATCH }, (_, at) =>
      target.createAndWrite(Buffer.alloc(REGION_BYTES, made + at)),
    );
    ids.push(...(await Promise.all(calls)));
  }
  return ids;
}

/**
 * What anybody has to do: read all, write it into one file, and have it on the disk.
 * @returns milliseconds
 */
async function copyAll(target, ids, file) {
  const begun = performance.now();
  const handle = await open(file, 'wx');
  for (let at = 0; at < ids.length; at += BATCH)
    await handle.writev(
      await Promise.all(ids.slice(at, at + BATCH).map((id) => target.read(id, 0, REGION_BYTES))),
    );
  await handle.sync();
  await handle.close();
  return performance.now() - begun;
}

async function timed(call) {
  const begun = performance.now();
  const result = await call();
  return { tookMs: performance.now() - begun, result };
}

/** Writes 64 bytes to one region after another, durably, a thousand times a second at most. */
class Writer {
  #isStopped = false;
  #longestMs = 0;
  #ended;

  constructor(target, ids) {
    this.#ended = this.#run(target, ids);
  }

  async #run(target, ids) {
    const bytes = Buffer.alloc(64, 7);
    for (let at = 0; !this.#isStopped; at = (at + 7919) % ids.length) {
      const begun = performance.now();
      await target.write(ids[at], 0, bytes, { persist: true });
      this.#longestMs = Math.max(this.#longestMs, performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** @returns milliseconds that the longest write took */
  async stop() {
    this.#isStopped = true;
    await this.#ended;
    return this.#longestMs;
  }
}
