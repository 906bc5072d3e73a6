/**
 * How much of what was written to a connection the peer, or its system, has accepted. Node.js
 * reports only whole writes.
 */
import type { Socket } from 'node:net';

/**
 * Bytes, among those that were written through the socket's stream. When it is closed, bytes that
 * were being sent count as well.
 */
export function takenBytes(socket: Socket): number {
  const { _handle: handle } = socket as {
    _handle?: { bytesWritten?: number; writeQueueSize?: number } | null;
  };
  if (handle === null || handle === undefined) return socket.bytesWritten;
  return (handle.bytesWritten ?? 0) - (handle.writeQueueSize ?? 0);
}
