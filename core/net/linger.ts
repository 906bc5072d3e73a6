/**
 * Ends a connection whose client is still sending.
 *
 * If a socket with unread bytes is closed, the system sends a reset, which can overtake the answer.
 * So only our direction is ended, and further input is read and dropped for a while.
 */
import type { Socket } from 'node:net';

/** How long a client may take to notice that it should stop. */
const LINGER_MS = 2000;

/**
 * Sends the last words, if any, and closes the connection when the client has closed it, or after a
 * while.
 */
export function endAndLinger(socket: Socket, lastWords?: string): void {
  if (socket.destroyed) return;
  if (lastWords === undefined) socket.end();
  else socket.end(lastWords);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** The same after the client has read everything that was sent, however long that takes. */
export function endWhenTaken(socket: Socket): void {
  if (socket.writableLength === 0) endAndLinger(socket);
  else socket.end(() => endAndLinger(socket));
}

/** Ends the connection in this way after the response with `Connection: close`. */
export function lingerAfterResponse(socket: Socket): void {
  // node:http calls this after such a response is written.
  socket.destroySoon = () => endAndLinger(socket);
}
