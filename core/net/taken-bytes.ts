/** How much of what was written to a connection its peer, or the system for it, has taken. Node tells that of whole writes alone. */
import type { Socket } from 'node:net';

/** Bytes, of those that went by the socket's stream. */
export function takenBytes(socket: Socket): number {
  const { _handle: handle } = socket as {
    _handle?: { bytesWritten?: number; writeQueueSize?: number } | null;
  };
  return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
}
