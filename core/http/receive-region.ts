/** Bodies on their way into a region. */
import type { IncomingMessage } from 'node:http';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionRange, Target, WriteOptions } from '../contract/target.js';
import { checkRange } from '../targets/arguments.js';
import { type BodyLimits, readBody, takeBody } from './body.js';

export interface Destination {
  target: Target;
  pool: ExecutionPool;
  id: RegionId;
  range: RegionRange;
}

/**
 * Checks that a body fits, and writes it if it has all come already.
 * @returns whether it had; if not, nothing of it was read
 * @throws REGION_NOT_FOUND, OUT_OF_RANGE, what the target throws
 */
export async function receiveWhole(
  request: IncomingMessage,
  { target, id, range }: Pick<Destination, 'target' | 'id' | 'range'>,
  options: WriteOptions,
): Promise<boolean> {
  // Before the first byte: a body that cannot fit changes nothing.
  const region = await target.stat(id);
  checkRange('write', range.offset, range.size, region.size);
  const whole = takeBody(request, range.size);
  if (whole === undefined) return false;
  await target.write(id, range.offset, whole, options);
  return true;
}

/**
 * Writes a body piece by piece, and to its end, as it may turn out too long; one that is a single piece, in a single call.
 * @throws OVERLOADED, as receiveWhole, and what is wrong with the body
 */
export async function receiveRegion(
  request: IncomingMessage,
  destination: Destination,
  options: WriteOptions,
  limits: BodyLimits,
): Promise<void> {
  const { target, pool, id, range } = destination;
  if (await pool.run(() => receiveWhole(request, destination, options))) return;
  let { offset } = range;
  let isPersisted = options.persist !== true;
  for await (const piece of readBody(request, range.size, limits)) {
    const isWhole = piece.length === range.size;
    await pool.resume(() => target.write(id, offset, piece, isWhole ? options : {}));
    isPersisted ||= isWhole;
    offset += piece.length;
  }
  if (!isPersisted) await pool.resume(() => target.persist(id, [range]));
}
