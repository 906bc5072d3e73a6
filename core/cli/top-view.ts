/**
 * What `bedrock top` shows, as lines of text: no line is wider than the terminal, and together they
 * are no longer.
 */
import { shownName } from './output.js';
import { formatSize } from '../base/size-text.js';
import type { TargetFigures, TopFigures } from './top-figures.js';

export interface Line {
  readonly text: string;
  readonly style?: 'head' | 'bad' | 'quiet';
}

export interface View {
  /** Infinity where nothing bounds it. */
  readonly columns: number;
  readonly rows: number;
  readonly sort: SortKey;
  /** Whether there are two moments. */
  readonly isKnown: boolean;
  /** What is wrong with the connection. */
  readonly trouble?: string | undefined;
  /** A line about the keys. */
  readonly help?: string | undefined;
}

/** What targets can be sorted by, the largest first; names in the order of the alphabet. */
export const SORT_KEYS = ['ops', 'read', 'written', 'p99', 'used', 'name'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

const NONE = '-';
const GAP = 2;
/** Of execution pools, and of operations. */
const MOST_OTHERS = 4;

export function viewOf(figures: TopFigures, view: View): Line[] {
  const lines = [...headLines(figures, view), { text: '' }];
  const others = [...poolLines(figures, view), ...operationLines(figures)];
  const footer: Line[] = view.help === undefined ? [] : [{ text: view.help, style: 'quiet' }];
  // The heads of the table take one.
  const room = Math.max(1, view.rows - lines.length - others.length - footer.length - 1);
  lines.push(...targetLines(figures, view, room), ...others);
  // At a terminal with few rows the last lines are left out, except the one about the keys.
  const kept = lines.slice(0, Math.max(0, view.rows - footer.length));
  return [...kept, ...footer].map(({ text, ...rest }) => ({ text: clipped(text, view.columns), ...rest }));
}

function clipped(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}

// ---- the daemon ----

function headLines(figures: TopFigures, { isKnown, trouble }: View): Line[] {
  const { address, version, process, total, doors, time } = figures;
  const when = new Date(time).toISOString().slice(11, 19);
  const rate = (text: string): string => (isKnown ? text : NONE);
  const connections = Object.entries(doors).map(
    ([name, { connections: open = 0, refused = 0 }]) =>
      `${name} ${open}${refused > 0 ? ` (${refused} refused)` : ''}`,
  );
  const first: Line =
    trouble === undefined
      ? {
          text: `bedrock ${version}  ${address}  pid ${process.pid}  up ${duration(process.uptimeMs)}  ${when}`,
          style: 'head',
        }
      : { text: shownName(`${address}: ${trouble}`), style: 'bad' };
  return [
    first,
    {
      text:
        `operations ${rate(perSecond(total.operationsPerSecond))}  read ${rate(bytesPerSecond(total.readBytesPerSecond))}  ` +
        `written ${rate(bytesPerSecond(total.writtenBytesPerSecond))}  errors ${rate(perSecond(total.errorsPerSecond))}`,
    },
    {
      text:
        `latency p50 ${latency(total.p50Ms)}  p99 ${latency(total.p99Ms)}  cpu ${rate(percent(process.cpu))}  ` +
        `event loop ${rate(percent(process.eventLoop))}  memory ${formatSize(process.rssBytes)}`,
    },
    { text: `connections ${connections.join(', ')}` },
  ];
}

// ---- targets ----

interface Column<Row> {
  readonly title: string;
  readonly isNumber: boolean;
  /** Columns with the highest number are left out first; 0: never. */
  readonly rank: number;
  readonly text: (row: Row) => string;
}

function targetColumns(isKnown: boolean): Column<TargetFigures>[] {
  const number = (
    title: string,
    rank: number,
    text: (row: TargetFigures) => string,
  ): Column<TargetFigures> => ({
    ...{ title, isNumber: true, rank, text },
  });
  const rate = (text: (row: TargetFigures) => string) => (row: TargetFigures) => (isKnown ? text(row) : NONE);
  return [
    { title: 'TARGET', isNumber: false, rank: 0, text: ({ provider, target }) => labelOf(provider, target) },
    { title: 'TYPE', isNumber: false, rank: 7, text: ({ type }) => shownName(type) },
    number('REGIONS', 6, ({ regions }) => (regions === null ? NONE : count(regions))),
    number('USED', 3, ({ usedBytes }) => (usedBytes === null ? NONE : formatSize(usedBytes))),
    number('FULL', 4, ({ usedBytes, capacityBytes }) =>
      usedBytes === null || capacityBytes === null || capacityBytes === 0
        ? NONE
        : `${Math.round((usedBytes / capacityBytes) * 100)}%`,
    ),
    number('FRAGM', 9, ({ fragmentation }) =>
      fragmentation === null ? NONE : `${Math.round(fragmentation * 100)}%`,
    ),
    number(
      'OPS/S',
      0,
      rate(({ operationsPerSecond }) => count(operationsPerSecond)),
    ),
    number(
      'READ',
      1,
      rate(({ readBytesPerSecond }) => bytesPerSecond(readBytesPerSecond)),
    ),
    number(
      'WRITTEN',
      2,
      rate(({ writtenBytesPerSecond }) => bytesPerSecond(writtenBytesPerSecond)),
    ),
    number('P50', 8, ({ p50Ms }) => latency(p50Ms)),
    number('P99', 5, ({ p99Ms }) => latency(p99Ms)),
  ];
}

function targetLines(figures: TopFigures, { columns, sort, isKnown }: View, room: number): Line[] {
  const rows = figures.targets.toSorted(comparison(sort));
  const isCut = rows.length > room;
  const shown = isCut ? rows.slice(0, room - 1) : rows;
  const [heads = '', ...texts] = tableOf(targetColumns(isKnown), shown, columns);
  const lines: Line[] = [{ text: heads, style: 'head' }];
  texts.forEach((text, index) => {
    const { trouble = null, state = 'open' } = shown[index] ?? {};
    const wrong = trouble ?? (state === 'open' ? null : state);
    lines.push(wrong === null ? { text } : { text: `${text}  ${shownName(wrong)}`, style: 'bad' });
  });
  if (isCut) lines.push({ text: `… and ${rows.length - shown.length} more`, style: 'quiet' });
  if (rows.length === 0) lines.push({ text: 'no targets', style: 'quiet' });
  return lines;
}

function comparison(sort: SortKey): (one: TargetFigures, other: TargetFigures) => number {
  const byName = (one: TargetFigures, other: TargetFigures): number =>
    one.provider === other.provider ? one.target - other.target : one.provider < other.provider ? -1 : 1;
  if (sort === 'name') return byName;
  const figureOf: Record<Exclude<SortKey, 'name'>, (row: TargetFigures) => number> = {
    ops: (row) => row.operationsPerSecond,
    read: (row) => row.readBytesPerSecond,
    written: (row) => row.writtenBytesPerSecond,
    p99: (row) => row.p99Ms ?? -1,
    used: (row) => row.usedBytes ?? -1,
  };
  const figure = figureOf[sort];
  return (one, other) => figure(other) - figure(one) || byName(one, other);
}

// ---- execution pools and operations ----

function poolLines({ executionPools: pools }: TopFigures, { columns }: View): Line[] {
  const shown = pools.slice(0, MOST_OTHERS);
  const [heads = '', ...texts] = tableOf(
    [
      { title: 'EXECUTION POOL', isNumber: false, rank: 0, text: ({ name }) => shownName(name) },
      {
        title: 'RUNNING',
        isNumber: true,
        rank: 0,
        text: (pool) => `${pool.inFlight} of ${pool.maxInFlight}`,
      },
      { title: 'WAITING', isNumber: true, rank: 0, text: (pool) => `${pool.queued} of ${pool.maxQueued}` },
      { title: 'REFUSED', isNumber: true, rank: 1, text: ({ refused }) => count(refused) },
    ],
    shown,
    columns,
  );
  return [{ text: '' }, { text: heads, style: 'head' }, ...texts.map((text) => ({ text }))];
}

function operationLines({ operations }: TopFigures): Line[] {
  return operations.slice(0, MOST_OTHERS).map(({ type, provider, doneBytes, totalBytes }) => {
    const whole = totalBytes === undefined ? '' : ` of ${formatSize(totalBytes)}`;
    return { text: `${type} of ${provider}: ${formatSize(doneBytes)}${whole}` };
  });
}

/** Leaves columns out until the rest fits. @returns the heads, and a line for each row */
function tableOf<Row>(all: readonly Column<Row>[], rows: readonly Row[], columns: number): string[] {
  let kept = all;
  for (;;) {
    const cells = [kept.map(({ title }) => title), ...rows.map((row) => kept.map(({ text }) => text(row)))];
    const widths = kept.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
    const width = widths.reduce((sum, each) => sum + each + GAP, -GAP);
    const leastWanted = Math.max(...kept.map(({ rank }) => rank));
    if (width <= columns || leastWanted === 0)
      return cells.map((line) =>
        line
          .map((cell, column) =>
            kept[column]?.isNumber === true
              ? cell.padStart(widths[column] ?? 0)
              : cell.padEnd(widths[column] ?? 0),
          )
          .join(' '.repeat(GAP))
          .trimEnd(),
      );
    kept = kept.filter(({ rank }) => rank !== leastWanted);
  }
}

// ---- figures as text ----

function labelOf(provider: string, target: number): string {
  return target === 0 ? provider : `${provider}.${target}`;
}

function count(value: number): string {
  if (value < 10 && !Number.isInteger(value)) return value.toFixed(1);
  if (value < 100_000) return String(Math.round(value));
  return value < 1e7 ? `${Math.round(value / 1e3)}k` : `${Math.round(value / 1e6)}M`;
}

function perSecond(value: number): string {
  return `${count(value)}/s`;
}

function bytesPerSecond(value: number): string {
  return `${formatSize(Math.round(value))}/s`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)}%`;
}

function latency(ms: number | null): string {
  if (ms === null) return NONE;
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  return ms < 1000 ? `${Number(ms.toFixed(1))} ms` : `${Number((ms / 1000).toFixed(1))} s`;
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (seconds >= 3600) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
