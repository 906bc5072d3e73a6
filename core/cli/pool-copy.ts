/**
 * `bedrock pool copy`: another pool with the same regions under the same IDs. FROM is only read; TO gets its name when it is complete
 * and durable, and was opened again and counted. Whatever ends the command before, nothing is left behind.
 */
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { Target } from '../contract/target.js';
import type { CopyReport } from '../targets/copy.js';
import { collect } from './client-command.js';
import { subcommand } from './command-line.js';
import type { Destination, Survey } from './copy-destination.js';
import type { CopyPlace, Door } from './copy-place.js';
import { ExitStatus } from './exit-status.js';
import { Conclusion, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { printJson, printLine } from './output.js';
import { trackProgress } from './progress.js';
import { formatSize, parseSize, SIZE_FORMS } from './sizes.js';

const EXAMPLES = `
Examples:
  bedrock pool copy data/pool pmem:/mnt/pmem/pool
  bedrock pool copy data/pool smaller.pool --size 1G
  bedrock pool copy data/pool 'file:{"path": "big.pool", "alignment": 65536}' --verify
  bedrock pool copy data/pool 'mine:{"place": "x"}' --library ./my-backend.js

FROM and TO are [TYPE:]PATH, where TYPE is file unless given, or TYPE:{settings} as in a configuration. No daemon may have
them open. What is damaged in FROM is named and left out, and the exit status is 1 then.
`;

interface CopyOptions {
  size?: number;
  override?: boolean;
  verify?: boolean;
  library?: string[];
  json?: boolean;
  quiet?: boolean;
}

export function addPoolCopy(pool: Command): void {
  subcommand(pool, 'copy')
    .description('Copy a pool, of any type to any type; IDs stay valid, and erased ones invalid.')
    .argument('<FROM>', 'the pool to copy')
    .argument('<TO>', 'the pool to make')
    .option('--size <N>', `capacity of TO (default: that of FROM): ${SIZE_FORMS}`, parseSize)
    .option('--override', 'replace the pool that TO is')
    .option('--verify', 'read both afterwards, and compare every byte')
    .option('--library <PATH>', 'a library that brings a type; may come several times', collect(String))
    .option('--json', 'an object')
    .option('-q, --quiet', 'no progress bar')
    .addHelpText('after', EXAMPLES)
    .action((from: string, to: string, options: CopyOptions) =>
      interruptible((signal) => copy(from, to, options, signal)),
    );
}

async function copy(
  fromText: string,
  toText: string,
  options: CopyOptions,
  signal: AbortSignal,
): Promise<void> {
  const begun = performance.now();
  // Only now, so that help and complaints about options come at once.
  const { Door } = await import('./copy-place.js');
  const { openDestination, surveyOf } = await import('./copy-destination.js');
  const door = await Door.open(options.library ?? []);
  const [fromPlace, toPlace] = [door.place(fromText), door.place(toText)];
  await mustDiffer(fromPlace, toPlace);
  const from = await openSource(door, fromPlace);
  try {
    const survey = await surveyOf(from);
    signal.throwIfAborted();
    const to = await openDestination(door, toPlace, survey, options);
    let report: CopyReport;
    try {
      report = await transfer(from, to, survey, options, signal);
    } finally {
      await to.end();
    }
    const { quarantined } = (await from.stats()).recovery;
    const places = { from: placeName(fromPlace), to: placeName(toPlace, to.path) };
    const durationMs = Math.round(performance.now() - begun);
    await tell(places, { ...report, quarantined, poolId: survey.poolId, durationMs }, options);
  } finally {
    await from.close();
  }
}

/** Opened without changing anything, where its type can do that. */
async function openSource(door: Door, place: CopyPlace): Promise<Target> {
  const settings = { ...place.settings };
  delete settings.override_if_exists;
  if (place.has('read_only')) {
    settings.read_only = true;
    if (typeof settings.path === 'string') await mustBeThere(settings.path);
  }
  const from = await door.make(place, door.validated(place, settings), 'FROM');
  await from.open();
  return from;
}

/** A copy reads FROM as long as it makes TO, so it cannot take its place. @throws UsageError */
async function mustDiffer(from: CopyPlace, to: CopyPlace): Promise<void> {
  const { placeOf } = await import('../pool-file/pool-place.js');
  const identityOf = async ({ settings }: CopyPlace): Promise<string | undefined> => {
    if (typeof settings.path !== 'string') return undefined;
    const file = await placeOf({
      path: settings.path,
      baseDirectory: process.cwd(),
      isDirectory: settings.size !== undefined,
    });
    const there = await stat(file, { bigint: true }).catch(() => undefined);
    return there === undefined ? undefined : `${there.dev} ${there.ino}`;
  };
  const [one, other] = [await identityOf(from), await identityOf(to)];
  if (one === undefined || one !== other) return;
  throw new UsageError('FROM and TO are the same pool; copy it to another place, and move that over it');
}

/** Says of what cannot be opened what a user of commands can do about it, and does not wait at a pipe. */
async function mustBeThere(path: string): Promise<void> {
  const { fileOperations } = await import('../pool-file/file-operations.js');
  const { openPoolAsItIs } = await import('../pool-file/pool-file.js');
  const { file } = await openPoolAsItIs(path, true, await fileOperations());
  await file.close();
}

async function transfer(
  from: Target,
  to: Destination,
  { bytes }: Survey,
  { verify, quiet }: CopyOptions,
  signal: AbortSignal,
): Promise<CopyReport> {
  const { compareRegions, copyRegions } = await import('../targets/copy.js');
  const withBar = async <T>(
    label: string,
    work: (onBytes: (count: number) => void) => Promise<T>,
  ): Promise<T> => {
    const progress = trackProgress(label, bytes, quiet);
    try {
      return await work((count) => progress.add(count));
    } finally {
      progress.end();
    }
  };
  const report = await withBar('copying', (onBytes) => copyRegions(from, to.target, { signal, onBytes }));
  await checkCount(to.target, report);
  if (verify === true) {
    await withBar('comparing', (onBytes) =>
      compareRegions(from, to.target, report.unreadable, { signal, onBytes }),
    );
  }
  await to.target.close();
  signal.throwIfAborted();
  await to.publish();
  return report;
}

/** What lasts is opened again, so that what counts is what was written. */
async function checkCount(to: Target, { regions, bytes }: CopyReport): Promise<void> {
  const { regionsOf } = await import('../targets/copy.js');
  if (to.capabilities.persistent) {
    await to.close();
    await to.open();
  }
  let [foundRegions, foundBytes] = [0, 0];
  for await (const { size } of regionsOf(to)) {
    foundRegions++;
    foundBytes += size;
  }
  const { quarantined } = (await to.stats()).recovery;
  if (foundRegions === regions && foundBytes === bytes && quarantined === 0) return;
  throw new BedrockError(
    'INTERNAL',
    `the copy has ${foundRegions} regions of ${foundBytes} bytes and ${quarantined} damaged ones, not ${regions} of ${bytes}`,
  );
}

function placeName(
  { type, settings }: CopyPlace,
  path: unknown = settings.path,
): { type: string; path?: string } {
  return { type, ...(typeof path === 'string' && { path }) };
}

interface Result extends CopyReport {
  quarantined: number;
  poolId: Uint8Array;
  durationMs: number;
}

async function tell(
  { from, to }: Record<'from' | 'to', { type: string; path?: string }>,
  { regions, bytes, erased, quarantined, unreadable, poolId, durationMs }: Result,
  { json, verify = false }: CopyOptions,
): Promise<void> {
  if (json === true) {
    const id = Buffer.from(poolId).toString('hex');
    const facts = { from, to, poolId: id, regions, bytes, erased, quarantined, unreadable };
    await printJson({ ...facts, isVerified: verify, durationMs });
  } else {
    const name = ({ type, path }: typeof from): string => (path === undefined ? type : `${type}:${path}`);
    const compared = verify ? ', compared' : '';
    await printLine(
      `copied ${regions} ${regions === 1 ? 'region' : 'regions'}, ${formatSize(bytes)}, from ${name(from)} to ${name(to)}${compared}`,
    );
  }
  for (const { reason } of unreadable) process.stderr.write(`${reason}\n`);
  const lost = quarantined + unreadable.length;
  if (lost === 0) return;
  throw new Conclusion(
    ExitStatus.failed,
    new BedrockError(
      'POOL_CORRUPT',
      `FROM is damaged: ${quarantined} slots are set aside, and ${unreadable.length} regions cannot be read; the copy has all others`,
    ),
  );
}
