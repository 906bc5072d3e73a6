/**
 * The memory that all memory targets of the process hold together: bounded by what the machine has, and given back at once.
 *
 * The system promises more memory than there is and kills the process when it comes to be used, so the bound is kept here.
 */
import { totalmem } from 'node:os';
import { MessageChannel } from 'node:worker_threads';

let heldBytes = 0;

/** Bytes that regions may still take. */
export function availableBytes(): number {
  return machineBytes() - heldBytes;
}

/** Notes that so many bytes were taken, or given back (negative). */
export function noteHeld(bytes: number): void {
  heldBytes += bytes;
}

// Asked once: the answers are in files of the system's, and reading them takes longer than a hundred creates.
const allowedBytes = process.constrainedMemory();
const limitBytes = allowedBytes > 0 ? Math.min(allowedBytes, totalmem()) : totalmem();

/** Bytes; what the process's control group allows, where that is less than what the machine has. */
export function machineBytes(): number {
  return limitBytes;
}

const { port1: nowhere, port2: other } = new MessageChannel();
other.close();

/**
 * Frees the memory of a buffer that nobody uses any more. The garbage collector would get to it when the daemon is next busy; a
 * buffer that is transferred to a port which nobody listens at is freed with the message.
 */
export function drop({ buffer }: Uint8Array): void {
  nowhere.postMessage(null, [buffer as ArrayBuffer]);
}
