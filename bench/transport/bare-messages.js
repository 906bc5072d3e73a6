/** What both ends of the bare sockets have to know. */

export const HEAD_BYTES = 8;
/** About as long as a command that reads, and as the answer to one that writes. */
export const REQUEST = Buffer.alloc(64, 7);
export const REPLY = Buffer.from('+OK\r\n');
/** Buffers that wait for the system at a time, so that it never waits for one. */
export const QUEUED = 4;

/** The first bytes of a connection. */
export function headOf(mode, size) {
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = mode.charCodeAt(0);
  head.writeUInt32LE(size, 4);
  return head;
}
