/**
 * Memory whose size somebody else chooses: what a peer announces, sends, or asks for. Where the system refuses it (ulimit -v, a strict
 * vm.overcommit_memory), that one request fails as OVERLOADED, and nothing else does.
 *
 * Everything of that kind is taken here, so that tests can have it refused wherever it is asked for. The heap of the engine is another
 * matter: when it is full the process ends, so that what peers can put there is bounded instead.
 */
import { MessageChannel } from 'node:worker_threads';
import { BedrockError, messageOf } from './errors.js';
import { isInstance } from './plain.js';

export type Allocator = (bytes: number) => Buffer;

const fromSystem: Allocator = (bytes) => Buffer.allocUnsafeSlow(bytes);
/** Small ones are cut out of larger buffers that Node keeps for them. */
const fromPool: Allocator = (bytes) => Buffer.allocUnsafe(bytes);

let allocator = fromSystem;

/** A buffer of its own, with whatever bytes. @throws OVERLOADED */
export function allocateBytes(bytes: number): Buffer {
  return allocate(allocator, bytes);
}

/** The same, where it may share its memory with others if it is small. @throws OVERLOADED */
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

/** Whether what was thrown says that the system gives no memory for a buffer. */
export function isRefusal(thrown: unknown): boolean {
  return isInstance(thrown, RangeError) && messageOf(thrown) === 'Array buffer allocation failed';
}

/** Shorter texts go by the quick way, which takes their memory from Node's own. */
const SHORT_TEXT = 2048;

/** A text as UTF-8. @throws OVERLOADED */
export function encodeText(text: string): Buffer {
  if (text.length < SHORT_TEXT) return Buffer.from(text);
  const bytes = allocateBytes(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

/** One copy of bytes that are there already, which may share its memory with others if it is small. @throws OVERLOADED */
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

/** For tests: has all such memory come from elsewhere. @returns a function that undoes it */
export function replaceAllocator(other: Allocator): () => void {
  allocator = other;
  return () => (allocator = fromSystem);
}

const { port1: nowhere, port2: unused } = new MessageChannel();
unused.close();

/**
 * Frees the memory of a buffer that nobody uses any more. The garbage collector would get to it when the process is next busy; a
 * buffer that is transferred to a port which nobody listens at is freed with the message.
 */
export function freeNow({ buffer }: Uint8Array): void {
  nowhere.postMessage(null, [buffer as ArrayBuffer]);
}
