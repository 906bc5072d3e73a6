/**
 * Memory whose size somebody else chooses: what a peer announces, sends, or asks for. Where the system refuses it (ulimit -v, a strict
 * vm.overcommit_memory), that one request fails as OVERLOADED, and nothing else does.
 *
 * Everything of that kind is taken here, so that tests can have it refused wherever it is asked for. The heap of the engine is another
 * matter: when it is full the process ends, so that what peers can put there is bounded instead.
 */
import { MessageChannel } from 'node:worker_threads';
import { BedrockError } from './errors.js';

export type Allocator = (bytes: number) => Buffer;

const fromSystem: Allocator = (bytes) => Buffer.allocUnsafeSlow(bytes);

let allocator = fromSystem;

/** A buffer of its own, with whatever bytes. @throws OVERLOADED */
export function allocateBytes(bytes: number): Buffer {
  try {
    return allocator(bytes);
  } catch (cause) {
    throw new BedrockError('OVERLOADED', `the system gives no memory for ${bytes} bytes; try again later`, {
      cause,
    });
  }
}

/** The same for bytes that are there already: one copy of them all. @throws OVERLOADED */
export function copyBytes(pieces: readonly Uint8Array[]): Buffer {
  let total = 0;
  for (const { length } of pieces) total += length;
  const copy = allocateBytes(total);
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
