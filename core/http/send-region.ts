/**
 * Regions on their way to a client, in pieces through two buffers that take turns: one is filled while the other is sent. So a
 * response of any length holds half a megabyte, and a client that does not read holds no more.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { ExecutionPool } from '../provider/execution-pool.js';
import type { RegionId, Target } from '../target/index.js';
import { ClientGone } from './problem.js';
import type { ByteRange } from './range.js';

/** Bytes read and sent at once. */
export const PIECE_BYTES = 256 * 1024;

export interface RegionPart extends ByteRange {
  target: Target;
  pool: ExecutionPool;
  id: RegionId;
}

/**
 * Sends part of a region as the body of a response whose headers stand in `reply`.
 * Once the first byte is out, an error (such as the region being erased) can only destroy the connection.
 * @param onFailure hears of that error
 */
export async function sendRegion(
  reply: FastifyReply,
  part: RegionPart,
  onFailure: (error: unknown) => void,
): Promise<FastifyReply> {
  const size = part.end - part.start;
  reply.header('content-length', size);
  if (size <= PIECE_BYTES) {
    const bytes = await part.pool.run(() => part.target.read(part.id, part.start, size));
    return reply.send(bytes);
  }
  const first = Buffer.allocUnsafeSlow(PIECE_BYTES);
  await part.pool.run(() => part.target.readInto(part.id, part.start, first));

  reply.hijack();
  const response = reply.raw;
  response.writeHead(reply.statusCode, reply.getHeaders() as NodeJS.Dict<string | string[]>);
  try {
    await stream(response, part, first);
    response.end();
  } catch (error) {
    response.destroy();
    onFailure(error);
  }
  return reply;
}

async function stream(
  response: ServerResponse,
  { target, pool, id, start, end }: RegionPart,
  first: Buffer,
): Promise<void> {
  let filled = first;
  let spare: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let sending = send(response, filled);
  for (let offset = start + PIECE_BYTES; offset < end; offset += PIECE_BYTES) {
    const piece = spare.subarray(0, Math.min(PIECE_BYTES, end - offset));
    // Both are awaited even if one fails: no buffer may still be in use when this returns.
    const [read, sent] = await Promise.allSettled([
      pool.resume(() => target.readInto(id, offset, piece)),
      sending,
    ]);
    if (sent.status === 'rejected') throw sent.reason;
    if (read.status === 'rejected') throw read.reason;
    [spare, filled] = [filled, spare];
    sending = send(response, piece);
  }
  await sending;
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
