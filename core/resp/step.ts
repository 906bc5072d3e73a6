/**
 * A command of Redis on names, as a step of a transaction. Outside of one, it is its own
 * transaction.
 */
import type { Arguments } from './arguments.js';
import type { Contents } from './contents.js';
import type { Overlay } from './overlay.js';
import type { Reply } from './replies.js';

/** What a step gets beside its arguments. */
export interface Stepping {
  readonly view: Overlay;
  /** The bytes of contents, as a reply. @throws INVALID_ARGUMENT, OVERLOADED, Outdated */
  bulk(contents: Contents): Promise<Uint8Array>;
  /** Largest argument, and largest reply, bytes. */
  readonly maxBulkBytes: number;
}

/**
 * Looks at names, changes them, and returns the reply. It may be called again, with an overlay
 * without changes.
 */
export type Step = (args: Arguments, at: Stepping) => Promise<Reply>;
