/**
 * The backend rados beside `rados bench`, Ceph's own tool in C++, on the same cluster: writes and reads of 4 KiB and 4 MiB, 16 at once.
 * The cluster is one of three OSDs on this machine, so what is compared is the way to it, not its disks.
 *
 * Reads are measured in both ways: `read` gives a buffer of its own each time, which the garbage collector has to free again;
 * `readInto` fills one that is there.
 *
 * The tool writes a new object each time. Ours writes over the whole of regions that exist: to create one as well is a further operation.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { bootstrap } from 'bedrock-node';
import { makeFolder, removeFolder } from './leftovers.js';
import { median, row } from './table.js';

const SECTION = 'rados';
const SCRIPT = path.join(import.meta.dirname, '../test/rados/ceph.sh');
const DEPTH = 16;
const SECONDS = 3;
/** `SIZE`, and how many regions of it are there. */
const SIZES = [
  { name: '4 KiB', size: 4096, regions: 512 },
  { name: '4 MiB', size: 2 ** 22, regions: 32 },
];

export async function radosSection({ rounds }) {
  const folder = makeFolder(tmpdir());
  const cluster = path.join(folder, 'cluster');
  try {
    const { status, stderr } = spawnSync(SCRIPT, ['start', cluster, String(process.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (status !== 0) {
      console.log(`rados: no cluster to measure on: ${stderr.trim()}`);
      return [];
    }
    return await measure(path.join(cluster, 'ceph.conf'), rounds);
  } finally {
    spawnSync(SCRIPT, ['stop', cluster]);
    removeFolder(folder);
  }
}

async function measure(conf, rounds) {
  const config = { pool: 'regions', conf, client: 'client.regions' };
  const provider = { name: 'store', type: 'warabi', config: { target: { type: 'rados', config } } };
  const daemon = await bootstrap({ providers: [provider] }, { listen: false, logLevel: 'off' });
  try {
    const target = daemon.target('store');
    const rows = [];
    for (const { name, size, regions } of SIZES) {
      const bytes = Buffer.alloc(size, 'bench');
      const ids = [];
      for (let at = 0; at < regions; at++) ids.push(await target.createAndWrite(bytes));
      const buffers = Array.from({ length: DEPTH }, () => Buffer.alloc(size));
      const found = { write: [], read: [], readInto: [], toolWrite: [], toolRead: [] };
      for (let round = 0; round < rounds; round++) {
        found.write.push(await rateOf((at) => target.write(ids[at % regions], 0, bytes)));
        found.toolWrite.push(tool(conf, `${size}-${round}`, 'write', '-b', String(size), '--no-cleanup'));
        found.read.push(await rateOf((at) => target.read(ids[at % regions], 0, size)));
        found.readInto.push(
          await rateOf((at, worker) => target.readInto(ids[at % regions], 0, buffers[worker])),
        );
        found.toolRead.push(tool(conf, `${size}-${round}`, 'seq'));
        execFileSync('rados', ['-c', conf, '-p', 'regions', 'cleanup', '--run-name', `${size}-${round}`], {
          stdio: 'ignore',
        });
      }
      for (const [what, ours, theirs] of [
        ['write', found.write, found.toolWrite],
        ['read', found.read, found.toolRead],
        ['readInto', found.readInto, found.toolRead],
      ])
        rows.push(row(SECTION, `${what} ${name}`, '1/s', median(ours), median(theirs), 'rados bench'));
    }
    return rows;
  } finally {
    await daemon.close();
  }
}

/** Operations a second, so many at once. */
async function rateOf(operation) {
  let done = 0;
  const begin = performance.now();
  const end = begin + SECONDS * 1000;
  const worker = async (number) => {
    while (performance.now() < end) await operation(done++, number);
  };
  await Promise.all(Array.from({ length: DEPTH }, (_, number) => worker(number)));
  return (done * 1000) / (performance.now() - begin);
}

/** The same by the tool. */
function tool(conf, run, ...what) {
  const printed = execFileSync(
    'rados',
    ['-c', conf, '-p', 'regions', 'bench', String(SECONDS), ...what, '-t', String(DEPTH), '--run-name', run],
    { encoding: 'utf8', maxBuffer: 2 ** 26 },
  );
  const [, total] = /Total (?:writes|reads) made:\s+(\d+)/.exec(printed) ?? [];
  const [, seconds] = /Total time run:\s+([\d.]+)/.exec(printed) ?? [];
  return Number(total) / Number(seconds);
}
