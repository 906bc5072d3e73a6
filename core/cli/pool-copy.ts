/**
 * `bedrock pool copy`: creates a pool with the same regions under the same IDs. FROM is only read.
 * TO gets its name when it is complete and durable, and has been opened again and counted. If the
 * command ends earlier, for any reason, nothing is left behind.
 */
import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { Target } from '../contract/target.js';
import type { CopyReport } from '../targets/copy.js';
import { collect } from './client-command.js';
import { subcommand } from './command-line.js';
import type { Destination, Survey } from './copy-destination.js';
import type { CopySide, Backends } from './copy-side.js';
import { ExitStatus } from './exit-status.js';
import { Conclusion, ofNamedFile, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { countOf, printJson, printLine } from './output.js';
import { trackProgress } from './progress.js';
import { formatSize } from '../base/size-text.js';
import { parseSize, SIZE_FORMS } from './sizes.js';

const EXAMPLES = `
Examples:
  bedrock pool copy data/pool pmem:/mnt/pmem/pool
  bedrock pool copy data/pool smaller.pool --size 1G
  bedrock pool copy data/pool 'file:{"path": "big.pool", "alignment": 65536}' --verify
  bedrock pool copy data/pool 'mine:{"place": "x"}' --library ./my-backend.js

FROM and TO are [TYPE:]PATH, where TYPE is file by default, or TYPE:{settings} as in a configuration. No daemon may have
them open. Damaged regions of FROM are listed and left out, and the exit status is then 1.
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
    .description('Copy a pool, from any type to any type. IDs stay valid, and erased ones invalid.')
    .argument('<FROM>', 'the pool to copy')
    .argument('<TO>', 'the pool to make')
    .option('--size <N>', `capacity of TO (default: that of FROM): ${SIZE_FORMS}`, parseSize)
    .option('--override', 'replace the pool at TO')
    .option('--verify', 'read both afterwards, and compare every byte')
    .option('--library <PATH>', 'a library with a backend type; can be repeated', collect(String))
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
  // Loaded only now, so that help and usage errors appear at once.
  const { Backends } = await import('./copy-side.js');
  const { openDestination, surveyOf } = await import('./copy-destination.js');
  const backends = await Backends.open(options.library ?? []);
  const [fromSide, toSide] = [backends.side(fromText), backends.side(toText)];
  await mustDiffer(fromSide, toSide);
  const from = await openSource(backends, fromSide);
  try {
    const survey = await surveyOf(from);
    signal.throwIfAborted();
    const to = await openDestination(backends, toSide, survey, options);
    let report: CopyReport;
    try {
      report = await transfer(from, to, survey, options, signal);
    } catch (error) {
      throw to.named(error);
    } finally {
      await to.end();
    }
    const { quarantined } = (await from.stats()).recovery;
    const names = { from: sideName(fromSide), to: sideName(toSide, to.path) };
    const durationMs = Math.round(performance.now() - begun);
    await tell(names, { ...report, quarantined, poolId: survey.poolId, durationMs }, options);
  } finally {
    await from.close();
  }
}

/** Opened read-only, if its type supports that. */
async function openSource(backends: Backends, side: CopySide): Promise<Target> {
  const settings = { ...side.settings };
  delete settings.override_if_exists;
  const isLookedAt = side.has('read_only');
  if (isLookedAt) settings.read_only = true;
  const complete = backends.validated(side, settings);
  if (isLookedAt && typeof settings.path === 'string') await mustBeThere(settings.path);
  const from = await backends.make(side, complete, 'FROM');
  await from.open();
  if (from.isFilling !== true) return from;
  await from.close();
  throw new BedrockError(
    'CONFLICT',
    'FROM is not complete: a restore or a migration into it was interrupted; repeat that first, or copy its source',
  );
}

/** FROM is read while TO is created, so they cannot be the same. @throws UsageError */
async function mustDiffer(from: CopySide, to: CopySide): Promise<void> {
  const { fileOf } = await import('../pool-file/pool-path.js');
  const identityOf = async ({ settings }: CopySide): Promise<string | undefined> => {
    if (typeof settings.path !== 'string') return undefined;
    const file = await fileOf({
      path: settings.path,
      baseDirectory: process.cwd(),
      isDirectory: settings.size !== undefined,
    });
    const there = await stat(file, { bigint: true }).catch(() => undefined);
    return there === undefined ? undefined : `${there.dev} ${there.ino}`;
  };
  const [one, other] = [await identityOf(from), await identityOf(to)];
  if (one === undefined || one !== other) return;
  throw new UsageError(
    'FROM and TO are the same pool; copy it to another place, and then move the copy over it',
  );
}

/** Explains to a user of the command line why a path cannot be opened. Does not block on a pipe. */
async function mustBeThere(path: string): Promise<void> {
  const { OfflinePool } = await import('../pool-file/offline-pool.js');
  const pool = await ofNamedFile(path, () => OfflinePool.open(path, true));
  await pool.close();
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

/** A persistent copy is opened again, so that what was written is counted. */
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

function sideName(
  { type, settings }: CopySide,
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
      `copied ${countOf(regions, 'region')}, ${formatSize(bytes)}, from ${name(from)} to ${name(to)}${compared}`,
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
