/**
 * The destination of `bedrock pool copy`. A copy in a file is created under a temporary name next
 * to its final one, and renamed at the end. Any other target is filled in place, and destroyed on
 * failure.
 */
import { BedrockError, invalid } from '../base/errors.js';
import { isInstance } from '../base/plain.js';
import type { Target } from '../contract/target.js';
import { StagedPoolFile } from '../pool-file/staged-pool-file.js';
import { MIN_CHUNK_COUNT } from '../pool/chunk-directory.js';
import { DESCRIPTOR_BYTES } from '../pool/descriptor.js';
import { alignUp, firstExtentOffset, MIN_ALIGNMENT } from '../pool/extent.js';
import { erasedPages, regionsOf } from '../targets/copy.js';
import type { CopySide, Backends, Settings } from './copy-side.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { formatSize } from '../base/size-text.js';

/** Minimum size of a pool of `file` and `pmem`. */
const MIN_POOL_BYTES = 2 ** 23;

export interface Destination {
  readonly target: Target;
  /** Final name of the copy, if it is in a file. */
  readonly path?: string;
  /** The copy is closed and durable: gives it its name. */
  publish(): Promise<void>;
  /** An error for the user: with the final name of the copy, not the temporary one. */
  named(error: unknown): unknown;
  /** Ends everything that is left, and deletes what was not published. */
  end(): Promise<void>;
}

export interface DestinationOptions {
  /** Bytes. Default: computed from FROM. */
  size?: number;
  override?: boolean;
}

/** What is to be copied. */
export interface Survey {
  regions: number;
  bytes: number;
  poolId: Uint8Array;
  /** Capacity of FROM, bytes; null: unlimited. */
  capacityBytes: number | null;
  /** Minimum size of a pool with this alignment that can hold it, bytes. */
  spaceFor(alignment: number): number;
}

/** Iterates over all regions; its memory does not grow with their number. */
export async function surveyOf(from: Target): Promise<Survey> {
  let [regions, bytes, highest] = [0, 0, 0];
  /** Bytes of regions, rounded up to each possible alignment. */
  const rounded = Array.from({ length: 15 }, () => 0);
  for await (const { id, size } of regionsOf(from)) {
    regions++;
    bytes += size;
    highest = Math.max(highest, id.slot + 1);
    rounded.forEach((sum, index) => (rounded[index] = sum + alignUp(size, MIN_ALIGNMENT * 2 ** index)));
  }
  for await (const ids of erasedPages(from))
    for (const { slot } of ids) highest = Math.max(highest, slot + 1);
  const slots = Math.max(highest, MIN_CHUNK_COUNT);
  return {
    regions,
    bytes,
    poolId: (await from.listErased({ limit: 1 })).poolId,
    capacityBytes: (await from.stats()).capacityBytes,
    spaceFor: (alignment) =>
      firstExtentOffset(alignment) +
      alignUp(slots * DESCRIPTOR_BYTES, alignment) +
      (rounded[Math.log2(alignment / MIN_ALIGNMENT)] as number),
  };
}

/** @throws UsageError, INVALID_ARGUMENT, POOL_IN_USE, NOT_SUPPORTED, OUT_OF_SPACE */
export function openDestination(
  backends: Backends,
  side: CopySide,
  survey: Survey,
  options: DestinationOptions,
): Promise<Destination> {
  const isFile = side.has('create_if_missing_with_size') && typeof side.settings.path === 'string';
  if (isFile) return fileDestination(backends, side, survey, options);
  if (options.size !== undefined || options.override === true)
    throw new UsageError(`--size and --override are for pools in files; TO is of the type "${side.type}"`);
  return otherDestination(backends, side, survey);
}

async function fileDestination(
  backends: Backends,
  side: CopySide,
  survey: Survey,
  { size, override = false }: DestinationOptions,
): Promise<Destination> {
  const { path, size: olderSize, create_if_missing_with_size: givenSize, ...others } = side.settings;
  const settings: Settings = {
    // A region is made durable when it is complete, not after each piece.
    ...(side.has('sync_writes') && { sync_writes: false }),
    ...others,
    ...(side.has('override_if_exists') && { override_if_exists: false }),
  };
  const { alignment } = backends.validated(side, { ...settings, path });
  const least = survey.spaceFor(Number(alignment ?? MIN_ALIGNMENT));
  const wanted = size ?? givenSize ?? olderSize ?? roomFor(survey, least);
  if (typeof wanted === 'number' && wanted < least) {
    throw new BedrockError(
      'OUT_OF_SPACE',
      `a pool of ${wanted} bytes cannot hold the ${survey.regions} regions: at an alignment of ${String(alignment)} they need ` +
        `${least} bytes (${formatSize(least)}) at least`,
      { details: { requested: least, size: wanted } },
    );
  }
  const complete = { ...settings, create_if_missing_with_size: wanted };
  backends.validated(side, { ...complete, path });

  const given = { path: String(path), baseDirectory: process.cwd(), isDirectory: olderSize !== undefined };
  const logger = { info: (message: string) => void process.stderr.write(`${message}\n`) };
  const staged = await ofWrittenFile(given.path, () => StagedPoolFile.begin(given, override, logger));
  const endNow = (): void => staged.endNow();
  // For the case that cleaning up takes too long, or something else ends the process.
  process.once('exit', endNow);
  const named = (error: unknown): unknown => {
    if (!isInstance(error, BedrockError) || !error.message.includes(staged.path)) return error;
    const { code, details, message } = error;
    return new BedrockError(code, message.replaceAll(staged.path, staged.destination), {
      details,
      cause: error,
    });
  };
  let target: Target | undefined;
  const end = async (): Promise<void> => {
    // Closed first, since a close may have a lot to make durable.
    await staged.end();
    process.off('exit', endNow);
    await target?.close();
  };
  try {
    const made = backends.validated(side, { ...complete, path: staged.path });
    target = await backends.make(side, made, 'TO', survey.poolId);
    await target.open();
    const publish = (): Promise<void> => ofWrittenFile(given.path, () => staged.publish());
    return { target, path: staged.destination, publish, named, end };
  } catch (error) {
    await end();
    throw named(error);
  }
}

/** As large as FROM, or larger if another alignment needs it. */
function roomFor({ capacityBytes }: Survey, least: number): number {
  const comfortable = least + Math.ceil(least / 8);
  return Math.max(MIN_POOL_BYTES, capacityBytes ?? 0, alignUp(comfortable, 4096));
}

async function otherDestination(backends: Backends, side: CopySide, survey: Survey): Promise<Destination> {
  const settings = backends.validated(side, side.settings);
  const target = await backends.make(side, settings, 'TO', survey.poolId);
  await target.open();
  let isPublished = false;
  try {
    const { poolId, ids } = await target.listErased({ limit: 1 });
    const { regions } = await target.stats();
    if (regions > 0 || ids.length > 0 || Buffer.compare(poolId, survey.poolId) !== 0)
      throw invalid('TO already exists; a copy needs a new target');
  } catch (error) {
    await target.close();
    throw error;
  }
  return {
    target,
    publish() {
      isPublished = true;
      return Promise.resolve();
    },
    named: (error) => error,
    end: () => (isPublished ? target.close() : target.destroy()),
  };
}
