/**
 * Regions on their way to a client, in pieces through two buffers that take turns: one is filled while the other is sent.
 *
 * The first pieces are small, so that clients which ask for much and read nothing hold 64 KiB each; one that has taken more than
 * the system itself buffers for it gets large ones, half a megabyte in all, however long the response.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { allocateBytes } from '../base/allocation.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target } from '../contract/target.js';
import type { AnswerMemory } from './answer-memory.js';
import { ClientGone } from './problem.js';
import { type ByteRange, parseRange } from './range.js';

/** Bytes read and sent at once; what is no larger is read whole. */
export const PIECE_BYTES = 256 * 1024;

/** The same for a client that has not yet shown that it reads. */
const CAUTIOUS_PIECE_BYTES = 32 * 1024;

/** What has gone out by then cannot all wait in the system's own buffers (tcp_wmem and tcp_rmem of tcp(7): 4 and 6 MiB). */
const CAUTIOUS_BYTES = 10 * 2 ** 20;

/** What a GET asks for, and the head of the answer. */
export interface AskedPart {
  range: ByteRange;
  /** 206 if a Range header said which part, else 200. */
  status: number;
  headers: Record<string, string | number>;
}

/** @throws OUT_OF_RANGE */
export function askedPart({ size, createdAt }: RegionStat, rangeHeader: string | undefined): AskedPart {
  const asked = parseRange(rangeHeader, size);
  if (asked === undefined)
    return { range: { start: 0, end: size }, status: 200, headers: regionHeaders(size, createdAt) };
  const headers = regionHeaders(asked.end - asked.start, createdAt);
  headers['content-range'] = `bytes ${asked.start}-${asked.end - 1}/${size}`;
  return { range: asked, status: 206, headers };
}

/** Headers of a response whose body is that many bytes of a region. */
export function regionHeaders(length: number, createdAt: number): Record<string, string | number> {
  return {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'region-created-at': createdAt,
    'content-length': length,
  };
}

export interface RegionPart extends ByteRange {
  target: Target;
  pool: ExecutionPool;
  id: RegionId;
}

/**
 * Sends a part of a region that is larger than a piece, as the body of a response whose headers stand in `reply`.
 * Once the first byte is out, an error (such as the region being erased) can only destroy the connection.
 * @returns that error
 * @throws what the target throws before
 */
export async function sendRegion(
  reply: FastifyReply,
  part: RegionPart,
  answers: AnswerMemory,
): Promise<unknown> {
  // Both before the head of the answer: where there is no memory for them, that is the answer.
  answers.hold(reply.raw, 2 * CAUTIOUS_PIECE_BYTES);
  const first = allocateBytes(CAUTIOUS_PIECE_BYTES);
  const second = allocateBytes(CAUTIOUS_PIECE_BYTES);
  await part.pool.resume(() => part.target.readInto(part.id, part.start, first));

  reply.hijack();
  const response = reply.raw;
  response.writeHead(reply.statusCode, reply.getHeaders() as NodeJS.Dict<string | string[]>);
  try {
    await stream(response, part, [first, second], answers);
    response.end();
    return undefined;
  } catch (error) {
    response.destroy();
    return error;
  }
}

async function stream(
  response: ServerResponse,
  { target, pool, id, start, end }: RegionPart,
  [first, second]: [Buffer, Buffer],
  answers: AnswerMemory,
): Promise<void> {
  let filled = first;
  let spare = second;
  let sending = send(response, filled);
  for (let offset = start + first.length; offset < end;) {
    if (offset - start >= CAUTIOUS_BYTES && spare.length < PIECE_BYTES) {
      spare = largerOr(spare, response, answers);
    }
    const piece = spare.subarray(0, Math.min(spare.length, end - offset));
    const from = offset;
    // Both are awaited even if one fails: no buffer may still be in use when this returns.
    const [read, sent] = await Promise.allSettled([
      pool.resume(() => target.readInto(id, from, piece)),
      sending,
    ]);
    if (sent.status === 'rejected') throw sent.reason;
    if (read.status === 'rejected') throw read.reason;
    [spare, filled] = [filled, spare];
    sending = send(response, piece);
    offset += piece.length;
  }
  await sending;
}

/** A buffer for large pieces, or the one that is there, where there is no memory for it now. */
function largerOr(spare: Buffer, response: ServerResponse, answers: AnswerMemory): Buffer {
  try {
    answers.hold(response, 2 * PIECE_BYTES);
    return allocateBytes(PIECE_BYTES);
  } catch {
    return spare;
  }
}

/** Resolves when the bytes are with the system, so that their buffer may be filled again. */
function send(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    // After the client has left, write would never call back.
    const gone = (): void => reject(new ClientGone('the client left'));
    if (response.destroyed) {
      gone();
      return;
    }
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.off('close', gone);
      if (error) gone();
      else resolve();
    });
  });
}
