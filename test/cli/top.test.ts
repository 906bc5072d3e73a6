/** `bedrock top`: its figures, the screen of a terminal, and its keys. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { TopFigures } from '../../core/cli/top-figures.js';
import { type View, viewOf } from '../../core/cli/top-view.js';
import type { BedrockConfig } from '../../core/index.js';
import { codeOf, type Running, startDaemon, TWO_STORES } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';
import { ENTER, FIRST_LINE, killTerminals, LEAVE, Terminal, underTerminal } from '../fixtures/terminal.js';

const running: Running[] = [];
afterEach(async () => {
  killTerminals();
  for (const { daemon } of running.splice(0)) await daemon.close();
});

async function start(config: BedrockConfig = TWO_STORES, address?: string): Promise<Running> {
  const made = await startDaemon(config, address);
  running.push(made);
  return made;
}

const SECOND = ['--interval', '0.1'];

describe('the figures', () => {
  it.each(['http', 'resp'])('are one object with --once --json, over %s', async (protocol) => {
    const { daemon } = await start({ ...TWO_STORES, bedrock: { resp: { address: '127.0.0.1:0' } } });
    const id = await daemon.target('store').create(4096);
    const address =
      protocol === 'http' ? (daemon.address ?? '') : `resp://${daemon.config.bedrock?.resp?.address ?? ''}`;
    const ended = runHere(['top', '--once', '--json', '-a', address, ...SECOND]);
    const state = { isOver: false };
    void ended.then(() => (state.isOver = true));
    while (!state.isOver) {
      // As a client does it: only the doors count operations.
      await fetch(`${daemon.address ?? ''}/v1/providers/store/regions/${id.toString()}`);
    }
    const { status, stdout, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const figures = JSON.parse(stdout) as TopFigures;
    expect(Object.keys(figures)).toEqual([
      ...[
        'time',
        'address',
        'version',
        'process',
        'total',
        'targets',
        'executionPools',
        'doors',
        'operations',
      ],
    ]);
    expect(figures).toMatchObject({ address, process: { pid: process.pid } });
    expect(figures.total.readsPerSecond).toBeGreaterThan(0);
    expect(figures.total.readBytesPerSecond / figures.total.readsPerSecond).toBeCloseTo(4096);
    expect(figures.total.p99Ms).toBeGreaterThan(0);
    expect(figures.targets).toMatchObject([
      { provider: 'store', target: 0, type: 'memory', state: 'open', trouble: null, regions: 1 },
      { provider: 'scratch', regions: 0, capacityBytes: 2 ** 20, operationsPerSecond: 0, p99Ms: null },
    ]);
  });

  it('are a table with --once', async () => {
    const { env } = await start();
    const { status, stdout } = await runHere(['top', '--once', '--sort', 'name', ...SECOND], { env });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^bedrock \S+ {2}http:\/\/\S+ {2}pid \d+/);
    expect(stdout).toMatch(/\nTARGET +TYPE +REGIONS +USED .* P99\nscratch +memory .*\nstore +memory /);
    expect(stdout).not.toContain('\x1b');
  });

  it('need a terminal, --once or --json', async () => {
    const { env } = await start();
    const ended = await runHere(['top'], { env });
    expect([ended.status, codeOf(ended)]).toEqual([2, 'INVALID_ARGUMENT']);
    for (const args of [
      ['--interval', '0'],
      ['--interval', 'soon'],
      ['--sort', 'colour'],
    ])
      expect((await runHere(['top', '--once', ...args], { env })).status).toBe(2);
  });

  it('need a daemon that is there', async () => {
    const ended = await runHere(['top', '--once', '-a', 'http://127.0.0.1:1']);
    expect([ended.status, codeOf(ended)]).toEqual([1, 'UNREACHABLE']);
  });
});

describe('the view', () => {
  const target = (provider: string, more: object = {}): TopFigures['targets'][number] => ({
    ...{ provider, target: 0, type: 'file', state: 'open', trouble: null, regions: 7, usedBytes: 2 ** 30 },
    ...{ capacityBytes: 2 ** 31, freeBytes: 2 ** 30, fragmentation: 0.5, operationsPerSecond: 0 },
    ...{ readsPerSecond: 0, writesPerSecond: 0, readBytesPerSecond: 0, writtenBytesPerSecond: 0 },
    ...{ errorsPerSecond: 0, p50Ms: 0.1, p99Ms: 12 },
    ...more,
  });
  const figures: TopFigures = {
    ...{ time: 0, address: 'http://127.0.0.1:7480', version: '1.0.0' },
    process: { pid: 1, uptimeMs: 90_061_000, cpu: 0.5, eventLoop: 0.25, rssBytes: 2 ** 27 },
    total: target('all'),
    targets: Array.from({ length: 40 }, (_, index) =>
      target(`store_${index}`, { operationsPerSecond: index }),
    ),
    executionPools: Array.from({ length: 9 }, (_, index) => ({
      ...{ name: `pool_${index}`, inFlight: 1, maxInFlight: 256, queued: 0, maxQueued: 4096, refused: 0 },
    })),
    doors: { http: { connections: 3, refused: 2 } },
    operations: [
      {
        ...{ id: '1', type: 'snapshot', provider: 'a', state: 'running', startedAt: 0 },
        doneBytes: 1,
        doneRegions: 0,
      },
    ],
  };
  const view = (more: Partial<View> = {}): string[] =>
    viewOf(figures, { columns: 80, rows: 24, sort: 'ops', isKnown: true, help: 'q quit', ...more }).map(
      ({ text }) => text,
    );

  it('fits a terminal of any size, and keeps what matters most', () => {
    for (const columns of [20, 40, 80, 132])
      for (const rows of [1, 5, 24, 60]) {
        const lines = view({ columns, rows });
        expect(lines.length).toBeLessThanOrEqual(rows);
        expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(columns);
        expect(lines.at(-1)).toBe('q quit');
      }
    const lines = view();
    expect(lines).toHaveLength(24);
    expect(lines[5]).toMatch(/^TARGET .*OPS\/S +READ +WRITTEN .*P99$/);
    expect(lines[6]).toMatch(/^store_39 /);
    expect(lines.join('\n')).toMatch(/\n… and \d+ more\n\nEXECUTION POOL/);
    expect(view({ columns: 132 })[5]).toMatch(/TYPE +REGIONS +USED +FULL +FRAGM .* P50 +P99$/);
  });

  it('sorts, and says what is wrong', () => {
    expect(view({ sort: 'name' })[6]).toMatch(/^store_0 /);
    expect(view({ isKnown: false })[6]).toMatch(/ - /);
    expect(view({ trouble: 'UNREACHABLE, trying again: \x1b[2J' })[0]).toBe(
      'http://127.0.0.1:7480: UNREACHABLE, trying again: \\u{1b}[2J',
    );
  });
});

underTerminal.describe('the terminal', () => {
  it('shows the figures, sorts by a key, and is as before after q', async () => {
    const { env } = await start();
    const terminal = new Terminal(env);
    await terminal.shows(FIRST_LINE);
    await terminal.shows(/sort: ops/);
    terminal.type('s');
    await terminal.shows(/sort: read/);
    terminal.type('q');
    await terminal.shows(/restored 0/);
    expect(terminal.output.split(ENTER)).toHaveLength(2);
    expect(terminal.output.split(LEAVE)).toHaveLength(2);
  });
});
