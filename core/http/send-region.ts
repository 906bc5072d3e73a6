/**
 * Sends regions to clients, in pieces, through two buffers: one is filled while the other is sent.
 *
 * The first pieces are small, so that clients that request much and read nothing hold only 64 KiB
 * each. A client that has read more than the system itself buffers gets larger pieces: half a
 * megabyte in both buffers, however long the response.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { allocateBytes } from '../base/allocation.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { RegionStat } from '../contract/target.js';
import type { AnswerMemory } from './answer-memory.js';
import { ClientGone } from './problem.js';
import { type ByteRange, parseRange } from './range.js';

/** Size of a piece. Anything that is not larger is read whole. */
export const ANSWER_PIECE_BYTES = 256 * 1024;

/** Size of a piece for a client that has not yet shown that it reads. */
const CAUTIOUS_PIECE_BYTES = 32 * 1024;

/**
 * More than fits into the system's own buffers (tcp_wmem and tcp_rmem of tcp(7): 4 and 6 MiB). So
 * the client must have read some of it.
 */
const CAUTIOUS_BYTES = 10 * 2 ** 20;

/** The part that a GET asks for, and the head of the answer. */
export interface AskedPart {
  range: ByteRange;
  /** 206 if a Range header selected a part, otherwise 200. */
  status: number;
  headers: Record<string, string | number>;
}

/** @throws OUT_OF_RANGE */
export function askedPart(region: RegionStat, rangeHeader: string | undefined): AskedPart {
  const { size } = region;
  const asked = parseRange(rangeHeader, size);
  if (asked === undefined)
    return { range: { start: 0, end: size }, status: 200, headers: regionHeaders(region) };
  const headers = regionHeaders(region, asked.end - asked.start);
  headers['content-range'] = `bytes ${asked.start}-${asked.end - 1}/${size}`;
  return { range: asked, status: 206, headers };
}

/**
 * Headers of a response whose body is this many bytes of a region. The name is percent-encoded,
 * because headers allow few characters.
 */
export function regionHeaders(
  { size, createdAt, name }: RegionStat,
  length = size,
): Record<string, string | number> {
  return {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'region-created-at': createdAt,
    'content-length': length,
    ...(name !== undefined && { 'region-name': encodeURIComponent(name) }),
  };
}

export interface RegionPart extends ByteRange {
  executionPool: ExecutionPool;
  /** Reads from the region. */
  readInto: (offset: number, buffer: Uint8Array) => Promise<void>;
}

/**
 * Sends a part of a region that is larger than one piece, as the body of a response whose headers
 * are set in `reply`. Once the first byte is sent, an error (such as the region being erased) can
 * only destroy the connection.
 * @returns that error
 * @throws what the target throws before the first byte is sent
 */
export async function sendRegion(
  reply: FastifyReply,
  part: RegionPart,
  answers: AnswerMemory,
): Promise<unknown> {
  // Both before the head of the answer: if there is no memory for them, the answer is that error.
  answers.hold(reply.raw, 2 * CAUTIOUS_PIECE_BYTES);
  const first = allocateBytes(CAUTIOUS_PIECE_BYTES);
  const second = allocateBytes(CAUTIOUS_PIECE_BYTES);
  await part.executionPool.resume(() => part.readInto(part.start, first));

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
  { executionPool, readInto, start, end }: RegionPart,
  [first, second]: [Buffer, Buffer],
  answers: AnswerMemory,
): Promise<void> {
  let filled = first;
  let spare = second;
  let sending = send(response, filled);
  for (let offset = start + first.length; offset < end;) {
    if (offset - start >= CAUTIOUS_BYTES && spare.length < ANSWER_PIECE_BYTES) {
      spare = largerOr(spare, response, answers);
    }
    const piece = spare.subarray(0, Math.min(spare.length, end - offset));
    const from = offset;
    // Both are awaited even if one fails: no buffer may still be in use when this returns.
    const [read, sent] = await Promise.allSettled([
      executionPool.resume(() => readInto(from, piece)),
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

/** A buffer for large pieces, or the existing one if there is no memory for a larger one now. */
function largerOr(spare: Buffer, response: ServerResponse, answers: AnswerMemory): Buffer {
  try {
    answers.hold(response, 2 * ANSWER_PIECE_BYTES);
    return allocateBytes(ANSWER_PIECE_BYTES);
  } catch {
    return spare;
  }
}

/** Resolves when the bytes have been passed to the system, so that their buffer can be used again. */
function send(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    // After the client has left, `write` never calls back.
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
