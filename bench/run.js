/**
 * `npm run bench -- SECTION…`: benchmarks against references measured in the same run.
 *
 *     --rounds N       medians of so many rounds, 5 unless told
 *     --only TEXT      of `target`, `transport`, `peers` and `kv` only what has the text in its name
 *     --names N        of `kv`, so many names whose memory is looked at, a million unless told
 *     --json FILE      writes the rows
 *     --from FILE      takes rows that were written before, and measures nothing
 *     --markdown FILE  writes the tables of `transport`, `peers` and `kv` into a page
 *     --plot FILE      draws `transport`
 *     --setup          installs what is measured beside ours
 *
 * Every contender is measured in turn within each round, so that a machine that slows down slows
 * all of them down; the tables show the medians of the rounds, and the ratio to the reference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { allocatorSection } from './allocator.js';
import { httpSection } from './http.js';
import { kvSection } from './kv.js';
import { writeTables } from './markdown.js';
import { nativeSection } from './native.js';
import { peersSection } from './peers.js';
import { plotOf } from './plot.js';
import { radosSection } from './rados.js';
import { recoverySection } from './recovery.js';
import { absentPeers, installPeers } from './setup.js';
import { formatTable } from './table.js';
import { securitySection } from './security.js';
import { snapshotSection } from './snapshot.js';
import { targetSection } from './target.js';
import { transportSection } from './transport.js';

const SECTIONS = {
  allocator: allocatorSection,
  http: httpSection,
  kv: kvSection,
  native: nativeSection,
  peers: peersSection,
  rados: radosSection,
  recovery: recoverySection,
  security: securitySection,
  snapshot: snapshotSection,
  target: targetSection,
  transport: transportSection,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    names: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    plot: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    setup: { type: 'boolean', default: false },
  },
});

const unknown = positionals.filter((name) => !(name in SECTIONS));
if (unknown.length > 0) {
  console.error(`unknown section ${unknown.join(', ')}; there are: ${Object.keys(SECTIONS).join(', ')}`);
  process.exit(2);
}
if (values.setup) {
  process.exitCode = (await installPeers()) ? 0 : 1;
} else {
  const rows = values.from === undefined ? await measure() : JSON.parse(readFileSync(values.from, 'utf8'));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (values.plot !== undefined) writeFileSync(values.plot, plotOf(rows));
  if (values.markdown !== undefined) await writeTables(values.markdown, rows);
}

async function measure() {
  const options = { rounds: Number(values.rounds), only: values.only, names: Number(values.names) };
  const rows = [];
  for (const name of positionals.length > 0 ? positionals : Object.keys(SECTIONS)) {
    const found = await SECTIONS[name](options);
    console.log(`\n${formatTable(name, found)}`);
    rows.push(...found);
  }
  const isMissed = rows.some(({ reference }) => reference === null);
  if (isMissed) console.log(`\nabsent: ${absentPeers().join(', ')}; to install: npm run bench -- --setup`);
  return rows;
}
