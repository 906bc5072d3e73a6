/**
 * Takes a snapshot of a target, and restores one into an empty target. Any provider whose targets
 * support it can use this.
 */
import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { BedrockError, explain, invalid } from '../base/errors.js';
import type { OperationContext } from '../contract/operation.js';
import type { Target } from '../contract/target.js';
import type { Manifest, RegionRecord } from './format.js';
import { copyLive, isWatchable } from './live-copy.js';
import { SnapshotReader } from './snapshot-reader.js';
import { folderError, useFolder } from './snapshot-folder.js';
import { SnapshotWriter, type Written } from './snapshot-writer.js';

/** Regions that are restored at once, by default. */
const IN_FLIGHT = 64;

/** What is reported of a snapshot. */
export type SnapshotSummary = Pick<Manifest, 'poolId' | 'takenAt' | 'regions' | 'bytes' | 'erased'> & {
  readonly path: string;
};

/** How a snapshot is taken. */
export interface SnapshotSettings {
  readonly source: Manifest['source'];
  /** How long changes may be held for the last pass, milliseconds; 1000 unless given. */
  readonly maxHoldMs?: number;
  /** Pieces of 256 KiB that are copied at once; 32 unless given. */
  readonly inFlight?: number;
  /**
   * The folder of an earlier, complete snapshot of the same target: an absolute path on the same
   * file system. Packs of it that hold unchanged bytes are linked, not written again.
   */
  readonly incremental?: string;
}

/** How a snapshot is restored. */
export interface RestoreSettings {
  /** Regions that are restored at once; 64 unless given. */
  readonly inFlight?: number;
}

/** What is reported of a snapshot that was taken. */
export interface SnapshotResult extends SnapshotSummary, Written {
  /** Passes over the target. */
  readonly passes: number;
  /** How long changes were held, milliseconds. */
  readonly holdMs: number;
}

/** How long changes may be held for the last pass, by default; milliseconds. */
export const DEFAULT_MAX_HOLD_MS = 1000;

function summaryOf(folder: string, { poolId, takenAt, regions, bytes, erased }: Manifest): SnapshotSummary {
  return { path: folder, poolId, takenAt, regions, bytes, erased };
}

/** @throws INVALID_ARGUMENT for a relative path, which would depend on the working directory */
export function checkFolder(folder: string): void {
  if (!path.isAbsolute(folder))
    throw invalid(`the folder ${JSON.stringify(folder)} must be an absolute path`);
}

/**
 * Saves a target to a folder, as it is at one moment, while it serves.
 * @throws NOT_SUPPORTED, INVALID_ARGUMENT, CONFLICT, OUT_OF_SPACE, TARGET_CLOSED, TIMEOUT, what the
 *   signal was aborted with; for the earlier snapshot also NOT_FOUND, SNAPSHOT_INCOMPLETE,
 *   SNAPSHOT_CORRUPT
 */
export async function takeSnapshot(
  target: Target,
  folder: string,
  { source, maxHoldMs = DEFAULT_MAX_HOLD_MS, inFlight, incremental }: SnapshotSettings,
  { signal, report }: Pick<OperationContext, 'signal' | 'report'>,
): Promise<SnapshotResult> {
  checkFolder(folder);
  if (incremental !== undefined) checkFolder(incremental);
  if (!target.capabilities.importable || !isWatchable(target))
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the backend "${target.type}" does not support snapshots: it cannot tell its erased IDs, or its changes`,
    );
  signal.throwIfAborted();
  const { regions, usedBytes } = await target.stats();
  report({ totalBytes: usedBytes, totalRegions: regions });
  const done = { doneBytes: 0, doneRegions: 0 };
  const poolId = Buffer.from((await target.listErased({ limit: 1 })).poolId).toString('hex');
  const writer = await SnapshotWriter.open(folder, {
    poolId,
    ...(incremental !== undefined && { incremental }),
    onBytes(bytes, regions) {
      done.doneBytes += bytes;
      done.doneRegions += regions;
      report(done);
    },
  });
  try {
    const { takenAt, passes, holdMs } = await copyLive(target, writer, { signal, maxHoldMs, inFlight });
    const { manifest, written } = await writer.finish({ poolId, takenAt, source }, signal);
    report({ ...done, totalBytes: done.doneBytes, totalRegions: done.doneRegions });
    return { ...summaryOf(folder, manifest), ...written, passes, holdMs: Math.round(holdMs) };
  } catch (error) {
    throw folderError(folder, error);
  } finally {
    await writer.close();
  }
}

/**
 * Restores a snapshot into an empty target, with IDs, names, times and erased IDs. If it fails, the
 * target is empty again. If the process dies, the target says that it is being filled, and the next
 * restore starts again. The caller must keep others from using the target.
 * @throws NOT_SUPPORTED, TARGET_NOT_EMPTY, NOT_FOUND, SNAPSHOT_INCOMPLETE, SNAPSHOT_CORRUPT,
 *   OUT_OF_SPACE, READ_ONLY, CONFLICT, what the signal was aborted with
 */
export async function restoreSnapshot(
  target: Target,
  folder: string,
  operation: Pick<OperationContext, 'signal' | 'report'>,
  { inFlight = IN_FLIGHT }: RestoreSettings = {},
): Promise<SnapshotSummary> {
  const { signal, report } = operation;
  checkFolder(folder);
  if (!target.capabilities.importable || target.beginFilling === undefined || target.endFilling === undefined)
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the backend "${target.type}" cannot take regions under their IDs`,
    );
  signal.throwIfAborted();
  const reader = await SnapshotReader.open(folder);
  const release = useFolder(await realpath(folder));
  try {
    const { manifest } = reader;
    await checkRoom(target, manifest);
    report({ totalBytes: manifest.bytes, totalRegions: manifest.regions });
    await target.beginFilling(Buffer.from(manifest.poolId, 'hex'));
    try {
      await bringIn(target, reader, operation, inFlight);
      await target.endFilling();
    } catch (error) {
      await emptyAgain(target, error);
      throw error;
    }
    return summaryOf(folder, manifest);
  } finally {
    release();
    await reader.close();
  }
}

/** Refuses a snapshot that cannot fit, before anything is changed. */
async function checkRoom(target: Target, { bytes, regions }: Manifest): Promise<void> {
  const { capacityBytes, usedBytes } = await target.stats();
  if (capacityBytes === null || bytes <= capacityBytes) return;
  throw new BedrockError(
    'OUT_OF_SPACE',
    `the snapshot has ${regions} regions of ${bytes} bytes, and the target has room for ${capacityBytes}`,
    {
      details: {
        requested: bytes,
        used: usedBytes,
        free: capacityBytes - usedBytes,
        largestFree: capacityBytes - usedBytes,
      },
    },
  );
}

async function bringIn(
  target: Target,
  reader: SnapshotReader,
  { signal, report }: Pick<OperationContext, 'signal' | 'report'>,
  inFlight: number,
): Promise<void> {
  const { folder } = reader;
  const lie = (cause: unknown): unknown => {
    if (!(cause instanceof BedrockError)) return cause;
    if (!['ID_TAKEN', 'NAME_TAKEN', 'INVALID_ARGUMENT'].includes(cause.code)) return cause;
    return new BedrockError(
      'SNAPSHOT_CORRUPT',
      `the snapshot ${folder} contradicts itself: ${cause.message}`,
      { cause },
    );
  };
  for await (const ids of reader.erased()) {
    signal.throwIfAborted();
    await target.importErased(ids).catch((error: unknown) => {
      throw lie(error);
    });
  }
  const done = { doneBytes: 0, doneRegions: 0 };
  const records = reader.regions();
  let failure: { readonly error: unknown } | undefined;
  const bringOne = async (record: RegionRecord): Promise<void> => {
    const { id, size, createdAt, name } = record;
    const source = counted(reader.contents(record, signal), (bytes) => {
      done.doneBytes += bytes;
      report(done);
    });
    await target.importRegion(id, { size, source }, { createdAt, ...(name !== undefined && { name }) });
    done.doneRegions++;
    report(done);
  };
  const work = async (): Promise<void> => {
    try {
      while (failure === undefined) {
        signal.throwIfAborted();
        const next = await records.next();
        if (next.done === true) return;
        await bringOne(next.value);
      }
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  if (failure === undefined) return;
  await records.return(undefined);
  throw lie(failure.error);
}

async function* counted(
  pieces: AsyncGenerator<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    onBytes(piece.length);
  }
}

/**
 * Empties the target after a failure. It gets a pool ID of its own, so that IDs of the snapshot are
 * not valid here.
 */
async function emptyAgain(target: Target, cause: unknown): Promise<void> {
  try {
    if (target.state === 'closed') await target.open();
    await target.beginFilling?.(randomBytes(8));
    await target.endFilling?.();
  } catch (error) {
    throw new BedrockError(
      'INTERNAL',
      `the restore failed (${explain(cause)}), and the target could not be emptied: ${explain(error)}; restore again`,
      { cause: error },
    );
  }
}
