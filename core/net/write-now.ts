/**
 * Sends bytes within the call, past the queue of the socket's stream, which takes a quarter of the time of a small request. Node has
 * no public way to: this writes to the descriptor of the connection, which never blocks, and leaves to the stream what the system
 * does not take at once.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * @returns how many of the bytes the system has taken; the caller sends the others by the stream. 0 where this cannot be, or where
 *   the stream has bytes that go first.
 */
export function writeNow(socket: Socket, bytes: Uint8Array): number {
  if (socket.writableLength > 0 || !socket.writable || socket.connecting) return 0;
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) return 0;
  try {
    return writeSync(fd, bytes, 0, bytes.length);
  } catch {
    // The connection takes nothing now (EAGAIN), or never will: the stream finds out which.
    return 0;
  }
}
