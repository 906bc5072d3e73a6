/**
 * The section `transport` as a picture: a panel for each operation and size, throughput against
 * operations in flight, a line for each server and transport. SVG of our own, for light pages and
 * dark ones.
 */
import { sizeText } from './table.js';
import { DEPTHS, OPERATIONS, SIZES, TRANSPORTS, cellName } from './transport/cells.js';
import { BARE, BARE_ONE_WAY, HTTP_DOOR, REDIS, REDIS_DURABLE } from './transport/contenders.js';

const PANEL = { width: 150, height: 120, across: 226, down: 186 };
const MARGIN = { left: 64, top: 84 };
const WIDTH = MARGIN.left + SIZES.length * PANEL.across;
const HEIGHT = MARGIN.top + Object.keys(OPERATIONS).length * PANEL.down;
/** From this size on throughput is bytes, below it is operations. */
const LARGE_BYTES = 65536;
const LEGEND_STEP = 168;
const CAPTION =
  'Throughput of one client. Memory; durable writes: pmem on /dev/shm, redis-server with appendfsync always';
const LONGEST_DEPTH = Math.max(...DEPTHS);

/** Which figure of which rows a line shows; the color is a class of the style. */
const LINES = [
  { label: 'bedrock-node', color: 'ours', side: 'ours', references: [REDIS, REDIS_DURABLE] },
  { label: 'redis-server', color: 'redis', side: 'reference', references: [REDIS, REDIS_DURABLE] },
  { label: 'bedrock-node, HTTP', color: 'http', side: 'reference', references: [HTTP_DOOR] },
  { label: 'bare node:net', color: 'bare', side: 'reference', references: [BARE, BARE_ONE_WAY] },
];
const COLORS = {
  light: {
    page: '#ffffff',
    text: '#1f2328',
    grid: '#d1d9e0',
    ours: '#0969da',
    redis: '#cf222e',
    http: '#8250df',
    bare: '#59636e',
  },
  dark: {
    page: '#0d1117',
    text: '#f0f6fc',
    grid: '#3d444d',
    ours: '#4493f8',
    redis: '#f85149',
    http: '#ab7df8',
    bare: '#9198a1',
  },
};

/** @returns the picture of rows of the section `transport` */
export function plotOf(rows) {
  const panels = Object.keys(OPERATIONS).flatMap((operation, line) =>
    SIZES.map((size, column) => {
      const at = `translate(${MARGIN.left + column * PANEL.across} ${MARGIN.top + line * PANEL.down})`;
      return `<g transform="${at}">${panelOf(rows, operation, size)}</g>`;
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    '<title>Throughput against operations in flight</title>',
    `<style>${styleOf('light')}@media (prefers-color-scheme:dark){${styleOf('dark')}}`,
    'polyline{fill:none;stroke-width:1.8}.unix{stroke-dasharray:5 3}</style>',
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>`,
    legend(),
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function styleOf(scheme) {
  const { page, text, grid, ...lines } = COLORS[scheme];
  const strokes = Object.entries(lines).map(
    ([name, color]) => `.${name}{stroke:${color}}circle.${name}{fill:${color}}`,
  );
  return `.page{fill:${page}}text{fill:${text}}.grid{stroke:${grid}}${strokes.join('')}`;
}

function legend() {
  const title = text(MARGIN.left, 24, CAPTION, 'font-size="13"');
  const entries = LINES.map(({ label, color }, index) => {
    const x = MARGIN.left + index * LEGEND_STEP;
    return `<line class="${color}" x1="${x}" y1="44" x2="${x + 22}" y2="44" stroke-width="2.5"/>${text(x + 28, 48, label)}`;
  });
  const dashes = Object.entries(TRANSPORTS).map(([transport, label], index) => {
    const x = MARGIN.left + (LINES.length + index / 2) * LEGEND_STEP;
    return `<polyline class="bare ${transport}" points="${x},44 ${x + 22},44"/>${text(x + 28, 48, label)}`;
  });
  return [title, ...entries, ...dashes].join('');
}

function panelOf(rows, operation, size) {
  const series = LINES.flatMap((line) =>
    Object.keys(TRANSPORTS).map((transport) => ({
      ...line,
      transport,
      points: DEPTHS.map((depth) => [
        depth,
        throughput(rows, line, { transport, operation, size, depth }),
      ]).filter(([, value]) => value !== undefined),
    })),
  );
  const top = niceTop(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
  const x = (depth) => round((depth / LONGEST_DEPTH) * PANEL.width);
  const y = (value) => round(PANEL.height - (value / top) * PANEL.height);
  const lines = series.map(({ color, transport, points }) => {
    const path = points.map(([depth, value]) => `${x(depth)},${y(value)}`).join(' ');
    const dots = points.map(
      ([depth, value]) => `<circle class="${color}" cx="${x(depth)}" cy="${y(value)}" r="2"/>`,
    );
    return `<polyline class="${color} ${transport}" points="${path}"/>${dots.join('')}`;
  });
  return [titleOf(operation, size), axes(top, x, y), ...lines].join('');
}

/** Thousand operations a second, or GiB a second. */
function throughput(rows, { side, references }, cell) {
  const store = cell.operation === 'writeDurably' ? 'pmem' : 'memory';
  const name = cellName(store, cell);
  const found = rows.find((row) => row.name === name && references.includes(row.referenceName));
  if (found === undefined || found[side] === null) return undefined;
  if (cell.size < LARGE_BYTES) return found[side] / 1000;
  return found.unit === 'GiB/s' ? found[side] : (found[side] * cell.size) / 2 ** 30;
}

function titleOf(operation, size) {
  const unit = size < LARGE_BYTES ? 'thousand/s' : 'GiB/s';
  return text(0, -10, `${OPERATIONS[operation]} ${sizeText(size)}, ${unit}`, 'font-weight="bold"');
}

function axes(top, x, y) {
  const levels = [0, top / 2, top].map(
    (value) =>
      `<line class="grid" x1="0" x2="${PANEL.width}" y1="${y(value)}" y2="${y(value)}"/>` +
      text(-6, y(value) + 4, String(Number(value.toPrecision(3))), 'text-anchor="end"'),
  );
  const depths = DEPTHS.map((depth) => text(x(depth), PANEL.height + 14, depth, 'text-anchor="middle"'));
  const caption = text(PANEL.width / 2, PANEL.height + 28, 'operations in flight', 'text-anchor="middle"');
  return [...levels, ...depths, caption].join('');
}

/**
 * The end of an axis that is a round figure: the least of 1, 2, 3, 4, 6, 8 times a power of ten
 * that is no less.
 */
function niceTop(value) {
  if (value === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

function text(x, y, content, attributes = '') {
  return `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
}

function round(pixels) {
  return Math.round(pixels * 10) / 10;
}
