/**
 * Where `bedrock pool copy` puts its copy. What lies in a file is made beside its name and takes the name at the end; any other
 * target is filled where it is, and destroyed if that fails.
 */
import { BedrockError } from '../base/errors.js';
import type { Target } from '../contract/target.js';
import { StagedPoolFile } from '../pool-file/staged-pool-file.js';
import { MIN_CHUNK_COUNT } from '../pool/chunk-directory.js';
import { DESCRIPTOR_BYTES } from '../pool/descriptor.js';
import { alignUp, firstExtentOffset, MIN_ALIGNMENT } from '../pool/extent.js';
import { erasedPages, regionsOf } from '../targets/copy.js';
import type { CopyPlace, Door, Settings } from './copy-place.js';
import { UsageError } from './failure.js';
import { formatSize } from './sizes.js';

/** The least that `file` and `pmem` make. */
const MIN_POOL_BYTES = 2 ** 23;

export interface Destination {
  readonly target: Target;
  /** The name that it gets, of what lies in a file. */
  readonly path?: string;
  /** What was copied is closed and durable: it takes its name. */
  publish(): Promise<void>;
  /** Ends all that is left, deleting what was not published. */
  end(): Promise<void>;
}

export interface DestinationOptions {
  /** Bytes; by what FROM has unless told. */
  size?: number;
  override?: boolean;
}

/** What is to be copied. */
export interface Survey {
  regions: number;
  bytes: number;
  poolId: Uint8Array;
  /** Bytes that FROM may hold; null: unlimited. */
  capacityBytes: number | null;
  /** Least bytes of a pool of this alignment that holds it. */
  spaceFor(alignment: number): number;
}

/** Goes through all regions; what it keeps does not grow with them. */
export async function surveyOf(from: Target): Promise<Survey> {
  let [regions, bytes, highest] = [0, 0, 0];
  /** Bytes of regions, rounded up to each power of two that can be an alignment. */
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
  door: Door,
  place: CopyPlace,
  survey: Survey,
  options: DestinationOptions,
): Promise<Destination> {
  const isFile = place.has('create_if_missing_with_size') && typeof place.settings.path === 'string';
  if (isFile) return fileDestination(door, place, survey, options);
  if (options.size !== undefined || options.override === true)
    throw new UsageError(`--size and --override are for pools in files; TO is of the type "${place.type}"`);
  return otherDestination(door, place, survey);
}

async function fileDestination(
  door: Door,
  place: CopyPlace,
  survey: Survey,
  { size, override = false }: DestinationOptions,
): Promise<Destination> {
  const { path, size: olderSize, create_if_missing_with_size: givenSize, ...others } = place.settings;
  const settings: Settings = {
    // A region is made durable when it is whole, not with each of its pieces.
    ...(place.has('sync_writes') && { sync_writes: false }),
    ...others,
    ...(place.has('override_if_exists') && { override_if_exists: false }),
  };
  const { alignment } = door.validated(place, { ...settings, path });
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
  door.validated(place, { ...complete, path });

  const given = { path: String(path), baseDirectory: process.cwd(), isDirectory: olderSize !== undefined };
  const staged = await StagedPoolFile.begin(given, override, {
    info: (message) => void process.stderr.write(`${message}\n`),
  });
  const endNow = (): void => staged.endNow();
  // Where cleaning up takes too long, or something else ends the process.
  process.once('exit', endNow);
  let target: Target | undefined;
  const end = async (): Promise<void> => {
    // First: a close may have a lot to make durable.
    await staged.end();
    process.off('exit', endNow);
    await target?.close();
  };
  try {
    const made = door.validated(place, { ...complete, path: staged.path });
    target = await door.make(place, made, 'TO', survey.poolId);
    await target.open();
    return { target, path: staged.place, publish: () => staged.publish(), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** As large as FROM, or larger where rounding up to another alignment needs it. */
function roomFor({ capacityBytes }: Survey, least: number): number {
  const comfortable = least + Math.ceil(least / 8);
  return Math.max(MIN_POOL_BYTES, capacityBytes ?? 0, alignUp(comfortable, 4096));
}

async function otherDestination(door: Door, place: CopyPlace, survey: Survey): Promise<Destination> {
  const settings = door.validated(place, place.settings);
  const target = await door.make(place, settings, 'TO', survey.poolId);
  await target.open();
  let isPublished = false;
  try {
    const { poolId, ids } = await target.listErased({ limit: 1 });
    const { regions } = await target.stats();
    if (regions > 0 || ids.length > 0 || Buffer.compare(poolId, survey.poolId) !== 0)
      throw new BedrockError('INVALID_ARGUMENT', 'TO is there already; a copy needs a target that is new');
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
    end: () => (isPublished ? target.close() : target.destroy()),
  };
}
