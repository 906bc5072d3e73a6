/**
 * What the commands have in common that look after a pool: finding and locking it, and the bar while its descriptors are read.
 *
 * What they need is loaded only when they run, so that help and complaints about options come at once.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { OfflinePool } from '../pool-file/offline-pool.js';
import type { HeaderCopy } from '../pool/header-choice.js';
import type { Inspection } from '../pool/inspection.js';
import { UsageError } from './failure.js';
import { trackProgress } from './progress.js';

export interface PoolOptions {
  json?: boolean;
  quiet?: boolean;
  header?: HeaderCopy;
}

export interface OpenedPool {
  readonly pool: OfflinePool;
  /** Reads headers and descriptors, with a bar if there are many. */
  readonly inspect: (label: string, options: PoolOptions) => Promise<Inspection>;
}

export interface PoolAccess {
  /** Others may look at the pool at the same time. */
  isReadOnly: boolean;
}

/** A command whose argument is a pool. */
export function withPool(command: Command): Command {
  return command
    .argument('<PATH>', "the pool's file, or the directory with pool.pmem inside")
    .option('-q, --quiet', 'no progress bar');
}

/** A command that can go by either header where they contradict each other. */
export function withHeader(command: Command): Command {
  return command.addOption(
    new Option('--header <COPY>', 'the header copy that counts, if the two contradict each other')
      .choices(['0', '1'])
      .argParser((text) => (text === '0' || text === '1' ? Number(text) : notAChoice())),
  );
}

function notAChoice(): never {
  throw new InvalidArgumentError('It takes 0 or 1.');
}

/** Opens the pool, does the work, closes it. */
export async function onPool(
  path: string,
  { isReadOnly }: PoolAccess,
  work: (opened: OpenedPool) => Promise<void>,
): Promise<void> {
  const { OfflinePool } = await import('../pool-file/offline-pool.js');
  const pool = await OfflinePool.open(path, isReadOnly);
  try {
    await work({ pool, inspect: (label, options) => inspect(pool, label, options) });
  } finally {
    await pool.close();
  }
}

async function inspect(
  pool: OfflinePool,
  label: string,
  { quiet, header }: PoolOptions,
): Promise<Inspection> {
  const { inspectPool } = await import('../pool/inspection.js');
  let progress: ReturnType<typeof trackProgress> | undefined;
  try {
    return await inspectPool(pool, {
      prefer: header,
      onRead(bytes, total) {
        progress ??= trackProgress(label, total, quiet);
        progress.add(bytes);
      },
    });
  } catch (error) {
    // A choice between headers that need none is a fault of the command line.
    if (error instanceof BedrockError && error.code === 'INVALID_ARGUMENT')
      throw new UsageError(error.message);
    throw named(pool.path, error);
  } finally {
    progress?.end();
  }
}

/** What the pure logic says of a pool has no name in it. */
export function named(path: string, error: unknown): unknown {
  if (!(error instanceof BedrockError)) return error;
  return new BedrockError(error.code, `${path}: ${error.message}`, { details: error.details, cause: error });
}
