/**
 * Rows as tables of a page, between marks that name the section, so that no figure is typed by
 * hand. What a table shows is said here: rows whose name matches, where `line` names the line and
 * `column` the column; without a `column` the references are the columns.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { mustTool } from '../scripts/run.js';
import { figure, ratioText } from './table.js';

const REDIS = /^redis-server/;

const TABLES = {
  transport: [
    {
      head: 'TCP, thousand/s (ratio to redis-server)',
      match: /^TCP, (?<line>.*), (?<column>depth \d+)$/,
      reference: REDIS,
      scale: 1e-3,
    },
    {
      head: 'unix socket, thousand/s (ratio to redis-server)',
      match: /^unix socket, (?<line>.*), (?<column>depth \d+)$/,
      reference: REDIS,
      scale: 1e-3,
    },
    {
      head: 'GiB/s (ratio to bare sockets)',
      match: /^(?<line>.*), (?<column>depth \d+)$/,
      reference: /^bare node:net/,
    },
    {
      head: 'TCP, thousand/s (ratio to our HTTP door)',
      match: /^TCP, (?<line>.*), (?<column>depth \d+)$/,
      reference: /^our HTTP door$/,
      scale: 1e-3,
    },
    {
      head: 'TCP, depth 32, µs of the server’s CPU an operation',
      match: /^TCP, (?<line>.*), depth 32, server CPU$/,
    },
    {
      head: 'latency over TCP, µs (ratio to redis-server)',
      match: /^TCP, (?<line>.*, )latency (?<line2>.*), (?<column>p[\d.]+)$/,
      reference: REDIS,
    },
    { head: 'the counting of an operation, µs', match: /^(?<line>.*metrics.*)$/ },
  ],
  kv: [
    { head: 'µs', match: /^(?<line>pmem on \/dev\/shm, (?!.*(CPU|pairs)).*)$/ },
    { head: 'µs of CPU', match: /^(?<line>pmem on \/dev\/shm, .*), CPU$/ },
    { head: 'µs', match: /^(?<line>memory, nothing durable, (?!.*(CPU|pairs)).*)$/ },
    { head: 'µs', match: /^(?<line>file on a disk, (?!.*CPU).*)$/ },
    { head: 'thousand/s', match: /^(?<line>.*pairs walked)$/, reference: /^lmdb/, scale: 1e-3 },
    {
      head: 'thousand/s (ratio to redis-server)',
      match: /^(?<line>TCP, .*), (?<column>depth \d+)$/,
      scale: 1e-3,
    },
    {
      head: 'µs of the server’s CPU an operation, depth 32',
      match: /^(?<line>TCP, .*), depth 32, server CPU$/,
    },
    { head: 'bytes', match: /^(?<line>TCP, .*memory of a value.*)$/ },
  ],
  peers: [
    { head: 'µs', match: /^(?<line>\w+ on \/dev\/shm, (durable put|get).*)$/ },
    { head: 'µs', match: /^(?<line>.*)nothing durable, (?<line2>.*)$/ },
    { head: 'µs', match: /^(?<line>.* on a disk.*)$/ },
    { head: 'µs', match: /^(?<line>.* over TCP, .*(put|get).*)$/ },
    { head: 'bytes', match: /^(?<line>.*memory of a value.*)$/ },
  ],
};

/** Puts tables of the rows into a page, for every section that the page has marks for. */
export async function writeTables(file, rows) {
  let page = readFileSync(file, 'utf8');
  for (const [section, tables] of Object.entries(TABLES)) {
    const own = rows.filter((row) => row.section === section);
    if (own.length === 0) continue;
    const [begin, end] = [`<!-- Figures of ${section} -->`, `<!-- End of the figures of ${section} -->`];
    const from = page.indexOf(begin);
    const to = page.indexOf(end);
    if (from < 0 || to < from) throw new Error(`${file} lacks the marks "${begin}" and "${end}"`);
    const text = tables.map((table) => tableOf(table, own)).filter((each) => each !== '');
    page = `${page.slice(0, from)}${begin}\n\n${text.join('\n\n')}\n\n${page.slice(to)}`;
  }
  writeFileSync(file, page);
  await mustTool('oxfmt/bin/oxfmt', [file]);
}

function tableOf({ head, match, reference = /./, scale = 1 }, rows) {
  const lines = new Map();
  const columns = new Set();
  for (const row of rows) {
    const groups = match.exec(row.name)?.groups;
    if (groups === undefined || !reference.test(row.referenceName)) continue;
    const line = `${groups.line}${groups.line2 ?? ''}`;
    const cells = lines.get(line) ?? new Map();
    lines.set(line, cells);
    for (const [column, cell] of cellsOf(row, groups.column, scale)) {
      columns.add(column);
      cells.set(column, cell);
    }
  }
  if (lines.size === 0) return '';
  const width = columns.size;
  return [
    `| ${[head, ...columns].join(' | ')} |`,
    `| --- |${' ---: |'.repeat(width)}`,
    ...[...lines].map(
      ([line, cells]) => `| ${[line, ...[...columns].map((name) => cells.get(name) ?? '')].join(' | ')} |`,
    ),
  ].join('\n');
}

/** A row gives one cell of its own column, or two: ours, and the reference's. */
function cellsOf({ ours, reference, referenceName, ratio }, column, scale) {
  const ratioIn = ratio === null ? '' : ` (${ratioText(ratio)})`;
  if (column !== undefined) return [[column, `${figure(ours * scale)}${ratioIn}`]];
  const theirs = reference === null ? 'absent' : `${figure(reference * scale)}${ratioIn}`;
  return [
    ['ours', figure(ours * scale)],
    [referenceName, theirs],
  ];
}
