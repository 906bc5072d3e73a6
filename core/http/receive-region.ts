/** Writes bodies of requests into regions. */
import type { IncomingMessage } from 'node:http';
import type { RouteGenericInterface } from 'fastify';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionRange, RegionSource, Target, WriteOptions } from '../contract/target.js';
import type { BedrockError } from '../base/errors.js';
import type { Sender } from '../runtime/held-space.js';
import { checkRange } from '../targets/arguments.js';
import { type BodyLimits, BodyProgress, endBody, readBody, takeBody } from './body.js';
import type { Exchange } from './operations.js';

export interface Destination {
  target: Target;
  executionPool: ExecutionPool;
  ref: RegionRef;
  range: RegionRange;
}

/**
 * Checks that a body fits, and writes it if all of it has already come.
 * @returns undefined if it was written; otherwise the region, and nothing of the body was read
 * @throws REGION_NOT_FOUND, OUT_OF_RANGE, what the target throws
 */
export async function receiveWhole(
  request: IncomingMessage,
  { target, ref, range }: Pick<Destination, 'target' | 'ref' | 'range'>,
  options: WriteOptions,
): Promise<RegionId | undefined> {
  // Before the first byte: a body that does not fit changes nothing.
  const region = await target.stat(ref);
  checkRange('write', range.offset, range.size, region.size);
  const whole = takeBody(request, range.size);
  if (whole === undefined) return region.id;
  await target.write(ref, range.offset, whole, options);
  return undefined;
}

/**
 * Writes a body piece by piece. The body is read to its end, because it may turn out to be too
 * long. A body that is a single piece is written in a single call. All pieces go to the region that
 * was found first, even if its name changes.
 * @throws OVERLOADED, as receiveWhole, and errors of the body
 */
export async function receiveRegion(
  request: IncomingMessage,
  destination: Destination,
  options: WriteOptions,
  limits: BodyLimits,
): Promise<void> {
  const { target, executionPool, range } = destination;
  const id = await executionPool.run(() => receiveWhole(request, destination, options));
  if (id === undefined) return;
  let { offset } = range;
  let isPersisted = options.persist !== true;
  for await (const piece of readBody(request, range.size, limits)) {
    const isWhole = piece.length === range.size;
    await executionPool.resume(() => target.write(id, offset, piece, isWhole ? options : {}));
    isPersisted ||= isWhole;
    offset += piece.length;
  }
  if (!isPersisted) await executionPool.resume(() => target.persist(id, [range]));
}

/**
 * Creates a region from a body. Each piece is admitted separately by the execution pool, so that a
 * slow client holds no admission in between. If a client is slow, others may take the space that it
 * holds.
 * @throws as `make`, and errors of the body
 */
export function receiveContents<T>(
  { request: { raw }, executionPool, space }: Body,
  size: number,
  limits: BodyLimits,
  make: (contents: RegionSource) => Promise<T>,
): Promise<T> {
  const progress = new BodyProgress();
  const source = executionPool.pace(readBody(raw, size, limits, progress));
  return space.receive({ size, source }, make, new BodySender(raw, progress));
}

/**
 * The client that sends a body. This is a class since each object literal with accessors would cost
 * the engine a hidden class.
 */
class BodySender implements Sender {
  constructor(
    private readonly request: IncomingMessage,
    private readonly progress: BodyProgress,
  ) {}

  get isAwaited(): boolean {
    return this.progress.isAwaited;
  }

  get movedBytes(): number {
    return this.progress.receivedBytes;
  }

  end(error: BedrockError): void {
    endBody(this.request, () => error);
  }
}

/** The parts of an exchange that are needed, of any route whose body is contents. */
type Body = Pick<Exchange<RouteGenericInterface>, 'executionPool' | 'space'> & {
  readonly request: { readonly raw: IncomingMessage };
};
