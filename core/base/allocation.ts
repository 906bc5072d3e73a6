/**
 * Allocates memory whose size a peer determines by what it announces, sends or requests. If the
 * system refuses the memory (ulimit -v, a strict vm.overcommit_memory), that one request fails with
 * OVERLOADED, and nothing else does.
 *
 * All such memory is allocated here, so that tests can make any allocation fail. The heap of the
 * engine is different: when it is full, the process ends. So what peers can put there is limited
 * instead.
 */
import { MessageChannel } from 'node:worker_threads';
import { BedrockError, messageOf } from './errors.js';
import { isInstance } from './plain.js';

export type Allocator = (bytes: number) => Buffer;

const fromSystem: Allocator = (bytes) => Buffer.allocUnsafeSlow(bytes);
/** Node.js cuts small buffers out of a shared larger one. */
const fromPool: Allocator = (bytes) => Buffer.allocUnsafe(bytes);

let allocator = fromSystem;

/** A buffer with memory of its own, not initialized. @throws OVERLOADED */
export function allocateBytes(bytes: number): Buffer {
  return allocate(allocator, bytes);
}

/** The same, but a small buffer may share its memory with others. @throws OVERLOADED */
export function allocateShared(bytes: number): Buffer {
  return allocate(bytes < Buffer.poolSize >>> 1 ? fromPool : allocator, bytes);
}

function allocate(from: Allocator, bytes: number): Buffer {
  try {
    return from(bytes);
  } catch (cause) {
    throw new BedrockError('OVERLOADED', `the system gives no memory for ${bytes} bytes; try again later`, {
      cause,
    });
  }
}

/** Whether an error says that the system refused memory for a buffer. */
export function isRefusal(thrown: unknown): boolean {
  return isInstance(thrown, RangeError) && messageOf(thrown) === 'Array buffer allocation failed';
}

/** Shorter texts take the quick path, which uses Node's shared buffer. */
const SHORT_TEXT = 2048;

/** A text as UTF-8. @throws OVERLOADED */
export function encodeText(text: string): Buffer {
  if (text.length < SHORT_TEXT) return Buffer.from(text);
  const bytes = allocateBytes(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** A copy of existing bytes; a small one may share its memory with others. @throws OVERLOADED */
export function copyBytes(pieces: readonly Uint8Array[]): Buffer {
  let total = 0;
  for (const { length } of pieces) total += length;
  const copy = allocateShared(total);
  let at = 0;
  for (const piece of pieces) {
    copy.set(piece, at);
    at += piece.length;
  }
  return copy;
}

/** For tests: replaces the allocator of all such memory. @returns a function that undoes it */
export function replaceAllocator(other: Allocator): () => void {
  allocator = other;
  return () => (allocator = fromSystem);
}

const { port1: nowhere, port2: unused } = new MessageChannel();
unused.close();

/**
 * Frees the memory of a buffer that is no longer used. The garbage collector would free it only
 * when the process is next busy. A buffer that is transferred to a port without a listener is freed
 * with the message.
 */
export function freeNow({ buffer }: Uint8Array): void {
  nowhere.postMessage(null, [buffer as ArrayBuffer]);
}
