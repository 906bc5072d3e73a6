/**
 * Reads a range in pieces, several of them in flight before the caller asks for them. Each piece has
 * its own memory, so what still arrives after the caller has left disturbs nobody.
 */
import { allocateBytes } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import type { RegionRange } from '../../contract/target.js';
import { ReadCommand, type TargetName } from './daemon-command.js';
import type { Link } from './link.js';
import { MAX_PIECES_IN_FLIGHT, pieceBytesOf } from './pieces.js';

/** A piece in flight. */
interface Piece {
  readonly read: ReadCommand;
  readonly bytes: Buffer;
}

/** Gives the pieces in order. @throws the error of the first piece that failed */
export async function* readAhead(
  link: Link,
  target: TargetName,
  id: RegionId,
  { offset, size }: RegionRange,
  call: CallOptions,
): AsyncGenerator<Uint8Array> {
  const pieceBytes = pieceBytesOf(link.limits);
  const ahead: Piece[] = [];
  try {
    for (let at = 0; at < size || ahead.length > 0;) {
      for (; at < size && ahead.length < MAX_PIECES_IN_FLIGHT; at += pieceBytes) {
        const bytes = allocateBytes(Math.min(pieceBytes, size - at));
        const read = new ReadCommand(target, id, offset + at, bytes);
        // The failure is thrown when it is the turn of this piece, if the caller gets that far.
        link.submit(read, call).catch(() => undefined);
        ahead.push({ read, bytes });
      }
      const { read, bytes } = ahead.shift() as Piece;
      await read.promise;
      yield bytes;
    }
  } finally {
    for (const { read } of ahead) read.fail(new BedrockError('ABORTED', 'the stream was left'));
  }
}
