/**
 * A backend that keeps its regions in a pool file: the common way from settings to a target. Each
 * backend supplies what differs: the medium, and two defaults.
 */
import type { FileHandle } from 'node:fs/promises';
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import {
  API_VERSION,
  type BackendContext,
  type BackendDefinition,
  defineBackend,
} from '../contract/definitions.js';
import type { SchemaSource } from '../contract/schema-source.js';
import type { Capabilities, Target } from '../contract/target.js';
import type { PoolMedium } from '../pool/medium.js';
import { type OpenedStorage, PoolTarget } from '../pool/pool-target.js';
import { diagnosePool } from './diagnose-pool.js';
import { fileOperations } from './file-operations.js';
import { PoolFileIo } from './pool-file-io.js';
import {
  deletePoolFile,
  openFailure,
  openPoolFile,
  type PoolFile,
  type PoolFileOptions,
} from './pool-file.js';
import type { PoolPath } from './pool-path.js';
import { checkPoolSettings, missingBytes, overrideBytes, type PoolSettings } from './pool-settings.js';

/** The input of a medium: a file that is open and locked. */
export interface OpenedPoolFile extends PoolFile {
  /** Reads, writes and commits of the file. A medium closes it with `close`. */
  readonly io: PoolFileIo;
  /**
   * Setting `sync`, default true. False: the pool does not wait for the disk, and a power failure
   * may lose what was acknowledged.
   */
  readonly sync: boolean;
  /** Setting `sync_writes`: whether every write is durable when it ends. Default: `defaultSyncWrites`. */
  readonly syncWrites: boolean;
  /** Setting `require_pmem`, default false: whether to refuse a file that is not on persistent memory. */
  readonly requiresPmem: boolean;
  /** Setting `reclaim`, default false: whether the space of erased regions returns to the file system. */
  readonly reclaims: boolean;
  /** Setting `read_only`, default false: whether the file must not be written. */
  readonly isReadOnly: boolean;
  /** All validated settings of the target, for those that only this backend has. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Logger of the provider that holds the target. */
  readonly logger: Logger;
}

/** Creates a medium. If it throws, it releases what it took, except the file. */
export type OpenMedium = (opened: OpenedPoolFile) => PoolMedium | Promise<PoolMedium>;

/**
 * What a backend supplies to keep its regions in a pool file: its name and settings, its medium,
 * and two defaults.
 */
export interface PoolBackend {
  /** The `type` in configurations. */
  readonly type: string;
  /** Further names for it; may be empty. */
  readonly aliases: readonly string[];
  /** Schema of its `config`, including the settings that all pool files have. */
  readonly schema: SchemaSource;
  /** Capabilities of its targets; the same for all of them. */
  readonly capabilities: Capabilities;
  /** Alignment of a pool whose settings give none, bytes. */
  readonly defaultAlignment: number;
  /** Default of `sync_writes`. */
  readonly defaultSyncWrites: boolean;
  /**
   * Loads what the medium needs, when the target is created: so a daemon without it reports that
   * before it opens anything.
   */
  load(): OpenMedium | Promise<OpenMedium>;
  /**
   * Throws to refuse a file for a new pool, so that nothing is left of a file that the medium
   * cannot open. The file has its length, but no space yet.
   */
  accept?(file: NewFile): Promise<void>;
}

/** The file of a new pool, as `accept` of a backend gets it. */
export interface NewFile {
  /** The open file, with its full length but without space yet. `accept` must not close it. */
  readonly file: FileHandle;
  /** Path of the new pool, for errors. */
  readonly path: string;
  /** Setting `require_pmem`, default false. */
  readonly requiresPmem: boolean;
}

/**
 * Defines a backend that keeps its regions in a pool file. This code finds, creates, locks and
 * recovers the file; `backend` supplies what differs.
 */
export function definePoolBackend(backend: PoolBackend): BackendDefinition {
  const { type, aliases, schema, capabilities } = backend;
  return defineBackend<PoolSettings>({
    apiVersion: API_VERSION,
    type,
    aliases,
    schema,
    capabilities,
    validate: checkPoolSettings,
    diagnose: (settings, context) => diagnosePool(type, settings, context),
    create: (settings, context) => createTarget(backend, settings, context),
  });
}

async function createTarget(
  backend: PoolBackend,
  settings: PoolSettings,
  { logger, clock, baseDirectory, poolId, providerName: owner }: BackendContext,
): Promise<Target> {
  const { type, capabilities } = backend;
  const openMedium = await backend.load();
  const { read_only: isReadOnly = false, max_transaction_bytes: maxTransactionBytes } = settings;
  const poolPath: PoolPath = {
    path: settings.path,
    isDirectory: settings.size !== undefined,
    baseDirectory,
  };
  return new PoolTarget({
    type,
    capabilities,
    isReadOnly,
    maxTransactionBytes,
    logger,
    clock,
    storage: {
      open: () => openStorage(backend, openMedium, settings, { ...poolPath, poolId, owner }, logger),
      destroy: () => deletePoolFile(poolPath),
    },
  });
}

async function openStorage(
  backend: PoolBackend,
  openMedium: OpenMedium,
  settings: PoolSettings,
  poolPath: PoolPath & Pick<PoolFileOptions, 'poolId' | 'owner'>,
  logger: Logger,
): Promise<OpenedStorage> {
  const { type, defaultAlignment, defaultSyncWrites } = backend;
  const {
    max_size: maxBytes = 0,
    alignment = defaultAlignment,
    sync = true,
    sync_writes: syncWrites = defaultSyncWrites,
    read_only: isReadOnly = false,
    require_pmem: requiresPmem = false,
    reclaim: reclaims = false,
  } = settings;
  const operations = await fileOperations();
  const opened = await openPoolFile(
    {
      ...poolPath,
      createBytes: missingBytes(settings),
      overrideBytes: overrideBytes(settings),
      maxBytes,
      isReadOnly,
      alignment,
      type,
      accept: (file, path) => backend.accept?.({ file, path, requiresPmem }) ?? Promise.resolve(),
    },
    operations,
    logger,
  );
  const failed = (error: BedrockError): void => logger.error(error.message);
  const io = await PoolFileIo.take(opened, operations, failed).catch((error: unknown) => {
    throw openFailure(opened.path, error);
  });
  try {
    if (!isReadOnly) await unshare(io, opened, logger);
    const medium = await openMedium({
      ...opened,
      io,
      sync,
      syncWrites,
      requiresPmem,
      reclaims,
      isReadOnly,
      settings: { ...settings },
      logger,
    });
    if (!isReadOnly) io.watch();
    // The file may be shorter if it could not be extended.
    return { medium, maxBytes: Math.min(maxBytes, opened.size) };
  } catch (error) {
    await io.close();
    throw error instanceof BedrockError ? error : openFailure(opened.path, error);
  }
}

/**
 * Stops the pool from sharing blocks with a copy, so that all its space is its own. Without room
 * for that, the pool is served nevertheless.
 */
async function unshare(io: PoolFileIo, { path, size, capacity }: PoolFile, logger: Logger): Promise<void> {
  try {
    await io.space.unshare(Math.min(size, capacity));
  } catch (error) {
    if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
    logger.warning(
      `the pool ${path} shares blocks with a copy of it, such as \`cp\` makes, and not all of them can get space of their own: ${error.message}; ` +
        'a full disk refuses writes to shared blocks, and loses what is stored through views of them; free some space and restart, and copy with ' +
        '`cp --reflink=never`',
    );
  }
}
