/**
 * Ending a connection whose client is still sending.
 *
 * Closing a socket that holds unread bytes makes the system send a reset, which can overtake the answer. So only our own direction
 * is ended, and what still comes is read and dropped for a while.
 */
import type { Socket } from 'node:net';

/** How long a client may take to see that it should stop. */
const LINGER_MS = 2000;

/** Sends the last words, if any, and closes the connection when the client has, or after a while. */
export function endAndLinger(socket: Socket, lastWords?: string): void {
  if (socket.destroyed) return;
  if (lastWords === undefined) socket.end();
  else socket.end(lastWords);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** The same once the client has taken everything that was sent, however long it takes over that. */
export function endWhenTaken(socket: Socket): void {
  if (socket.writableLength === 0) endAndLinger(socket);
  else socket.end(() => endAndLinger(socket));
}

/** Has the connection end in that way after the response that says `Connection: close`. */
export function lingerAfterResponse(socket: Socket): void {
  // What node:http calls once such a response is written.
  socket.destroySoon = () => endAndLinger(socket);
}
