/** `bedrock pool info`: what a pool is, and how full. */
import type { Command } from 'commander';
import type { PoolInfo } from '../pool/pool-info.js';
import { subcommand } from './command-line.js';
import { printJson, printLine } from './output.js';
import { named, onPool, type PoolOptions, withPool } from './pool-command.js';
import { formatSize } from '../base/size-text.js';
import { formatTime } from './times.js';

const EXAMPLES = `
Examples:
  bedrock pool info data/pool
  bedrock pool info data/pool --json | jq .freeBytes

The exit status is 2 if the path leads to no pool, and 1 if the pool cannot be looked at for another reason.
`;

export function addPoolInfo(pool: Command): void {
  withPool(subcommand(pool, 'info'))
    .description('Show what a pool is, how full it is, and the state of its headers.')
    .option('--json', 'an object')
    .addHelpText('after', EXAMPLES)
    .action((path: string, options: PoolOptions) =>
      onPool(path, { isReadOnly: true }, async (opened) => {
        const { poolInfo } = await import('../pool/pool-info.js');
        const inspection = await opened.inspect('reading', options);
        if ('refusal' in inspection.headers) throw named(opened.pool.path, inspection.headers.refusal);
        const info = poolInfo(inspection, inspection.headers);
        if (options.json === true) await printJson({ path: opened.pool.path, ...info });
        else await printLine(linesOf(opened.pool.path, info).join('\n'));
      }),
    );
}

function linesOf(path: string, info: PoolInfo): string[] {
  const { slots, features } = info;
  const flags = [features.compatible, features.readOnlyCompatible, features.incompatible];
  const rows: [string, string][] = [
    ['pool', path],
    ['pool id', info.poolId],
    [
      'format',
      `version ${info.formatVersion}, ${flags.every((word) => word === 0) ? 'no features' : `features ${flags.map(hex).join(' ')}`}`,
    ],
    ['created', formatTime(info.createdAt)],
    ['alignment', `${info.alignment} bytes`],
    ['capacity', inBytes(info.capacityBytes)],
    ['file', inBytes(info.fileBytes)],
    ['never written', `from ${info.freshFrom} on`],
    ['descriptor chunks', `${info.chunks.length}, with ${slots.total} slots: ${countsOf(slots)}`],
    ...info.headers.map(({ state, sequence, reason }, copy): [string, string] => [
      `header copy ${copy}`,
      [
        state,
        sequence === undefined ? '' : `, sequence ${sequence}`,
        reason === undefined ? '' : `: ${reason}`,
      ].join(''),
    ]),
    ['regions', `${info.regions}, ${inBytes(info.regionBytes)}`],
    ['names', `${info.names}`],
    [
      'log',
      info.log === null
        ? 'none'
        : `${inBytes(info.log.bytes)}${info.log.pendingRecords > 0 ? `, with ${info.log.pendingRecords} records that the next open stores in their places` : ''}`,
    ],
    [
      'journal',
      info.journal === null
        ? 'none'
        : `two areas of ${inBytes(info.journal.areaBytes)}${info.journal.isPending ? ', with a change that the next open completes' : ''}`,
    ],
    ['used', inBytes(info.usedBytes)],
    ['free', inBytes(info.freeBytes)],
    ['largest free', inBytes(info.largestFreeBytes)],
    ['fragmentation', `${(info.fragmentation * 100).toFixed(1)}%`],
  ];
  return rows.map(([name, text]) => `${name.padEnd(19)}${text}`);
}

function countsOf({ live, free, retired, quarantined }: PoolInfo['slots']): string {
  return `${live} live, ${free} free, ${retired} retired, ${quarantined} quarantined`;
}

function inBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${formatSize(bytes)} (${bytes} bytes)`;
}

function hex(word: number): string {
  return `0x${word.toString(16)}`;
}
