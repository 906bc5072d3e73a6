/**
 * A backend that keeps its regions in a pool file: from its settings to a target, in one way for all of them. Each brings what
 * differs, the medium that bytes go through, and two defaults.
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
import { fileOperations } from './file-operations.js';
import { PoolFileIo } from './pool-file-io.js';
import { deletePoolFile, openPoolFile, type PoolFile, type PoolFileOptions } from './pool-file.js';
import type { PoolPlace } from './pool-place.js';
import { checkPoolSettings, missingBytes, overrideBytes, type PoolSettings } from './pool-settings.js';

/** What a medium is made of: a file that is open and locked. */
export interface OpenedPoolFile extends PoolFile {
  readonly io: PoolFileIo;
  /** Settings with their defaults that concern the medium. */
  readonly sync: boolean;
  readonly syncWrites: boolean;
  readonly requiresPmem: boolean;
  readonly reclaims: boolean;
  readonly isReadOnly: boolean;
  readonly logger: Logger;
}

/** Makes a medium; what it took is given back if it throws, the file excepted. */
export type OpenMedium = (opened: OpenedPoolFile) => PoolMedium | Promise<PoolMedium>;

export interface PoolBackend {
  readonly type: string;
  readonly aliases: readonly string[];
  readonly schema: SchemaSource;
  readonly capabilities: Capabilities;
  /** Bytes, of a pool whose settings name none. */
  readonly defaultAlignment: number;
  readonly defaultSyncWrites: boolean;
  /** Loads what the medium needs, when the target is made: so a daemon that lacks it says so before it opens anything. */
  load(): OpenMedium | Promise<OpenMedium>;
  /**
   * Refuses, by what it throws, a file for a pool that is about to be made, so that nothing is left of one that its medium could not be
   * opened on. The file has its length, and no space yet.
   */
  accept?(file: NewFile): Promise<void>;
}

export interface NewFile {
  readonly file: FileHandle;
  /** Of the pool to be, for errors. */
  readonly path: string;
  readonly requiresPmem: boolean;
}

export function definePoolBackend(backend: PoolBackend): BackendDefinition {
  const { type, aliases, schema, capabilities } = backend;
  return defineBackend<PoolSettings>({
    apiVersion: API_VERSION,
    type,
    aliases,
    schema,
    capabilities,
    validate: checkPoolSettings,
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
  const { read_only: isReadOnly = false } = settings;
  const place: PoolPlace = {
    path: settings.path,
    isDirectory: settings.size !== undefined,
    baseDirectory,
  };
  return new PoolTarget({
    type,
    capabilities,
    isReadOnly,
    logger,
    clock,
    storage: {
      open: () => openStorage(backend, openMedium, settings, { ...place, poolId, owner }, logger),
      destroy: () => deletePoolFile(place),
    },
  });
}

async function openStorage(
  backend: PoolBackend,
  openMedium: OpenMedium,
  settings: PoolSettings,
  place: PoolPlace & Pick<PoolFileOptions, 'poolId' | 'owner'>,
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
      ...place,
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
  const io = await PoolFileIo.take(opened, operations, failed);
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
      logger,
    });
    if (!isReadOnly) io.watch();
    return { medium, maxBytes };
  } catch (error) {
    await io.close();
    throw error;
  }
}

/** Ends that the pool shares blocks with a copy of it, so that what it has been given is its own. Without room for that it is served all the same. */
async function unshare(io: PoolFileIo, { path, size, capacity }: PoolFile, logger: Logger): Promise<void> {
  try {
    await io.space.unshare(Math.min(size, capacity));
  } catch (error) {
    if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
    logger.warning(
      `the pool ${path} shares blocks with a copy of it, as \`cp\` makes one, and not all can be given space of their own: ${error.message}; ` +
        'a full disk refuses writes to what is shared, and loses what is stored through views of it; make room and start again, and copy with ' +
        '`cp --reflink=never`',
    );
  }
}
