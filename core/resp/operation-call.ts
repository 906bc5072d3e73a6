/**
 * A call of a target for a request: its target, what it needs of the request, and how its result
 * becomes a reply.
 */
import type { Operation } from '../runtime/operation-meter.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Landing } from '../targets/direct-target.js';
import type { RegionUse } from './conflicts.js';
import type { PendingReply } from './pipeline.js';

/** The place for an argument that is written as it arrives. */
export interface Landed {
  readonly landing: Landing;
  readonly served: ServedTarget;
}

/** The bytes of an argument, kept as long as a call needs them. */
export interface KeptBytes {
  readonly bytes: Uint8Array;
  /** The spare buffer that holds them. */
  readonly lent: Buffer | undefined;
  /** Bytes that they take of the memory for long arguments. */
  readonly reserved: number;
}

export interface OperationCall<T> {
  readonly operation: Operation;
  readonly served: ServedTarget;
  /** What it does to a region. Requests that conflict with it wait. */
  readonly use?: RegionUse | undefined;
  /**
   * No later request begins before it has ended, since it affects more than `use` can describe. It
   * waits for earlier requests itself.
   */
  readonly isAlone?: boolean;
  /** Bytes of regions that it moves. */
  readonly bytes: number;
  /** The largest size of its reply, bytes, if that may be large. */
  readonly promised?: number;
  /** Like `bytes`, if only the result tells. */
  readonly bytesOf?: (result: T) => number;
  /** Bytes of the request that it uses. */
  readonly kept?: KeptBytes | undefined;
  /** @param reply the reply for its result */
  readonly call: (reply: PendingReply) => Promise<T>;
  /** Sets the reply. */
  readonly answer: (result: T, reply: PendingReply) => void;
  /** Called when it has ended, even if it was never made. */
  readonly whenEnded?: (() => void) | undefined;
}
