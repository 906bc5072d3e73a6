/**
 * Reference: sockets of node:net and nothing else, `bare-server.js UNIX_SOCKET`. A connection
 * begins with eight bytes: what to do, and a size.
 *
 *     offset 0, 1 byte   'w': takes messages of this size into one buffer and answers each with five bytes
 *                        'r': takes requests of 64 bytes and answers each with one buffer of this size
 *                        'p': takes bytes and answers nothing
 *                        'd': sends one buffer again and again
 *     offset 4, 4 bytes  the size, little-endian
 */
import { once } from 'node:events';
import { Socket, createServer } from 'node:net';
import { HEAD_BYTES, QUEUED, REPLY, REQUEST } from './bare-messages.js';

const MODES = { w: acknowledge, r: reply, p: () => () => undefined, d: pour };

const servers = ['tcp', 'unix'].map(() => createServer({ pauseOnConnect: true, noDelay: true }, serve));
servers[0].listen(0, '127.0.0.1');
servers[1].listen(process.argv[2]);
await Promise.all(servers.map((server) => once(server, 'listening')));
console.log(`listening on tcp://127.0.0.1:${servers[0].address().port}`);

/**
 * Node lets a socket read into one buffer only if it is made so, hence the connection moves to
 * another, as in the daemon.
 */
function serve(accepted) {
  const handle = accepted._handle;
  accepted._handle = null;
  let buffer = Buffer.alloc(HEAD_BYTES);
  let take;
  const callback = (count, where) => {
    if (take !== undefined) return take(count);
    // Its client waits for nothing before it sends the head, so that the head comes whole.
    if (count !== HEAD_BYTES) return socket.destroy();
    const size = where.readUInt32LE(4);
    take = MODES[String.fromCharCode(where[0])](socket, size);
    buffer = Buffer.alloc(Math.max(size, REQUEST.length));
    return undefined;
  };
  const socket = new Socket({ handle, onread: { buffer: () => buffer, callback } });
  socket.on('error', () => undefined);
  socket.on('close', () => accepted.destroy());
  socket.resume();
}

function acknowledge(socket, size) {
  return counting(size, () => socket.write(REPLY));
}

function reply(socket, size) {
  const bytes = Buffer.alloc(size, 7);
  return counting(REQUEST.length, () => socket.write(bytes));
}

function pour(socket, size) {
  const bytes = Buffer.alloc(size, 7);
  const more = (error) => {
    if (!error) socket.write(bytes, more);
  };
  for (let piece = 0; piece < QUEUED; piece++) more();
  return () => undefined;
}

/** Calls `whole` for every so many bytes that come. */
function counting(bytes, whole) {
  let received = 0;
  return (count) => {
    for (received += count; received >= bytes; received -= bytes) whole();
  };
}
