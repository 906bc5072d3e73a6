/**
 * `npm run bench -- SECTION… [--only TEXT] [--json FILE] [--rounds N]`: benchmarks against references measured in the same run.
 *
 * Every contender is measured in turn within each round, so that a machine that slows down slows all of them down; the tables
 * show the medians of the rounds, and the ratio to the reference.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { allocatorSection } from './allocator.js';
import { httpSection } from './http.js';
import { nativeSection } from './native.js';
import { peersSection } from './peers.js';
import { recoverySection } from './recovery.js';
import { formatTable } from './table.js';
import { targetSection } from './target.js';
import { transportSection } from './transport.js';

const SECTIONS = {
  allocator: allocatorSection,
  http: httpSection,
  native: nativeSection,
  peers: peersSection,
  recovery: recoverySection,
  target: targetSection,
  transport: transportSection,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
  },
});

const names = positionals.length > 0 ? positionals : Object.keys(SECTIONS);
const unknown = names.filter((name) => !(name in SECTIONS));
if (unknown.length > 0) {
  console.error(`unknown section ${unknown.join(', ')}; there are: ${Object.keys(SECTIONS).join(', ')}`);
  process.exit(2);
}

const rows = [];
for (const name of names) {
  const found = await SECTIONS[name]({ rounds: Number(values.rounds), only: values.only });
  console.log(`\n${formatTable(name, found)}`);
  rows.push(...found);
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
