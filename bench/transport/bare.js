/** Bytes over bare sockets of node:net: the bound of what any server of Node's and its client can move. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { REPLY, REQUEST, headOf } from './bare-messages.js';

export function openBare({ address }) {
  return {
    /** A message of the size, answered by five bytes. */
    write: (size) => exchange(address, 'w', size, Buffer.alloc(size, 7), REPLY.length),
    /** A request of 64 bytes, answered by a message of the size. */
    read: (size) => exchange(address, 'r', size, REQUEST, size),
    /** Messages that nobody answers: an operation ends when the system has taken it. */
    async pour(size) {
      const socket = await open(address, 'p', size, () => undefined);
      const bytes = Buffer.alloc(size, 7);
      return {
        run: () => new Promise((resolve) => socket.write(bytes, resolve)),
        close: () => socket.destroy(),
      };
    },
    /** Messages that nobody asked for: an operation ends when one has come whole. */
    drain: (size) => exchange(address, 'd', size, undefined, size),
    close: () => undefined,
  };
}

async function exchange(address, mode, size, request, replyBytes) {
  const waiting = [];
  let received = 0;
  const socket = await open(address, mode, Math.max(size, replyBytes), (count) => {
    for (received += count; received >= replyBytes && waiting.length > 0; received -= replyBytes)
      waiting.shift()();
    return true;
  });
  const run = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (request !== undefined) socket.write(request);
    });
  return { run, close: () => socket.destroy() };
}

/** A socket that reads into one buffer of the size. */
async function open(address, mode, size, received) {
  const onread = { buffer: Buffer.alloc(size), callback: received };
  const socket = connect({ ...address, noDelay: true, onread });
  await once(socket, 'connect');
  socket.write(headOf(mode, size));
  return socket;
}
