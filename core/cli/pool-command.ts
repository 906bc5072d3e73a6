/**
 * Common code of the commands for pools: finding and locking a pool, and the progress bar while its
 * descriptors are read.
 *
 * Other code is loaded only when a command runs, so that help and usage errors appear at once.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BedrockError } from '../base/errors.js';
import type { OfflinePool } from '../pool-file/offline-pool.js';
import type { HeaderCopy } from '../pool/header-choice.js';
import type { Inspection } from '../pool/inspection.js';
import { ofNamedFile, UsageError } from './failure.js';
import { trackProgress } from './progress.js';

export interface PoolOptions {
  json?: boolean;
  quiet?: boolean;
  header?: HeaderCopy;
}

export interface OpenedPool {
  readonly pool: OfflinePool;
  /** Reads headers and descriptors, with a progress bar if there are many. */
  readonly inspect: (label: string, options: PoolOptions) => Promise<Inspection>;
}

export interface PoolAccess {
  /** Others may read the pool at the same time. */
  isReadOnly: boolean;
}

/** A command whose argument is a pool. */
export function withPool(command: Command): Command {
  return command
    .argument('<PATH>', "the pool's file, or the directory with pool.pmem inside")
    .option('-q, --quiet', 'no progress bar');
}

/** A command that can use either header if they contradict each other. */
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

/** Opens the pool, does the work, closes the pool. */
export async function onPool(
  path: string,
  { isReadOnly }: PoolAccess,
  work: (opened: OpenedPool) => Promise<void>,
): Promise<void> {
  const { OfflinePool } = await import('../pool-file/offline-pool.js');
  const pool = await ofNamedFile(path, () => OfflinePool.open(path, isReadOnly));
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
    // A choice between headers that is not needed is a usage error.
    if (error instanceof BedrockError && error.code === 'INVALID_ARGUMENT')
      throw new UsageError(error.message);
    throw named(pool.path, error);
  } finally {
    progress?.end();
  }
}

/** Adds the path to an error: the pool code does not know it. */
export function named(path: string, error: unknown): unknown {
  if (!(error instanceof BedrockError)) return error;
  return new BedrockError(error.code, `${path}: ${error.message}`, { details: error.details, cause: error });
}
