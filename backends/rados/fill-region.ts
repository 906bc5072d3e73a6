/**
 * Contents of a new region, stripe by stripe. The first stripe is made last, so that the region is
 * whole as soon as it is there.
 */
import { checkBytes, checkGiven } from '../../core/index.js';
import type { RegionObjects, Unknown } from './region-objects.js';
import { inWindows } from './windows.js';

/** Stripes of a source that are under way at once. */
const STRIPES_AHEAD = 4;

/** How much of a region was begun to be made. */
export interface Progress {
  /** Stripes of which there may be an object. */
  stripes: number;
}

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Makes the objects of a region. If it fails, some may be there.
 * @param contents all bytes, or a source of them
 * @throws INVALID_ARGUMENT (the source gave more or fewer bytes than `size`), any error of the source
 */
export async function fillRegion(
  regions: RegionObjects,
  region: Unknown,
  contents: Uint8Array | Pieces,
  progress: Progress,
): Promise<void> {
  if (ArrayBuffer.isView(contents)) return fillAtOnce(regions, region, contents, progress);
  const { size } = region;
  let first: Uint8Array | undefined;
  let stripe = 0;
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  const store = async (bytes: Uint8Array): Promise<void> => {
    const number = stripe++;
    progress.stripes = stripe;
    if (number === 0) {
      first = bytes;
      return;
    }
    while (underWay.size >= STRIPES_AHEAD) await Promise.race(underWay);
    const making = regions
      .makeStripe(region, number, bytes)
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => underWay.delete(making));
    underWay.add(making);
  };
  try {
    for await (const bytes of stripesOf(contents, size, regions.stripeBytes)) {
      if (failure !== undefined) break;
      await store(bytes);
    }
  } finally {
    // None is under way when the region is removed after a failure.
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure.error;
  await regions.make(region, first ?? new Uint8Array(0));
}

async function fillAtOnce(
  regions: RegionObjects,
  region: Unknown,
  bytes: Uint8Array,
  progress: Progress,
): Promise<void> {
  const { stripeBytes } = regions;
  progress.stripes = Math.ceil(region.size / stripeBytes);
  const further = Array.from(
    { length: Math.max(0, Math.ceil(region.size / stripeBytes) - 1) },
    (_, at) => at + 1,
  );
  await inWindows(further, (stripe) =>
    regions.makeStripe(region, stripe, bytes.subarray(stripe * stripeBytes, (stripe + 1) * stripeBytes)),
  );
  await regions.make(region, bytes.subarray(0, stripeBytes));
}

/** Pieces of any length, copied into stripes. */
async function* stripesOf(pieces: Pieces, size: number, stripeBytes: number): AsyncGenerator<Uint8Array> {
  let given = 0;
  let filled = 0;
  const next = (): Uint8Array =>
    new Uint8Array(Math.min(stripeBytes, size - (given - (given % stripeBytes))));
  let stripe = next();
  for await (const piece of pieces) {
    checkBytes('a piece of the source', piece);
    checkGiven(given + piece.length, size);
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + stripe.length - filled);
      stripe.set(part, filled);
      filled += part.length;
      given += part.length;
      at += part.length;
      if (filled < stripe.length) continue;
      yield stripe;
      filled = 0;
      stripe = next();
    }
  }
  checkGiven(given, size, true);
}
