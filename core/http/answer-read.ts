/**
 * Answers a GET of a region, by ID or by name. The whole answer comes from one region: a name is
 * looked up once, and the region is then read by its ID, even if the name is given to another
 * region meanwhile. The name is looked up again only if the region is gone before the head of the
 * answer is sent, because a `put` may have replaced it.
 *
 * A region that was requested by name is kept until the answer is sent. Otherwise, a region that is
 * replaced often could never be read completely. A slow client keeps the region's space from
 * others, so it is ended when others need the space.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';
import { BedrockError } from '../base/errors.js';
import { isInstance } from '../base/plain.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { takenBytes } from '../net/taken-bytes.js';
import { BaseTarget } from '../targets/base-target.js';
import type { KeptRegion } from '../targets/region.js';
import type { AnswerMemory } from './answer-memory.js';
import type { Exchange } from './operations.js';
import type { Selection } from './preconditions.js';
import { ANSWER_PIECE_BYTES, askedPart, sendRegion } from './send-region.js';

export interface ReadOptions {
  answers: AnswerMemory;
  /** Logs the failure of a response that has already begun, so that the client can no longer be told. */
  logFailure: (request: FastifyRequest, error: unknown) => void;
}

/** An exchange of any route. */
interface Reading extends Omit<Exchange<RouteGenericInterface>, 'request' | 'reply'> {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Answers a GET.
 * @param select decides what the request gets of the region that was found
 * @throws what the target throws before the head of the answer, PRECONDITION_FAILED, OUT_OF_RANGE, OVERLOADED
 */
export async function answerRead(
  exchange: Reading,
  ref: RegionRef,
  select: (headers: IncomingHttpHeaders, id: RegionId) => Selection,
  options: ReadOptions,
): Promise<unknown> {
  const read: Read = { id: undefined };
  for (;;) {
    const gone = read.id;
    try {
      return await answerOnce(exchange, ref, select, options, read);
    } catch (error) {
      if (!isGone(error) || typeof ref !== 'string' || read.id === undefined) throw error;
      // If the target finds a region by its name but not by its ID, this would otherwise repeat forever.
      if (gone?.equals(read.id) === true) throw error;
    }
  }
}

interface Read {
  /** The region that the name referred to when it was last looked up. */
  id: RegionId | undefined;
}

function isGone(error: unknown): boolean {
  return isInstance(error, BedrockError) && error.code === 'REGION_NOT_FOUND';
}

async function answerOnce(
  exchange: Reading,
  ref: RegionRef,
  select: (headers: IncomingHttpHeaders, id: RegionId) => Selection,
  { answers, logFailure }: ReadOptions,
  read: Read,
): Promise<unknown> {
  const { request, reply, target, executionPool } = exchange;
  read.id = undefined;
  // Looks the region up, and reads it if it is short, in one turn of the execution pool.
  const found = await executionPool.run(async () => {
    const region = await target.stat(ref);
    const { id } = region;
    read.id = id;
    const selection = select(request.headers, id);
    if (selection.isNotWanted) return { region, selection, part: undefined };
    const part = askedPart(region, selection.range);
    const { start, end } = part.range;
    if (end - start > ANSWER_PIECE_BYTES) return { region, selection, part };
    answers.hold(reply.raw, end - start);
    return { region, selection, part, bytes: await target.read(id, start, end - start) };
  });
  const { region, selection, part, bytes } = found;
  if (part === undefined) return reply.code(304).headers(selection.headers).send();
  const { start, end } = part.range;
  reply.code(part.status).headers(part.headers).headers(selection.headers);
  exchange.bytes = end - start;
  if (bytes !== undefined) return reply.send(bytes);
  const kept = typeof ref === 'string' ? await keptRegion(exchange, region) : undefined;
  const readInto = kept?.readInto ?? ((offset, into) => target.readInto(region.id, offset, into));
  try {
    exchange.failure = await sendRegion(reply, { executionPool, readInto, start, end }, answers);
  } finally {
    kept?.release();
  }
  if (exchange.failure !== undefined) logFailure(request, exchange.failure);
  return reply;
}

/**
 * @returns undefined if the target cannot keep regions: then an answer ends early when its region
 *   is erased
 */
async function keptRegion(
  { reply: { raw: response }, target, executionPool, space }: Reading,
  { id, size }: RegionStat,
): Promise<Pick<KeptRegion, 'readInto' | 'release'> | undefined> {
  if (!(target instanceof BaseTarget)) return undefined;
  const kept = await executionPool.resume(() => target.keep(id));
  const { socket } = response.req;
  let free!: () => void;
  const released = new Promise<void>((resolve) => (free = resolve));
  const endHold = space.hold({
    get heldBytes() {
      return kept.isErased ? size : 0;
    },
    get isAwaited() {
      return socket.writableLength > 0;
    },
    get movedBytes() {
      return takenBytes(socket);
    },
    giveWay: () => {
      socket.destroy();
      return released;
    },
  });
  const release = (): void => {
    endHold();
    kept.release();
    free();
  };
  return { readInto: (offset, into) => kept.readInto(offset, into), release };
}
